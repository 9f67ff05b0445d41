"""
The carrier inside a WireGuard tunnel.

Owns: who is a peer, what our address is, and which frame goes to which address. In: settings, our private key,
members; out: a ``Carrier``. ``wg_keeper`` keeps the interface, ``tunnel_socket`` moves the frames.

WireGuard tells every member, and whoever watches the machines, the public IP addresses of the others: it is for nodes
that stand together or need not hide from each other. Those that do use ``tor``.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from rustbalance.cluster.envelope import MAX_FRAME
from rustbalance.life import deferred, pause
from rustbalance.mesh.carrier import Carrier, CarrierStatus, NodeId, Peer, address_of
from rustbalance.mesh.endpoint_names import EndpointNames, Lookup, lookup
from rustbalance.mesh.outbox import Outbox
from rustbalance.mesh.stream_carrier import monotonic
from rustbalance.mesh.tunnel_addresses import (
    DEFAULT_NETWORK,
    NoAddressLeft,
    TunnelAddress,
    TunnelNetwork,
    allocate,
    usable,
)
from rustbalance.mesh.tunnel_socket import TunnelSocket
from rustbalance.mesh.wg_config import Choice, Endpoint, WgAddress, WgPeer, choose_peers
from rustbalance.mesh.wg_interface import InterfaceSettings, Report, WgInterface
from rustbalance.mesh.wg_keeper import BACKOFF, Keeper
from rustbalance.mesh.wg_report import Reach
from rustbalance.mesh.wg_tool import Tools
from rustbalance.onion.client_auth import x25519_public
from rustbalance.secrets import Secret
from rustbalance.tor.backoff import Backoff

LIFETIME_SECS = 4.0
"""A frame that waits for the interface longer than this is stale."""
ANNOUNCE_SECS = 5.0
"""Between telling of our new address inside the tunnel and taking it, so that those who hear of it can let it in."""
MOVE_PAUSE_SECS = 600.0
"""Between two moves: nobody can keep us moving."""
DRAIN_SECS = 0.2
"""What was sent last leaves the tunnel before it is taken down."""


@dataclass(frozen=True)
class WireguardSettings:
    """
    ``tunnel_ip``: our address in ``network``. ``external_endpoint``: where others reach ``listen_port``, if they can.

    ``seeds``: peers that are known before any record of theirs, by node id; a record takes their place.
    """

    tunnel_ip: TunnelAddress
    interface: str = "wg-rb"
    listen_port: int = 51820
    network: TunnelNetwork = DEFAULT_NETWORK
    external_endpoint: Endpoint | None = None
    userspace: str = "wireguard-go"
    seeds: Mapping[NodeId, WgAddress] = field(default_factory=dict)


class WireguardCarrier(Carrier):
    """
    Frames as UDP datagrams between the addresses inside the tunnel.

    ``private_key``: 32 bytes, which stay the caller's and must live as long as the service. ``moved`` is called with
    our new ``address`` when another member turns out to have the same one inside the tunnel and we are to give way: it
    must be in our record at once.

    :raises ValueError: the key has not 32 bytes, or the address inside the tunnel is none of the network's.
    """

    log = Logger()
    scheme = "wireguard"

    def __init__(
        self,
        settings: WireguardSettings,
        private_key: Secret,
        reactor: Any,
        random_bytes: Callable[[int], bytes],
        *,
        tools: Tools | None = None,
        look: Lookup = lookup,
        backoff: Backoff = BACKOFF,
        seconds: Callable[[], float] = monotonic,
    ) -> None:
        super().__init__()
        _check(settings, private_key)
        self._settings = settings
        self._reactor = reactor
        self._seconds = seconds
        self._own = WgAddress(x25519_public(private_key), settings.external_endpoint, settings.tunnel_ip)
        self._next: WgAddress | None = None
        self._moved_at = -MOVE_PAUSE_SECS
        self._moving: IDelayedCall | None = None
        self._claims: dict[NodeId, str] = {node: str(seed) for node, seed in settings.seeds.items()}
        self._choice = Choice({}, {}, give_way=False)
        self._reach = Reach()
        self._up: frozenset[NodeId] = frozenset()
        self._waiting: dict[NodeId, Outbox] = {}
        self._dropped = 0
        number = int.from_bytes(random_bytes(8))
        self._socket = TunnelSocket(lambda source, frame: self.received(frame), number, reactor, seconds)
        self._interface = WgInterface(
            InterfaceSettings(settings.interface, settings.listen_port, settings.network.prefixlen, settings.userspace),
            private_key,
            self._own.key,
            tools or Tools(reactor),
            reactor,
        )
        self._keeper = Keeper(self._interface, self, reactor, seconds, backoff)
        self._names = EndpointNames(self._keeper.look, reactor, seconds, look)

    @property
    def address(self) -> str | None:
        """
        Return ``wireguard:PUBLIC_KEY@ENDPOINT/TUNNEL_IP``, also while the interface is being made, or made anew.

        A record of ours that had none would take us from the interfaces of all others: nothing could tell them better.
        """
        return f"{self.scheme}:{self._next or self._own}"

    @property
    def pid(self) -> int | None:
        """The process id of wireguard-go, None where the kernel does its work."""
        return self._interface.pid

    def startService(self) -> None:
        """Make the interface, and keep it."""
        super().startService()
        self._choose()
        self._keeper.start()

    def stopService(self) -> Deferred[None]:
        """Take the interface down."""
        super().stopService()
        return deferred(self._stop())

    async def _stop(self) -> None:
        if self._moving is not None and self._moving.active():
            self._moving.cancel()
        if self._socket.open:
            await pause(self._reactor, DRAIN_SECS)
        self._names.stop()
        await self._keeper.stop()

    def set_peers(self, records: Collection[Peer]) -> None:
        """Have exactly these peers, and the seeds of which there is no record yet."""
        seeds = {node: str(seed) for node, seed in self._settings.seeds.items()}
        found = {record.id: address_of(record, self.scheme) for record in records}
        self._claims = {node: claim for node, claim in (seeds | found).items() if claim is not None}
        if self.running:
            self._choose()
            self._keeper.look()

    def settle(self, tunnel_ip: str) -> None:
        """Take this address at once: nobody knows of another one of ours yet."""
        self._own = replace(self._own, tunnel_ip=ip_address(tunnel_ip))
        self.moved(f"{self.scheme}:{self._own}")
        if self.running:
            self._choose()
            self._keeper.look()

    def rejoin(self, node: NodeId) -> None:
        """Begin a new session with the peer, at the address that its name has now."""
        peer = self._choice.peers.get(node)
        if peer is not None:
            self._keeper.forget(peer.key)

    def rebuild(self, reason: str) -> None:
        """Make the interface anew."""
        self._keeper.rebuild(reason)

    def send(self, to: NodeId, frame: bytes, slot: str | None = None) -> None:
        """
        Send ``frame``, or keep it for a moment while the interface is made anew.

        :raises ValueError: the frame is empty or longer than ``MAX_FRAME``.
        """
        if not 1 <= len(frame) <= MAX_FRAME:
            raise ValueError(f"a frame must have 1 to {MAX_FRAME} bytes, not {len(frame)}")
        peer = self._choice.peers.get(to)
        if peer is None:
            self._dropped += 1
        elif self._socket.open:
            self._socket.send(str(peer.tunnel_ip), frame)
        else:
            self._waiting.setdefault(to, Outbox(LIFETIME_SECS)).put(frame, slot, self._seconds())

    def status(self) -> CarrierStatus:
        """Return how the carrier does; ``listening`` is None while there is no interface."""
        known = len(self._choice.peers) + len(self._choice.refused)
        refusals = "; ".join(f"{node} cannot be a peer: {why}" for node, why in self._choice.refused.items())
        waiting = sum(outbox.dropped for outbox in self._waiting.values())
        return CarrierStatus(
            name=self.scheme,
            listening=self.address if self._socket.open else None,
            links_up=len(self._up),
            links_down=known - len(self._up),
            frames_dropped=self._dropped + waiting + self._socket.dropped,
            problem=self._keeper.problem or refusals or None,
        )

    # What the keeper asks and tells.

    def tunnel_ip(self) -> TunnelAddress:
        """Return our address inside the tunnel."""
        return self._own.tunnel_ip

    def wanted(self) -> dict[str, WgPeer]:
        """Return the peers that the interface should have."""
        return {
            peer.key: WgPeer(peer.key, peer.tunnel_ip, self._names.numeric(peer.endpoint))
            for peer in self._choice.peers.values()
        }

    def on_made(self) -> None:
        """Open the socket, and send what has waited for it."""
        self._socket.listen(str(self._own.tunnel_ip), self._interface.name)
        for node, outbox in self._waiting.items():
            while (frame := outbox.take(self._seconds())) is not None:
                self.send(node, frame)

    def on_report(self, report: Report) -> None:
        """Note who is within reach."""
        self._reach.observe(report.handshakes, self._seconds())
        within_reach = self._reach.within(self._seconds())
        up = frozenset(node for node, peer in self._choice.peers.items() if peer.key in within_reach)
        before, self._up = self._up, up
        for node in sorted(up - before):
            self._opened(node)

    def _opened(self, node: NodeId) -> None:
        try:
            self.link_opened(node)
        except Exception:
            self.log.failure("telling of the link to {node} failed", node=node)

    def on_lost(self) -> None:
        """Close the socket; all sessions are gone."""
        self._socket.close()
        self._reach.forget()
        self._up = frozenset()

    # Who is a peer.

    def _choose(self) -> None:
        holders = {peer.tunnel_ip: peer.key for peer in self._choice.peers.values()}
        before, self._choice = self._choice, choose_peers(self._claims, self._own, self._settings.network, holders)
        peers = self._choice.peers
        self._names.keep_only({peer.endpoint for peer in peers.values() if peer.endpoint is not None})
        self._socket.set_peers([str(peer.tunnel_ip) for peer in peers.values()])
        self._up &= peers.keys()
        for node in self._waiting.keys() - peers.keys():
            self._dropped += self._waiting.pop(node).dropped
        for node, why in self._choice.refused.items() - before.refused.items():
            self.log.warn("{node} cannot be a peer: {why}", node=node, why=why)
        if self._choice.give_way and self._next is None:
            self._plan_move()

    def _plan_move(self) -> None:
        """Choose another address and tell of it; it is taken a little later."""
        if self._seconds() - self._moved_at < MOVE_PAUSE_SECS:
            return
        taken = {self._own.tunnel_ip, *(peer.tunnel_ip for peer in self._choice.peers.values())}
        try:
            address = allocate(self._settings.network, taken, self._own.public_key)
        except NoAddressLeft as error:
            self.log.error("another member has our address inside the tunnel, and {error}", error=error)
            return
        self._moved_at = self._seconds()
        self._next = replace(self._own, tunnel_ip=address)
        self.log.warn("another member has our address inside the tunnel; we take {address}", address=address)
        self._moving = self._reactor.callLater(ANNOUNCE_SECS, self._move)
        self.moved(f"{self.scheme}:{self._next}")

    def _move(self) -> None:
        self._own, self._next = self._next or self._own, None
        self._choose()
        self._keeper.look()


def _check(settings: WireguardSettings, private_key: Secret) -> None:
    if len(private_key) != 32:
        raise ValueError(f"a WireGuard key must have 32 bytes, not {len(private_key)}")
    if not usable(settings.tunnel_ip, settings.network):
        raise ValueError(f"{settings.tunnel_ip} must be an address for a node of {settings.network}")
