"""
``POST /.rb/<join_secret>`` on the master address.

Owns: the place where requests to join arrive among those of visitors. In: requests, from the front; out: the answer,
or the one page that whatever is wrong gets. What is decided is ``endpoint.py``'s.

Every request under the reserved prefix is treated alike, whatever its method and whether it knows the secret or not, so
that nobody learns from the answer, or from when it comes, which part was wrong. Who knows the secret may wait: requests
are decided one after another, each when the disk holds what the one before has changed.
"""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

from twisted.internet.defer import CancelledError, DeferredLock
from twisted.logger import Logger

from rustbalance.cluster.join_frames import LARGEST_REQUEST
from rustbalance.cluster.messages import NodeRecord
from rustbalance.joining.endpoint import Denied, JoinEndpoint, View
from rustbalance.joining.records import JoinFile, Ledger, StateDamaged
from rustbalance.moment import Moment
from rustbalance.proxy.pages import PAGES, BodyWanted, LocalAnswer
from rustbalance.proxy.request import RequestHead
from rustbalance.proxy.reserved import is_reserved
from rustbalance.secrets import Secret

PREFIX: Final = b"/.rb/"
NOT_FOUND: Final = PAGES[404]
_FIELDS: Final = ((b"Content-Type", b"application/octet-stream"), (b"Cache-Control", b"no-store"))


class JoinIntercept:
    """
    An ``Intercept`` for the front; also what is not for it under the prefix ends here.

    ``secret`` stays the caller's. ``view`` returns the cluster as we know it, None as long as we cannot speak for it.
    ``admit`` is told a member's record once that is on the disk; the members of the next ``view`` should have it.
    """

    log = Logger()

    def __init__(
        self,
        secret: Secret,
        endpoint: JoinEndpoint,
        store: JoinFile[Ledger],
        view: Callable[[], View | None],
        admit: Callable[[NodeRecord], None],
        now: Callable[[], Moment],
    ) -> None:
        self.problem: str | None = None
        self._secret = secret
        self._endpoint = endpoint
        self._store = store
        self._view = view
        self._admit = admit
        self._now = now
        self._ledger = self._remember()
        self._turn = DeferredLock()

    def __call__(self, request: RequestHead) -> BodyWanted | None:
        """Take what is under the reserved prefix, and leave the rest."""
        if not is_reserved(request.target):
            return None
        return BodyWanted(LARGEST_REQUEST, partial(self._answer, request))

    def _answer(self, request: RequestHead, body: bytes | None) -> LocalAnswer | Coroutine[Any, Any, LocalAnswer]:
        knows_secret = self._secret == request.target.removeprefix(PREFIX) and request.target.startswith(PREFIX)
        return NOT_FOUND if not knows_secret or request.method != b"POST" or not body else self._take(body)

    async def _take(self, body: bytes) -> LocalAnswer:
        try:
            async with self._turn:
                view, ledger = self._view(), self._ledger
                if view is not None and ledger is not None:
                    return LocalAnswer(200, b"OK", _FIELDS, await self._decide(body, view, ledger))
        except Denied as denied:
            if denied.sender is not None:
                reason = denied.reason
                self.log.warn("Node {node} was not let in: {reason}", node=denied.sender, reason=reason)
        except OSError as error:
            self.log.error("Nobody can join: {path}: {error}", path=self._store.path, error=error.strerror)
        except CancelledError:
            self.log.error("Nobody can join: {path} is not written in time", path=self._store.path)
        return NOT_FOUND

    async def _decide(self, body: bytes, view: View, ledger: Ledger) -> bytes:
        """Decide, remember, admit, and only then answer."""
        answer = self._endpoint.decide(body, view, ledger, self._now())
        await self._store.keep(answer.ledger)
        self._ledger = answer.ledger
        if answer.admitted is not None:
            self.log.info("Node {node} has joined", node=answer.admitted.id)
            self._admit(answer.admitted)
        return answer.frame

    def _remember(self) -> Ledger | None:
        """A ledger that cannot be read closes the door: what was used up before is not known."""
        try:
            return self._store.read() or Ledger()
        except StateDamaged as error:
            self.problem = f"nobody can join: {error}"
            self.log.error("Nobody can join: {error}", error=str(error))
            return None
