"""
What the cluster's core finds again after a restart.

Owns: the file that holds it. In: ``PersistedState``; out: the same. It is JSON; nothing in it is secret.
"""

from pathlib import Path

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from rustbalance.cluster.commands import PersistedState
from rustbalance.files import write_atomically
from rustbalance.life import InThread, at_once, deferred


class ClusterFile:
    """
    The state in the file ``path``. Writing it takes two fsyncs, which happen ``in_thread``.

    A file that cannot be read is set aside and this node begins anew: the others then tell it who they are, and which
    of its incarnations they knew.
    """

    log = Logger()

    def __init__(self, path: Path, in_thread: InThread = at_once) -> None:
        self._path = path
        self._in_thread = in_thread
        self.problem: str | None = None

    def load(self) -> PersistedState | None:
        """Return what was kept last, None at the first start."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=PersistedState)
        except FileNotFoundError:
            return None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            aside = self._path.with_name(self._path.name + ".corrupt")
            self._path.replace(aside)
            self.log.error(
                "{path} is damaged ({error}); it is now {aside}, and the other nodes have to be found anew",
                path=str(self._path),
                error=str(error),
                aside=aside.name,
            )
            return None

    def keep(self, state: PersistedState) -> Deferred[None]:
        """
        Fire when ``state`` is on the disk; one write at a time is the caller's duty.

        A disk that takes nothing is no reason to leave the others alone: it becomes a ``problem``.
        """
        return deferred(self._keep(msgspec.json.encode(state) + b"\n"))

    async def _keep(self, data: bytes) -> None:
        try:
            await self._in_thread(lambda: write_atomically(self._path, data))
        except OSError as error:
            self._not_kept(error)
        else:
            self.problem = None

    def _not_kept(self, error: OSError) -> None:
        if self.problem is None:
            self.log.error("{path} cannot be written: {error}", path=str(self._path), error=error.strerror)
        self.problem = f"the state of the cluster cannot be kept: {error.strerror}"
