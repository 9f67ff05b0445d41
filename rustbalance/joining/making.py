"""
Putting joining together: both sides of it, since every member lets others in and most have come that way themselves.

Owns: which parts there are, and until when a node is none of the cluster. In: settings, keys, the cluster as this node
knows it, its Tor; out: ``Door``.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rustbalance.cluster.keys import KeyRing, NodeKey
from rustbalance.cluster.messages import JoinResponse, NodeId, NodeRecord, Ticket
from rustbalance.cluster.records import is_bound
from rustbalance.joining.client import Joiner, Newcomer, Timing
from rustbalance.joining.endpoint import JoinEndpoint, View
from rustbalance.joining.intercept import JoinIntercept
from rustbalance.joining.records import JOINING, LEDGER, JoinFile, Joining, Ledger, StateDamaged
from rustbalance.life import now as read_clocks
from rustbalance.life import threads
from rustbalance.mesh.tunnel_addresses import TunnelNetwork
from rustbalance.moment import Moment
from rustbalance.proxy.socks import SocksAddress
from rustbalance.secrets import Secret
from rustbalance.tor.backoff import exponential
from rustbalance.tor.control import TorControl
from rustbalance.tor.events import Event

BOOT = 16
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds between two attempts to join."""


class Cluster(Protocol):
    """What joining has to know of a node's part in its cluster (``coordination.service.Coordination``)."""

    @property
    def record(self) -> NodeRecord | None:
        """Our own record, signed; None while there is none."""

    @property
    def records(self) -> tuple[NodeRecord, ...]:
        """Those of all other members."""

    @property
    def former(self) -> tuple[NodeRecord, ...]:
        """Those of members that were forgotten."""

    @property
    def settle(self) -> Callable[[str], None]:
        """Takes an address inside the tunnel that a member keeps for us."""

    def learn(self, records: Iterable[NodeRecord]) -> None:
        """These are members from now on."""

    def admit(self, record: NodeRecord) -> None:
        """A node has joined through us."""


@dataclass(frozen=True)
class JoinSettings:
    """
    ``host`` is the master address, ``directory`` keeps what is remembered, ``secret`` stays the caller's.

    ``network``: all addresses inside the tunnel, None without one; ``tunnel``: we need one of them.
    """

    node: NodeId
    host: str
    directory: Path
    secret: Secret
    network: TunnelNetwork | None = None
    tunnel: bool = False


def remembered(directory: Path, node_public_key: bytes) -> Joining | None:
    """
    Return what the node with this directory joins or has joined with, None when it began the cluster.

    :raises rustbalance.joining.records.StateDamaged: that cannot be told, or the node has another key now.
    """
    state = JoinFile(directory / JOINING, Joining).read()
    if state is not None and not is_bound(state.ticket.public_key, state.binding, node_public_key):
        raise StateDamaged(
            f"{directory / JOINING} was made for another node key: put that one back, or join again with a new bundle"
        )
    return state


class Door:
    """
    How a node gets into its cluster, and how others get in through it.

    ``intercept`` is for the front; ``joiner`` is a service, and this object is a listener of the Tor that ``socks``
    belongs to.
    """

    def __init__(
        self,
        settings: JoinSettings,
        ring: KeyRing,
        node_key: NodeKey,
        cluster: Cluster,
        socks: Callable[[], SocksAddress | None],
        reactor: Any,
        random_bytes: Callable[[int], bytes],
        clocks: Callable[[], Moment] = read_clocks,
    ) -> None:
        """
        Read what was done before.

        :raises rustbalance.joining.records.StateDamaged: that cannot be told.
        """
        self._cluster = cluster
        self.joiner = Joiner(
            Newcomer(
                settings.host, settings.secret, ring, node_key, settings.node, random_bytes(BOOT), settings.tunnel
            ),
            JoinFile(settings.directory / JOINING, Joining, threads(reactor)),
            self._own_record,
            socks,
            self._joined,
            Timing(exponential(FIRST_PAUSE, LONGEST_PAUSE, lambda: int.from_bytes(random_bytes(4)) / 2**32)),
            reactor,
            clocks,
            random_bytes,
        )
        self.intercept = JoinIntercept(
            settings.secret,
            JoinEndpoint(ring, node_key, random_bytes(BOOT), random_bytes, settings.network),
            JoinFile(settings.directory / LEDGER, Ledger, threads(reactor)),
            self._view,
            cluster.admit,
            clocks,
        )

    @property
    def outside(self) -> bool:
        """Whether this node is no member yet, and must not take itself for the whole cluster."""
        return not self.joiner.done

    def problems(self) -> tuple[str, ...]:
        """Return what the operator should know, in sentences."""
        return tuple(problem for problem in (self.joiner.problem(), self.intercept.problem) if problem is not None)

    def on_ready(self, control: TorControl) -> None:
        """There is a way out: try it."""
        self.joiner.poke()

    def on_lost(self, reason: str) -> None:
        """The next attempt will find that out."""

    def on_event(self, event: Event) -> None:
        """Nothing that Tor says changes anything here."""

    def _own_record(self, ticket: Ticket, tunnel_ip: str | None) -> NodeRecord | None:
        """Return our record once it says where we are: in the tunnel, at the address that is kept for us."""
        record = self._cluster.record
        if record is None or not record.addresses:
            return None
        if tunnel_ip is not None and not all(address.endswith(f"/{tunnel_ip}") for address in record.addresses):
            self._cluster.settle(tunnel_ip)
            return None
        return record

    def _joined(self, response: JoinResponse) -> None:
        self._cluster.learn(response.records)

    def _view(self) -> View | None:
        record = self._cluster.record
        return None if record is None or self.outside else View(record, self._cluster.records, self._cluster.former)
