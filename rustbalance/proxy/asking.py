"""
A question of our own to the target.

Owns: one request that no visitor has made, sent the same way as theirs. In: what all conversations have in common and
the request; out: the head of the answer, or why there is none.
"""

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DeadlinePassed
from twisted.python.failure import Failure

from rustbalance.life import within
from rustbalance.proxy.failures import trouble
from rustbalance.proxy.heads import MalformedMessage
from rustbalance.proxy.request import RequestHead
from rustbalance.proxy.request_rules import request_bytes
from rustbalance.proxy.response import ResponseHead
from rustbalance.proxy.shared import Shared
from rustbalance.proxy.target import TargetConnection


class Unanswered(Exception):
    """There is no answer; the message says why, without the target's address. ``down``: that is the target's fault."""

    def __init__(self, reason: str, *, down: bool = True) -> None:
        super().__init__(reason)
        self.down = down


async def ask(shared: Shared, request: RequestHead, reactor: Any, way: float, answer: float) -> ResponseHead:
    """
    Return the head of the target's answer to ``request``, which has no body; the answer's body is thrown away.

    :param way: seconds for a connection. :param answer: seconds for the answer from then on.
    :raises Unanswered: as described.
    """
    for fresh in (False, True):
        target = await _connected(shared, reactor, way, fresh=fresh)
        question = _Question(target, request)
        target.send(request_bytes(request, shared.place))
        try:
            head = await within(answer, reactor, question.answer)
        except DeadlinePassed:
            _drop(target)
            raise Unanswered("no answer in time") from None
        except Unanswered:
            _drop(target)
            if not fresh and target.uses > 1 and not target.heard:
                continue  # it had been waiting in the pool, and the target has closed it meanwhile
            raise
        except BaseException:
            _drop(target)
            raise
        _put_away(shared, target, head)
        return head
    raise Unanswered("the connection broke")


async def _connected(shared: Shared, reactor: Any, seconds: float, *, fresh: bool) -> TargetConnection:
    try:
        return await within(seconds, reactor, shared.pool.take(fresh=fresh))
    except CancelledError:
        raise
    except Exception:
        found = trouble(Failure())
        raise Unanswered(found.reason, down=found.down) from None


def _put_away(shared: Shared, target: TargetConnection, head: ResponseHead) -> None:
    """Keep the connection if the whole answer is there; else it is cheaper to end it than to read on."""
    try:
        while target.reader.next_content():
            pass
    except MalformedMessage:
        _drop(target)
        return
    if head.keep_alive and target.reader.complete and not target.reader.pending:
        shared.pool.give_back(target)
    else:
        _drop(target)


def _drop(target: TargetConnection) -> None:
    target.detach()
    target.abort()


class _Question:
    """Listens on ``target`` for the answer to ``request``."""

    def __init__(self, target: TargetConnection, request: RequestHead) -> None:
        self.answer: Deferred[ResponseHead] = Deferred()
        self._target = target
        target.begin(self, request.method)

    def target_said(self) -> None:
        """Look for the head of the answer, past those that only precede it."""
        if self.answer.called:
            return
        try:
            head = self._target.reader.next_head()
            while head is not None and head.interim:
                head = self._target.reader.next_head()
        except MalformedMessage:
            self.answer.errback(Unanswered("its answer is not HTTP"))
            return
        if head is not None:
            self.answer.callback(head)

    def target_ended(self, clean: bool) -> None:
        """Give up."""
        if not self.answer.called:
            self.answer.errback(Unanswered("it hung up without an answer"))

    def target_drained(self) -> None:
        """Have nothing more to say."""
