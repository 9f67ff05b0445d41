"""
The carrier over Tor: streams between onion services, one for each node.

Owns: our service on the scout Tor, and dialling those of the peers. In: a ``TorInstance`` that publishes what it is
given, a directory; out: a ``Carrier``. No node learns where another one is, and no port is open.

After a failure the next attempt takes another circuit, and Tor forgets what it has cached: a descriptor from before the
peer's Tor was restarted leads nowhere, and Tor would not ask the same directory again for many minutes.
"""

import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.internet.defer import TimeoutError
from twisted.internet.endpoints import UNIXServerEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from rustbalance.life import pause
from rustbalance.mesh.carrier import NodeId
from rustbalance.mesh.links import Attempt
from rustbalance.mesh.onion_service import MESH_PORT, MeshService, ServiceRefused
from rustbalance.mesh.stream_carrier import StreamCarrier, UnusableAddress, monotonic
from rustbalance.mesh.streams import Timings
from rustbalance.onion.address import AddressError, OnionAddress
from rustbalance.proxy.socks import SocksAddress, SocksEndpoint, SocksRefused
from rustbalance.tor.backoff import Backoff, exponential
from rustbalance.tor.control import ControlError, TorControl
from rustbalance.tor.events import DescriptorUploaded, Event
from rustbalance.tor.instance import TorInstance

TIMINGS = Timings()
#: Waits of a second and more, up to half a minute, with jitter.
BACKOFF = exponential(1.0, 30.0, random.SystemRandom().random)
#: Seconds between two times that Tor is made to forget, more and more of them while a peer stays away.
FORGETTING = exponential(12.0, 600.0, lambda: 0.0)
#: Seconds until a Tor that refused our service is asked again.
REFUSED = 30.0
UNPUBLISHED = "the mesh's onion service is not published yet"


class TorNotReady(Exception):
    """The scout does not serve at present."""


class OnionCarrier(StreamCarrier):
    """
    Carries frames through ``tor``, whose own start and stop remain the caller's: start it after this, stop it later.

    ``directory`` holds the key of our service and its socket.

    :raises rustbalance.tor.torrc.SocketPathTooLong: the directory lies too deep for a Unix socket.
    """

    scheme = "tor"

    def __init__(
        self,
        tor: TorInstance,
        directory: Path,
        reactor: Any,
        timings: Timings = TIMINGS,
        backoff: Backoff = BACKOFF,
        seconds: Callable[[], float] = monotonic,
    ) -> None:
        super().__init__(reactor, timings, backoff, seconds)
        self._tor = tor
        self._service = MeshService(directory)
        self._seconds = seconds
        self._own: OnionAddress | None = None
        self._control: TorControl | None = None
        self._port: Any = None
        self._subscribed = False
        self._forget_after = float("-inf")
        self._forgotten = 0

    @property
    def address(self) -> str | None:
        """Return ``tor:….onion`` from the start on: the record of a node may go ahead of its descriptor."""
        return None if self._own is None else f"tor:{self._own.text}"

    def startService(self) -> None:
        """
        Make the key, when there is none, and begin.

        :raises rustbalance.files.UnsafePath: a directory is open to others.
        :raises rustbalance.key_files.KeyFileError: the key is not usable. :raises OSError: it cannot be written.
        """
        self._own = self._service.prepare()
        super().startService()

    async def listen(self, factory: Factory) -> None:
        """Make the socket, and see that Tor runs the service whenever there is a Tor."""
        with suppress(FileNotFoundError):
            self._service.socket.unlink()
        self._port = await UNIXServerEndpoint(self.reactor, str(self._service.socket), mode=0o600).listen(factory)
        if not self._subscribed:
            self._subscribed = True
            self._tor.subscribe(self)

    async def hang_up(self) -> None:
        """Close the socket; the service ends with its Tor."""
        port, self._port = self._port, None
        if port is not None:
            await port.stopListening()

    def endpoint(self, peer: NodeId, address: str, attempt: Attempt) -> IStreamClientEndpoint:
        """Return the way to the peer's service: its mesh port and no other, on a circuit of this attempt."""
        if self._control is None:
            raise TorNotReady("Tor (scout) does not serve yet")
        try:
            onion = OnionAddress.parse(address)
        except AddressError as error:
            raise UnusableAddress(str(error)) from None
        isolation = f"mesh.{peer}.{attempt.number}"
        return SocksEndpoint(self.reactor, self._socks(), onion.text, MESH_PORT, isolation, attempt.seconds)

    def _socks(self) -> SocksAddress:
        place = self._tor.socks
        return SocksAddress(path=str(place)) if isinstance(place, Path) else SocksAddress(host=place[0], port=place[1])

    def on_ready(self, control: TorControl) -> None:
        """Give Tor our service, and dial."""
        self._control = control
        if self.running:
            self.tasks.spawn("setting the mesh's onion service up", self._serve(control))
            self.hurry()

    def on_lost(self, reason: str) -> None:
        """Note that Tor is away; its streams end by themselves."""
        self._control = None
        self.problem = f"the mesh has no Tor: {reason}"

    def on_event(self, event: Event) -> None:
        """Note that peers can find us."""
        if isinstance(event, DescriptorUploaded) and event.address == self._own and self.problem == UNPUBLISHED:
            self.problem = None
            self.log.info("the mesh's onion service is published")

    async def _serve(self, control: TorControl) -> None:
        while control is self._control:
            try:
                self.problem = UNPUBLISHED
                await self._service.run_on(control)
            except (ControlError, ServiceRefused) as error:
                self.problem = f"the mesh's onion service cannot be set up: {error}"
                self.log.error("{problem}", problem=self.problem)
                await pause(self.reactor, REFUSED)
            else:
                return

    def reached(self) -> None:
        """Note that things go well."""
        self._forgotten = 0

    def unreachable(self, failure: Failure) -> None:
        """Make Tor forget old descriptors, now and then."""
        control, now = self._control, self._seconds()
        if control is None or not failure.check(SocksRefused, TimeoutError) or now < self._forget_after:
            return
        self._forgotten += 1
        self._forget_after = now + FORGETTING(self._forgotten)
        self.tasks.spawn("making Tor forget old descriptors", control.signal("NEWNYM"))
