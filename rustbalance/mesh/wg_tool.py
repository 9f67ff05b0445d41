"""
ip(8) and wg(8) as children.

Owns: running one with a deadline, a secret on its standard input and nothing of ours in its environment, and a child
that stays. In: arguments that hold no secret; out: what it printed, or ``ToolFailed``.
"""

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from rustbalance.life import within
from rustbalance.secret_files import encode_base64
from rustbalance.secrets import Secret

DEADLINE_SECS = 5.0
"""The tools answer in milliseconds; a wireguard-go that hangs makes wg(8) wait for ever."""
MOST_OUTPUT = 256 * 1024
"""Bytes kept of each output; 1000 peers need less."""
COMPLAINT = 300
"""Characters of a complaint that are shown."""
GRACE_SECS = 2.0
"""Seconds between asking a child to go and making it go."""


class ToolFailed(Exception):
    """
    A program did not do what it was asked to.

    ``status`` is its exit status, None when it was ended or is not there; ``complaint`` is what it printed.
    """

    def __init__(self, words: Sequence[str], status: int | None, complaint: str) -> None:
        super().__init__(f"{' '.join(words)}: {complaint}")
        self.status = status
        self.complaint = complaint


class Child(ProcessProtocol):
    """A program that runs. ``ending`` is how it ended, None while it runs; ``status`` its exit status, if any."""

    def __init__(self) -> None:
        self.ending: str | None = None
        self.status: int | None = None
        self._output = {1: bytearray(), 2: bytearray()}
        self._waiting: list[Deferred[str]] = []

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self.transport.pid if self.transport is not None and self.ending is None else None

    @property
    def output(self) -> str:
        """What it has printed to its standard output, the end of it if that is long."""
        return self._output[1].decode("utf-8", "replace")

    @property
    def complaint(self) -> str:
        """What it has printed to its standard error in one line, or how it ended."""
        text = " ".join(self._output[2].decode("utf-8", "replace").split())
        return text[-COMPLAINT:] or self.ending or "it runs"

    def ended(self) -> Deferred[str]:
        """Return a Deferred that fires with ``ending`` when the program is gone."""
        waiting: Deferred[str] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        if self.ending is not None:
            self._tell(self.ending)
        return waiting

    async def end(self, reactor: Any, grace: float = GRACE_SECS) -> None:
        """Ask it to go, and make it go when it has not gone after ``grace`` seconds."""
        for name in ("TERM", "KILL"):
            self.signal(name)
            with suppress(TimeoutError):
                await within(grace, reactor, self.ended())
                return

    def signal(self, name: str) -> None:
        """Send it a signal, unless it has ended."""
        with suppress(ProcessExitedAlready):
            self.transport.signalProcess(name)  # type: ignore[union-attr]

    def childDataReceived(self, childFD: int, data: bytes) -> None:  # noqa: N802, N803
        """Keep the end of what it prints."""
        kept = self._output[childFD]
        kept += data
        del kept[:-MOST_OUTPUT]

    def processEnded(self, reason: Failure) -> None:
        """Tell everybody who waits."""
        error = reason.value
        if isinstance(error, ProcessTerminated) and error.signal:
            self.ending = f"it was ended by signal {error.signal}"
        else:
            self.status = error.exitCode if isinstance(error, ProcessTerminated | ProcessDone) else None
            self.ending = f"it exited with status {self.status}"
        self._tell(self.ending)

    def _tell(self, ending: str) -> None:
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(ending)


class Tools:
    """Programs by name, found on ``path`` (our own PATH, and where administrators' programs are, if None)."""

    def __init__(self, reactor: Any, path: str | None = None) -> None:
        self._reactor = reactor
        self._path = path or os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))

    def has(self, program: str) -> bool:
        """Say whether there is such a program."""
        return shutil.which(program, path=self._path) is not None

    async def run(self, *words: str, secret: Secret | None = None, deadline: float = DEADLINE_SECS) -> str:
        """
        Run a program to its end and return what it printed; ``secret`` goes to its standard input in base64.

        :raises ToolFailed: it is not there, ended with another status than 0, or was ended after ``deadline`` seconds.
        """
        child = self.start(*words, secret=secret)
        try:
            await within(deadline, self._reactor, child.ended())
        except TimeoutError:
            raise ToolFailed(words, None, f"no answer within {deadline:g} s") from None
        finally:
            child.signal("KILL")
        if child.status != 0:
            raise ToolFailed(words, child.status, child.complaint)
        return child.output

    def start(self, *words: str, secret: Secret | None = None, tied: bool = False) -> Child:
        """
        Start a program and return it; one that is ``tied`` is asked to go when we die, also of kill -9.

        :raises ToolFailed: it is not there.
        """
        if tied and self.has("setpriv"):
            words = ("setpriv", "--pdeathsig", "TERM", *words)
        program = shutil.which(words[0], path=self._path)
        if program is None:
            raise ToolFailed(words, None, f"there is no program {words[0]}")
        child = Child()
        stdin = _pipe_with(secret) if secret is not None else os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            descriptors: dict[int, int | str] = {0: stdin, 1: "r", 2: "r"}
            self._reactor.spawnProcess(child, program, [program, *words[1:]], self._environment(), childFDs=descriptors)
        finally:
            os.close(stdin)
        return child

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": self._path,
            "LC_ALL": "C",
            "LOG_LEVEL": "error",  # wireguard-go
            "WG_ENDPOINT_RESOLUTION_RETRIES": "0",  # wg(8); names are looked up elsewhere, this is the second lock
        }


def _pipe_with(secret: Secret) -> int:
    """
    Return the end for reading of a pipe that holds the secret in base64, and its end.

    The kernel copies it from the locked page into the pipe; it fits, so that nobody waits.
    """
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        with encode_base64(secret) as text, text.expose() as view:
            os.writev(writing, [view, b"\n"])
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    return reading
