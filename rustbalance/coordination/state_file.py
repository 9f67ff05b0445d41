"""
What the cluster's core finds again after a restart.

Owns: the file that holds it. In: ``PersistedState``; out: the same. It is JSON; nothing in it is secret.
"""

from pathlib import Path

import msgspec
from twisted.logger import Logger

from rustbalance.cluster.commands import PersistedState
from rustbalance.files import write_atomically


class StateFile:
    """
    The state in the file ``path``.

    A file that cannot be read is set aside and this node begins anew: the others then tell it who they are, and which
    of its incarnations they knew.
    """

    log = Logger()

    def __init__(self, path: Path) -> None:
        self._path = path
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

    def keep(self, state: PersistedState) -> None:
        """
        Have ``state`` on disk when this returns.

        A disk that takes nothing is no reason to leave the others alone: it becomes a ``problem``.
        """
        try:
            write_atomically(self._path, msgspec.json.encode(state) + b"\n")
        except OSError as error:
            if self.problem is None:
                self.log.error("{path} cannot be written: {error}", path=str(self._path), error=error.strerror)
            self.problem = f"the state of the cluster cannot be kept: {error.strerror}"
        else:
            self.problem = None
