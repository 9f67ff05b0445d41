"""
The carrier over plain TCP, for loopback and a trusted LAN.

Owns: the listening port, and which addresses are dialled. In: ``HOST:PORT``; out: a ``Carrier``.

What passes is encrypted and authenticated frame by frame (``rustbalance.cluster.frames``), so that a link needs no
secret of its own and cannot leak one. Whoever watches the wire sees which machines talk, when, how much, and in each
frame's head the id of the cluster's key; that is why nodes who must not learn each other's place use ``tor``. Whoever
connects without being a member is told nothing.
"""

import ipaddress
import random
from collections.abc import Callable
from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, TCP6ClientEndpoint, TCP6ServerEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory

from rustbalance.mesh.carrier import NodeId
from rustbalance.mesh.links import Attempt
from rustbalance.mesh.stream_carrier import StreamCarrier, UnusableAddress, monotonic
from rustbalance.mesh.streams import Timings
from rustbalance.tor.backoff import Backoff, exponential

#: Deadlines on a local network, in seconds.
TIMINGS = Timings(dial=3.0, longest_dial=10.0, keepalive=2.0, doubt=1.5, silence=4.0, idle=10.0)
#: Waits of half a second and more, up to 5 seconds, with jitter.
BACKOFF = exponential(0.5, 5.0, random.SystemRandom().random)


class DirectCarrier(StreamCarrier):
    """
    Listens on ``HOST:PORT`` (port 0 picks one) and dials the ``direct:`` addresses of its peers.

    :raises UnusableAddress: ``listen`` is no such address, or not one of a local network.
    """

    scheme = "direct"

    def __init__(
        self,
        listen: str,
        reactor: Any,
        timings: Timings = TIMINGS,
        backoff: Backoff = BACKOFF,
        seconds: Callable[[], float] = monotonic,
    ) -> None:
        super().__init__(reactor, timings, backoff, seconds)
        self._host, self._wanted = parse(listen, lowest_port=0)
        self._port: Any = None

    @property
    def address(self) -> str | None:
        """Return ``direct:HOST:PORT`` while we listen."""
        return None if self._port is None else f"direct:{shown(self._host, self._port.getHost().port)}"

    async def listen(self, factory: Factory) -> None:
        """Bind the port."""
        kind = TCP6ServerEndpoint if ":" in self._host else TCP4ServerEndpoint
        self._port = await kind(self.reactor, self._wanted, interface=self._host).listen(factory)

    async def hang_up(self) -> None:
        """Close the port."""
        port, self._port = self._port, None
        if port is not None:
            await port.stopListening()

    def endpoint(self, peer: NodeId, address: str, attempt: Attempt) -> IStreamClientEndpoint:
        """Return a TCP endpoint; no name is ever looked up."""
        host, port = parse(address)
        kind = TCP6ClientEndpoint if ":" in host else TCP4ClientEndpoint
        return kind(self.reactor, host, port, timeout=attempt.seconds)


def parse(address: str, lowest_port: int = 1) -> tuple[str, int]:
    """
    Return host and port of ``HOST:PORT`` or ``[HOST]:PORT``.

    :raises UnusableAddress: the host is no IP address of a local network, or the port no number in range.
    """
    host, _, port = address.rpartition(":")
    try:
        found = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise UnusableAddress(f"the host in {address!r} must be an IP address; names are not looked up") from None
    if found.is_unspecified or found.is_multicast or not found.is_private:
        raise UnusableAddress(f"{address!r} must be on loopback or in a private network; use tor or wireguard")
    if not (port.isascii() and port.isdigit() and lowest_port <= int(port) <= 65535):
        raise UnusableAddress(f"the port in {address!r} must be a number from {lowest_port} to 65535")
    return str(found), int(port)


def shown(host: str, port: int) -> str:
    """Return the address as ``parse`` reads it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
