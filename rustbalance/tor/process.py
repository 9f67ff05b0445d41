"""
A Tor as a child process.

Owns: starting it, hearing what it complains about, ending it for certain. In: a torrc; out: ``TorProcess``.
It gets a short environment, none of ours: that may hold the key to the configuration.
"""

import os
import re
import shutil
import signal
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from rustbalance.files import write_atomically
from rustbalance.life import within

#: Complaints of a Tor that are kept to explain its end.
KEPT = 3
_COMPLAINT = re.compile(r"\[(warn|err)\] (.*)")


class TorNotFound(FileNotFoundError):
    """The tor binary is not where the configuration says."""


class TorProcess(ProcessProtocol):
    """One child. ``on_complaint`` is called with the text of each warning and error that it prints."""

    def __init__(self, on_complaint: Callable[[str], None]) -> None:
        self.reason: str | None = None
        self._on_complaint = on_complaint
        self._complaints: deque[str] = deque(maxlen=KEPT)
        self._rest = ""
        self._waiting: list[Deferred[str]] = []

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self.transport.pid if self.transport is not None and self.reason is None else None

    def ended(self) -> Deferred[str]:
        """Return a Deferred that fires with the reason when the process is gone."""
        waiting: Deferred[str] = Deferred(self._waiting.remove)
        if self.reason is not None:
            waiting.callback(self.reason)
        else:
            self._waiting.append(waiting)
        return waiting

    async def end(self, reactor: Any, patience: float) -> None:
        """Ask it to go; make it go when it has not gone within ``patience`` seconds."""
        for name in ("TERM", "KILL"):
            self._signal(name)
            with suppress(TimeoutError):
                await within(patience, reactor, self.ended())
                return

    def kill(self) -> None:
        """Make it go at once."""
        self._signal("KILL")

    def _signal(self, name: str) -> None:
        with suppress(ProcessExitedAlready):
            self.transport.signalProcess(name)  # type: ignore[union-attr]

    def outReceived(self, data: bytes) -> None:
        """Take what it prints."""
        *lines, self._rest = (self._rest + data.decode("utf-8", "replace")).split("\n")
        for line in lines:
            self._take(line)

    errReceived = outReceived

    def _take(self, line: str) -> None:
        found = _COMPLAINT.search(line)
        if found is not None:
            self._complaints.append(found[2].strip())
            self._on_complaint(found[2].strip())

    def processEnded(self, reason: Failure) -> None:
        """Tell everybody who waits."""
        self._take(self._rest)
        self.reason = ": ".join([_how(reason.value), *self._complaints])
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            deferred.callback(self.reason)


def _how(error: BaseException | None) -> str:
    if isinstance(error, ProcessTerminated) and error.signal:
        return f"it was ended by signal {error.signal}"
    status = error.exitCode if isinstance(error, ProcessTerminated | ProcessDone) else "unknown"
    return f"it exited with status {status}"


def start(reactor: Any, binary: str, torrc: Path, pid_file: Path, on_complaint: Callable[[str], None]) -> TorProcess:
    """
    Start ``binary`` with ``torrc`` alone, without the defaults of the system, and note its process id.

    It gets a session of its own: Ctrl-C at a terminal is for the daemon, which lets visitors finish before Tor goes.

    :raises TorNotFound: there is no such program. :raises OSError: its id cannot be noted; it has been killed.
    """
    program = shutil.which(binary)
    if program is None:
        raise TorNotFound(f"there is no program {binary}; install tor or set tor.binary")
    process = TorProcess(on_complaint)
    arguments = [*_apart(), program, "-f", str(torrc), "--defaults-torrc", os.devnull, "--hush"]
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(torrc.parent)}
    child = reactor.spawnProcess(process, arguments[0], arguments, env=environment, path=str(torrc.parent))
    try:
        write_atomically(pid_file, f"{child.pid}\n".encode(), durable=False)
    except BaseException:
        process.kill()
        raise
    return process


def _apart() -> list[str]:
    """Return what makes a session for a program and then becomes it, so that the process id stays: setsid(1)."""
    setsid = shutil.which("setsid")
    return [setsid] if setsid is not None else []


def end_leftover(pid_file: Path, torrc: Path) -> int | None:
    """
    Kill the Tor of a daemon that is gone, and return its process id; None when there is none.

    Such a Tor ends by itself, unless it hangs; but for as long as it lives it holds the lock on its DataDirectory, and
    the next one takes the control socket away before it finds out. A process that was not started with ``torrc`` is
    left alone: numbers are used again.
    """
    try:
        pid = int(pid_file.read_text())
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if os.fsencode(torrc) not in arguments:
            return None
        os.kill(pid, signal.SIGKILL)
    except (OSError, ValueError):
        return None
    return pid
