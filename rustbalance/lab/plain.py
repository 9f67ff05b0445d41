"""
A plain onion service, to compare ourselves with.

Owns: a Tor that publishes its own service the ordinary way, and when its uploads were confirmed. In: the include file
of a network and a port on loopback to serve; out: an address, and seconds from the start of the process.
"""

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from rustbalance.files import private_directory
from rustbalance.lab import torrc
from rustbalance.lab.control import ControlLink
from rustbalance.lab.tor import LabTor
from rustbalance.life import within


class PlainService:
    """One onion service in a Tor of its own; ``uploads`` are seconds from the start to each confirmed upload."""

    def __init__(self, directory: Path, include: str, target_port: int, control_port: int, reactor: Any) -> None:
        self.uploads: list[float] = []
        self._service = private_directory(directory) / "service"
        options = include + torrc.client(control_port, 0) + torrc.onion_service(self._service, target_port)
        self._tor = LabTor("plain", directory, options, reactor, control_port)
        self._reactor = reactor
        self._link: ControlLink | None = None
        self._began = 0.0
        self._wanted: list[tuple[int, Deferred[float]]] = []

    @property
    def pid(self) -> int | None:
        """Process id of the Tor while it runs."""
        return self._tor.child.pid if self._tor.child else None

    @property
    def onion(self) -> str:
        """The address; Tor writes it while it starts."""
        return (self._service / "hostname").read_text().strip()

    async def start(self) -> None:
        """Start the process and listen for confirmations."""
        self._began = self._reactor.seconds()
        self._tor.start()
        self._link = await self._tor.control()
        await self._link.listen("HS_DESC", self._happened)

    async def published(self, uploads: int = 1, deadline: float = 120.0) -> float:
        """Return the seconds from the start until ``uploads`` directories had confirmed."""
        if len(self.uploads) >= uploads:
            return self.uploads[uploads - 1]
        waiting: Deferred[float] = Deferred()
        self._wanted.append((uploads, waiting))
        return await within(deadline, self._reactor, waiting)

    async def stop(self) -> None:
        """End the process."""
        link, self._link = self._link, None
        if link is not None:
            await link.close()
        await self._tor.stop()

    def _happened(self, event: str) -> None:
        if event.split(" ", 1)[0] != "UPLOADED":
            return
        self.uploads.append(self._reactor.seconds() - self._began)
        due = [waiting for count, waiting in self._wanted if count == len(self.uploads)]
        self._wanted = [(count, waiting) for count, waiting in self._wanted if count > len(self.uploads)]
        for waiting in due:
            if not waiting.called:
                waiting.callback(self.uploads[-1])
