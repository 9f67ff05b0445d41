"""
A Tor that we run ourselves.

Owns: the directory of an instance and the child process in it. In: settings and, for one that serves, the identity
key; out: ``ManagedTor``. Without a key it is a plain client that may publish other services (a scout).
"""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from twisted.internet.defer import TimeoutError
from twisted.internet.endpoints import UNIXClientEndpoint

from rustbalance.files import ensure_contents, private_directory
from rustbalance.life import pause, within
from rustbalance.onion.keys import MasterKey
from rustbalance.tor.backoff import Backoff
from rustbalance.tor.control import ControlLost, ControlTimeout, Patience, TorControl, connect
from rustbalance.tor.events import Event, IntroductionCircuit, parse_event
from rustbalance.tor.failures import TorFailure
from rustbalance.tor.instance import BACKOFF, TorInstance
from rustbalance.tor.process import TorProcess, end_leftover, start
from rustbalance.tor.service_dir import prepare_service_directory
from rustbalance.tor.service_setup import confirm_service
from rustbalance.tor.torrc import HiddenService, Layout, render

#: Seconds between two looks for the control socket.
LOOK = 0.05
#: Seconds for a child to go when asked; after that it is killed.
END_PATIENCE = 3.0


@dataclass(frozen=True)
class ManagedSettings:
    """
    One instance below ``directory``, which is made when it is missing.

    ``forward_to``: where visitors are sent, ``unix:PATH`` or ``HOST:PORT``, or a function that says so at each start.
    ``introduction_points``: 3 to 20.
    """

    directory: Path
    binary: str = "tor"
    torrc_include: Path | None = None
    introduction_points: int = 3
    forward_to: str | Callable[[], str] = ""


class ManagedTor(TorInstance):
    """
    A child process, restarted when it ends, hangs or loses its control connection.

    :raises rustbalance.tor.torrc.SocketPathTooLong: the directory lies too deep for Unix sockets.
    """

    mode: Literal["managed", "external"] = "managed"

    def __init__(
        self,
        name: str,
        settings: ManagedSettings,
        key: Callable[[], MasterKey] | MasterKey | None,
        reactor: Any,
        backoff: Backoff = BACKOFF,
        patience: Patience = Patience(),  # noqa: B008  (frozen)
    ) -> None:
        super().__init__(name, reactor, backoff, patience)
        self._layout = Layout(settings.directory)
        self.socks = self._layout.socks_socket
        self.serves_visitors = key is not None
        self._settings = settings
        self._key = key
        self._process: TorProcess | None = None
        self._introductions: set[str] = set()
        self.subscribe(self)
        self._leaving: TorProcess | None = None
        self._end_patience = END_PATIENCE
        self._service: HiddenService | None = None

    @property
    def pid(self) -> int | None:
        """The process id of the child, None when there is none."""
        return self._process.pid if self._process is not None else None

    def startService(self) -> None:
        """Begin, with time to end again."""
        self._end_patience = END_PATIENCE
        super().startService()

    async def connect(self) -> TorControl:
        """Write everything Tor reads, start it, and connect as soon as its control socket is there."""
        self._introductions.clear()
        self._clear_up_after_a_predecessor()
        self._write()
        layout = self._layout
        process = start(self._reactor, self._settings.binary, layout.torrc, layout.pid_file, self._complained)
        self._process = process
        process.ended().addCallback(lambda reason: self._ended(process, reason))
        return await self._reach()

    async def prepare(self, control: TorControl) -> None:
        """Tie Tor's life to this connection and see that it has read what we wrote."""
        await control.take_ownership()
        if self._service is not None:
            await confirm_service(control, self._service)

    async def look_after(self, control: TorControl) -> None:
        """
        Count the introduction circuits: a Tor that never gets one again serves nobody, which was seen after a kill.

        Events tell of them; Tor is asked only when there seems to be none.
        """
        if self._service is None:
            return
        if not self._introductions:
            for line in (await control.get_info("circuit-status")).splitlines():
                self.on_event(parse_event(f"CIRC {line}"))
        self.counted(len(self._introductions))

    def on_event(self, event: Event | None) -> None:
        """Follow the introduction circuits."""
        if isinstance(event, IntroductionCircuit):
            change = self._introductions.add if event.established else self._introductions.discard
            change(event.circuit)

    def on_ready(self, control: TorControl) -> None:
        """Know it already."""

    def on_lost(self, reason: str) -> None:
        """Know it already."""

    async def close(self) -> None:
        """End the child for certain; one that hangs would not hear that it is asked to go."""
        process, self._process = self._process, None
        if process is not None:
            self._leaving = process
            if self.running and self.failure is TorFailure.HUNG:
                process.kill()
            await process.end(self._reactor, self._end_patience)

    def hurry(self, seconds: float) -> None:
        """
        Use up half of the time before a child that does not go is killed; one that had been asked before goes at once.

        The other half is for the machine to come round and for the kernel: no child may outlive us.
        """
        self._end_patience = min(END_PATIENCE, seconds / 2)
        if self._leaving is not None:
            self._leaving.kill()

    def _clear_up_after_a_predecessor(self) -> None:
        pid = end_leftover(self._layout.pid_file, self._layout.torrc)
        if pid is not None:
            self.log.warn("killed a Tor ({name}) that an earlier daemon left, process {pid}", name=self.name, pid=pid)
        with suppress(FileNotFoundError):
            self._layout.control_socket.unlink()

    def _write(self) -> None:
        layout, settings = self._layout, self._settings
        private_directory(layout.directory)
        key = self._key() if callable(self._key) else self._key
        if key is not None:
            forward_to = settings.forward_to() if callable(settings.forward_to) else settings.forward_to
            self._service = HiddenService(layout.service, forward_to, settings.introduction_points)
            prepare_service_directory(layout.service, key)
        text = render(layout, self._service, settings.torrc_include, os.getpid())
        ensure_contents(layout.torrc, os.fsencode(text))

    async def _reach(self) -> TorControl:
        seconds = self._patience.start
        try:
            return await within(seconds, self._reactor, self._knock())
        except TimeoutError:
            raise ControlTimeout(f"Tor did not open its control socket within {seconds:g} s") from None

    async def _knock(self) -> TorControl:
        endpoint = UNIXClientEndpoint(self._reactor, str(self._layout.control_socket))
        while True:
            try:
                return await connect(endpoint, self._reactor, None, self._patience)
            except ControlLost:
                await pause(self._reactor, LOOK)

    def _ended(self, process: TorProcess, reason: str) -> None:
        if process is self._process:
            self.failed(reason, TorFailure.ENDED)

    def _complained(self, text: str) -> None:
        self.log.warn("Tor ({name}) says: {text}", name=self.name, text=text)
