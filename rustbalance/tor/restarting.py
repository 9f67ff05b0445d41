"""
Having a Tor restarted that somebody else runs.

Owns: the command that the operator gave for that, and how often it may run. In: a failure that a restart may mend; out:
the command run, or a sentence for the operator when it does not help.
"""

import os
import shutil
from collections import deque
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from rustbalance.life import within

MOST, SPAN = 3, 300.0
"""So many restarts in so many seconds; after them it needs a person."""
PATIENCE = 60.0
"""Seconds that the command may take."""
LAST_WORDS = 300


class Restarter:
    """
    Runs ``command`` (the program first) for the Tor ``name``, not through a shell and with none of our environment.

    ``problem`` is a sentence from the moment it does not help any more.
    """

    log = Logger()

    def __init__(self, name: str, command: tuple[str, ...], reactor: Any) -> None:
        self.problem: str | None = None
        self._name = name
        self._command = command
        self._reactor = reactor
        self._times: deque[float] = deque(maxlen=MOST)

    async def restart(self) -> None:
        """Run the command, unless there is none or it has run too often; whatever comes of it, this returns."""
        if not self._command:
            return
        now = self._reactor.seconds()
        if len(self._times) == MOST and now - self._times[0] < SPAN:
            self._give_up()
            return
        self._times.append(now)
        self.problem = None
        self.log.warn("restarting Tor ({name}) by tor.restart_command", name=self._name)
        trouble = await self._run()
        if trouble is not None:
            self.log.error("tor.restart_command for Tor ({name}) failed: {trouble}", name=self._name, trouble=trouble)

    def _give_up(self) -> None:
        if self.problem is None:
            self.problem = (
                f"it was restarted {MOST} times in {SPAN / 60:g} minutes and does not stay: see what its own log says "
                "(journalctl -u tor@default, or tor@standby), mend that, then start it; it is taken back by itself"
            )
            self.log.error("Tor ({name}): {problem}", name=self._name, problem=self.problem)

    async def _run(self) -> str | None:
        """Return what went wrong with the command itself."""
        program = shutil.which(self._command[0])
        if program is None:
            return f"there is no program {self._command[0]}"
        process = _Command()
        try:
            environment = {"PATH": os.environ.get("PATH", os.defpath)}
            self._reactor.spawnProcess(process, program, list(self._command), env=environment)
            return await within(PATIENCE, self._reactor, process.ended)
        except TimeoutError:
            process.kill()
            await process.gone
            return f"it took longer than {PATIENCE:g} s"
        except OSError as error:
            return str(error)


class _Command(ProcessProtocol):
    """The command while it runs; ``ended`` fires with what went wrong."""

    def __init__(self) -> None:
        self.ended: Deferred[str | None] = Deferred()
        self.gone: Deferred[None] = Deferred()
        self._said = b""

    def outReceived(self, data: bytes) -> None:
        """Keep the last of what it says."""
        self._said = (self._said + data)[-LAST_WORDS:]

    errReceived = outReceived

    def kill(self) -> None:
        """End it."""
        with suppress(ProcessExitedAlready):
            self.transport.signalProcess("KILL")  # type: ignore[union-attr]

    def processEnded(self, reason: Failure) -> None:
        """Tell, also when nobody waits for the outcome any more."""
        self.gone.callback(None)
        if not self.ended.called:
            said = self._said.decode("utf-8", "replace").strip()
            self.ended.callback(None if reason.check(ProcessDone) else f"{reason.value} {said}")
