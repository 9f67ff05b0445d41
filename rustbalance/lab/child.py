"""
A child process that does not outlive the lab.

Owns: starting a program, following its output and ending it within a deadline. In: a command line and a directory;
out: ``Child``. The kernel sends the child SIGTERM when the lab dies (prctl(2), PR_SET_PDEATHSIG, through setpriv(1)),
and ``<directory>/child.pid`` lets ``leftovers.py`` find it again.
"""

import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeadlinePassed
from twisted.internet.interfaces import IDelayedCall, IReactorProcess, IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from rustbalance.life import within

PID_FILE = "child.pid"
OUTPUT = "output.log"
TAIL = 12
LINGER = 0.5
"""Seconds that are left to the output of a program that has exited."""


class ChildEnded(Exception):
    """A child ended while somebody waited for it to do something; the message has the end of its output."""


class Child(ProcessProtocol):
    """One running program. ``returncode`` is None while it runs, negative after a signal."""

    def __init__(self, name: str, directory: Path, reactor: IReactorTime) -> None:
        self.name = name
        self.directory = directory
        self.returncode: int | None = None
        self._reactor = reactor
        self._tail: list[str] = []
        self._partial = b""
        self._output = (directory / OUTPUT).open("ab", buffering=0)
        self._lingering: IDelayedCall | None = None
        self._wanted: list[tuple[str, Deferred[str]]] = []
        self._waiting: list[Deferred[None]] = []

    @property
    def pid(self) -> int | None:
        """Process id, None once the child has ended."""
        return self.transport.pid if self.returncode is None and self.transport is not None else None

    @property
    def alive(self) -> bool:
        """Whether the program runs."""
        return self.returncode is None

    @property
    def tail(self) -> str:
        """The last lines of its output."""
        return "\n".join(self._tail)

    def line(self, text: str) -> Deferred[str]:
        """
        Return a Deferred of the next line of output that contains ``text``.

        :raises ChildEnded: (in the Deferred) the program ended before.
        """
        self.raise_if_ended()
        wanted: Deferred[str] = Deferred(lambda gone: self._forget(gone))
        self._wanted.append((text, wanted))
        return wanted

    def raise_if_ended(self) -> None:
        """
        Do nothing while the program runs.

        :raises ChildEnded: it has ended.
        """
        if not self.alive:
            raise self._ended()

    def gone(self) -> Deferred[None]:
        """Return a Deferred that fires when the program has ended."""
        waiting: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        if not self.alive:
            self._tell()
        return waiting

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when the program has ended."""
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def stop(self, patience: float = 5.0) -> None:
        """Ask the program to end (SIGTERM) and kill it when it has not after ``patience`` seconds."""
        for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 5.0)):
            self.send(number)
            with suppress(DeadlinePassed):
                await within(seconds, self._reactor, self.gone())
                break

    def outReceived(self, data: bytes) -> None:
        """Keep the output and look for wanted lines."""
        with suppress(OSError):
            self._output.write(data)
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._seen(line.decode("utf-8", "replace"))

    errReceived = outReceived

    def processExited(self, reason: Failure) -> None:
        """Read what is left in the pipes, but do not wait for processes that have inherited them."""
        self._lingering = self._reactor.callLater(LINGER, self._close_pipes)

    def _close_pipes(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()

    def processEnded(self, reason: Failure) -> None:
        """Tell everybody who waits."""
        if self._lingering is not None and self._lingering.active():
            self._lingering.cancel()
        status: Any = reason.value
        self.returncode = status.exitCode if status.exitCode is not None else -(status.signal or 0)
        self._output.close()
        (self.directory / PID_FILE).unlink(missing_ok=True)
        wanted, self._wanted = self._wanted, []
        for _, waiting in wanted:
            waiting.errback(self._ended())
        self._tell()

    def _seen(self, line: str) -> None:
        self._tail = [*self._tail[-TAIL + 1 :], line]
        hits = [entry for entry in self._wanted if entry[0] in line]
        self._wanted = [entry for entry in self._wanted if entry not in hits]
        for _, waiting in hits:
            waiting.callback(line)

    def _forget(self, gone: Deferred[str]) -> None:
        self._wanted = [entry for entry in self._wanted if entry[1] is not gone]

    def _tell(self) -> None:
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(None)

    def _ended(self) -> ChildEnded:
        return ChildEnded(f"{self.name} ended with {self.returncode}; its last words:\n{self.tail}")


def spawn(
    reactor: IReactorProcess,
    name: str,
    command: Sequence[str],
    directory: Path,
    environment: Mapping[str, str] | None = None,
) -> Child:
    """Start ``command``; its output goes to ``directory``/output.log."""
    child = Child(name, directory, IReactorTime(reactor))
    argv = [*_dying_with_us(), *command]
    env = {**os.environ, **(environment or {})}
    reactor.spawnProcess(child, argv[0], argv, env=env)
    (directory / PID_FILE).write_text(f"{child.pid}\n")
    return child


def _dying_with_us() -> tuple[str, ...]:
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", "TERM") if setpriv else ()
