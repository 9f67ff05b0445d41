"""
Asking the target how it is.

Owns: the probes, one after another, and the timer between them. In: the front, through which they go as visitors'
requests do; out: what is found, to the front's ``target``.
"""

from typing import Any, Protocol

from twisted.application.service import Service
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from rustbalance.health.probing import ProbeSettings, Probing
from rustbalance.life import Tasks
from rustbalance.proxy.asking import Unanswered
from rustbalance.proxy.health import TargetHealth


class Askable(Protocol):
    """The front, as far as it matters here."""

    target: TargetHealth

    async def ask(self, path: str, host: str, seconds: float) -> int:
        """
        Return the status of the target's answer.

        :raises Unanswered: there is none.
        """


class Probe(Service):
    """Probes the target behind ``front``: now and then, and when a visitor's request has failed."""

    log = Logger()

    def __init__(self, settings: ProbeSettings, front: Askable, reactor: Any) -> None:
        self.setName("probe")
        self._settings = settings
        self._front = front
        self._reactor = reactor
        self._probing = Probing(settings)
        self._tasks = Tasks(self.log)
        self._timer: IDelayedCall | None = None
        self._asked_at = float("-inf")
        front.target.probed = True
        front.target.doubted = self.soon

    def startService(self) -> None:
        """Probe at once, and from then on."""
        super().startService()
        self._due()

    def stopService(self) -> None:
        """Probe no more."""
        super().stopService()
        self._disarm()
        self._tasks.cancel()

    def soon(self) -> None:
        """Probe as soon as it is decent: somebody has reason to doubt that the target is well."""
        wait = max(0.0, self._asked_at + self._probing.follow_up - self._reactor.seconds())
        if self._timer is not None and self._timer.getTime() > self._reactor.seconds() + wait:
            self._set(wait)

    def _set(self, wait: float) -> None:
        self._disarm()
        if self.running:
            self._timer = self._reactor.callLater(wait, self._due)

    def _disarm(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _due(self) -> None:
        self._timer = None
        self._asked_at = self._reactor.seconds()
        self._tasks.spawn("probing the target", self._probe())

    async def _probe(self) -> None:
        try:
            await self._ask()
        except CancelledError:
            raise
        except Unanswered as error:
            if error.down:
                self._failed(str(error))
            else:
                self.log.debug("the target could not be probed: {error}", error=error)
        finally:
            self._set(self._probing.wait())

    async def _ask(self) -> None:
        status = await self._front.ask(self._settings.path, self._settings.host, self._settings.timeout)
        complaint = self._probing.complaint(status)
        if complaint is not None:
            self._failed(complaint)
        else:
            self._probing.passed()
            self._front.target.up()

    def _failed(self, reason: str) -> None:
        target, probing = self._front.target, self._probing
        probing.failed(target.answers)
        self.log.debug("a probe failed, {count} in a row: {reason}", count=probing.failures, reason=reason)
        if probing.down:
            target.down(f"{reason} ({probing.failures} probes in a row)")
