"""
What the cluster's core finds again after a restart.

Owns: the file that holds it. In: ``PersistedState``; out: the same. It is JSON; nothing in it is secret.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import msgspec
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from rustbalance.cluster.commands import PersistedState
from rustbalance.files import write_atomically

InThread: TypeAlias = Callable[[Callable[[], None]], Deferred[None]]
"""Runs a function where it does not hold up the event loop."""


class StateFile:
    """
    The state in the file ``path``. Writing it takes two fsyncs, which happen ``in_thread``.

    A file that cannot be read is set aside and this node begins anew: the others then tell it who they are, and which
    of its incarnations they knew.
    """

    log = Logger()

    def __init__(self, path: Path, in_thread: InThread = maybeDeferred) -> None:
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
        data = msgspec.json.encode(state) + b"\n"
        writing: Deferred[None] = self._in_thread(lambda: write_atomically(self._path, data))
        return writing.addCallbacks(self._kept, self._not_kept)

    def _kept(self, _: None) -> None:
        self.problem = None

    def _not_kept(self, failure: Failure) -> None:
        error = failure.value
        if not isinstance(error, OSError):
            failure.raiseException()
        if self.problem is None:
            self.log.error("{path} cannot be written: {error}", path=str(self._path), error=error.strerror)
        self.problem = f"the state of the cluster cannot be kept: {error.strerror}"
