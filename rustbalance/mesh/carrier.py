"""
What a carrier is, whatever it runs over.

Owns: the interface between the cluster and the network. In: sealed frames and who they are for; out: sealed frames
that arrived. Datagram semantics: a frame arrives whole or not at all, in any order, and nobody is told that it is lost.
"""

from abc import abstractmethod
from collections.abc import Callable, Collection
from typing import Protocol

import msgspec
from twisted.application.service import Service
from twisted.logger import Logger

#: 1 to 64 of ``[a-z0-9-]``, as in ``rustbalance.cluster.messages``.
NodeId = str
#: What a receiver answers when it refuses a frame.
NOBODY: NodeId = ""
#: Takes a frame that arrived; returns who sealed it, or ``NOBODY`` when it is refused.
Receiver = Callable[[bytes], NodeId]


class Peer(Protocol):
    """What a carrier wants to know of a member; ``rustbalance.cluster.messages.NodeRecord`` is one."""

    @property
    def id(self) -> NodeId:
        """Return the name that ``send`` takes."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return the addresses on all carriers, each led by its carrier's name and a colon."""


class CarrierStatus(msgspec.Struct, frozen=True, kw_only=True):
    """
    A carrier as the status page shows it.

    ``listening``: our own address, None while peers cannot reach it. ``links_up``: peers that a frame would reach now;
    ``links_down``: the others. ``frames_dropped``: since the start, for want of a link or of room.
    """

    name: str
    listening: str | None
    links_up: int
    links_down: int
    frames_dropped: int
    problem: str | None


class Carrier(Service):
    """
    Carries frames between this node and its peers.

    Set ``receiver`` before the start. ``link_opened`` is called with a peer's id when a stream to it has just come up:
    whoever has something to say to it says it now; a carrier without links never calls it. ``moved`` is called with our
    new ``address`` when that has to be in our record at once.
    """

    log = Logger()
    #: Leads the addresses of this carrier: ``tor``, ``direct``, ``wireguard``.
    scheme: str

    def __init__(self) -> None:
        self.setName(f"carrier {self.scheme}")
        self.receiver: Receiver = refuse
        self.link_opened: Callable[[NodeId], None] = ignore
        self.moved: Callable[[str], None] = ignore

    @property
    @abstractmethod
    def address(self) -> str | None:
        """Return what peers need to reach us (for our ``NodeRecord.addresses``), None as long as they cannot."""

    @abstractmethod
    def set_peers(self, records: Collection[Peer]) -> None:
        """
        Keep links to exactly these peers.

        Who is new is dialled, who is gone is cut off, who has another address is dialled there. A record without an
        address of this carrier is a peer that can only be answered.
        """

    @abstractmethod
    def send(self, to: NodeId, frame: bytes, slot: str | None = None) -> None:
        """
        Send ``frame``, when and if it can be.

        While it waits for the link, a later frame with the same ``slot`` takes its place, so that what is sent at
        last is the newest heartbeat and no old ones. Frames to unknown peers are dropped and counted.

        :raises ValueError: the frame is empty or longer than ``rustbalance.cluster.frames.MAX_FRAME``.
        """

    @abstractmethod
    def status(self) -> CarrierStatus:
        """Return how the carrier does."""

    def rejoin(self, node: NodeId) -> None:
        """Forget the way to that peer and look for it anew."""

    def rebuild(self, reason: str) -> None:
        """Make anew what all ways lead through, where there is such a thing: the tunnel."""

    def settle(self, tunnel_ip: str) -> None:
        """Have this address inside the tunnel, which a member keeps for us; without a tunnel it means nothing."""

    def received(self, frame: bytes) -> NodeId:
        """Give a frame that arrived to the receiver; an error there refuses the frame and harms nothing else."""
        try:
            return self.receiver(frame)
        except Exception:
            self.log.failure("a frame could not be taken")
            return NOBODY


def refuse(frame: bytes) -> NodeId:
    """Be the receiver before there is one."""
    return NOBODY


def ignore(what: str) -> None:
    """Have nothing to say to that."""


def address_of(peer: Peer, scheme: str) -> str | None:
    """Return the first address of ``peer`` on the carrier ``scheme``, without the scheme."""
    lead = scheme + ":"
    return next((address.removeprefix(lead) for address in peer.addresses if address.startswith(lead)), None)
