"""A cluster of a and b, and newcomers who want to join it."""

import tempfile
from pathlib import Path
from random import Random

import msgspec

from rustbalance.cluster.frames import FrameSealer
from rustbalance.cluster.join_frames import open_response
from rustbalance.cluster.keys import KeyRing, NodeKey, Purpose, TicketKey
from rustbalance.cluster.messages import JoinRequest, JoinResponse, NodeRecord, Ticket
from rustbalance.cluster.records import bind, sign_record, sign_ticket
from rustbalance.joining.endpoint import Answer, JoinEndpoint, View
from rustbalance.joining.records import Ledger
from rustbalance.mesh.tunnel_addresses import TunnelNetwork
from rustbalance.moment import Moment
from rustbalance.secrets import Secret
from tests.cluster.samples import KEYS, NOW, RING, node_key, record, ticket_key

randomness = Random(7)
random_bytes = randomness.randbytes
VIEW = View(record("a"), (record("b"),))
SECRET = b"0123456789abcdef0123456789abcdef"
WG_KEY = "A" * 43 + "="
BUNDLES: dict[bytes, TicketKey] = {}
"""The secret half of every ticket, which its bundle has in it."""


def secret() -> Secret:
    """Return the join secret."""
    return Secret.copy_of(SECRET)


def folder() -> Path:
    """Return a new directory; whoever asks removes it."""
    return Path(tempfile.mkdtemp(dir="/tmp", prefix="rb-joining-"))


def endpoint(network: TunnelNetwork | None = None, name: str = "a") -> JoinEndpoint:
    """Return what decides for a node."""
    return JoinEndpoint(RING, KEYS[name], b"b" * 16, random_bytes, network)


def ticket(name: str = "t", issuer: str = "a", expires: float = NOW.wall + 3600) -> Ticket:
    """Return a ticket, which its issuer has signed."""
    key = ticket_key(name)
    BUNDLES[key.public] = key
    return sign_ticket(Ticket(key.public, int(expires), issuer), node_key(issuer))


class Newcomer:
    """
    A machine that wants to be ``name``, with a ticket.

    ``binding`` is what its record says to show that it has the bundle; without one it really has.
    """

    def __init__(
        self,
        name: str = "new",
        shown: Ticket | None = None,
        key: NodeKey | None = None,
        ring: KeyRing = RING,
        binding: bytes | None = None,
    ) -> None:
        self.name = name
        self.key = key or node_key(name)
        self.ticket = shown or ticket()
        self.binding = bind(BUNDLES[self.ticket.public_key], self.key.public) if binding is None else binding
        self.ring = ring
        self.addresses: tuple[str, ...] = (f"tor:{name}.onion",)
        self.sealer = FrameSealer(ring, self.key, name, b"n" * 16, random_bytes)

    def record(self, incarnation: int = 1) -> NodeRecord:
        """Return its own record."""
        who, came_with = (self.name, bytes(32), incarnation, 100), (self.ticket.public_key, self.binding)
        return sign_record(NodeRecord(*who, self.addresses, b"", *came_with), self.key)

    def request(self, *, incarnation: int = 1, wants_tunnel: bool = False) -> JoinRequest:
        """Return a new request."""
        return JoinRequest(
            record=self.record(incarnation), ticket=self.ticket, nonce=random_bytes(16), wants_tunnel=wants_tunnel
        )

    def body(self, now: Moment = NOW, *, incarnation: int = 1, wants_tunnel: bool = False) -> bytes:
        """Return the body of a new request."""
        return self.seal(self.request(incarnation=incarnation, wants_tunnel=wants_tunnel), now)

    def seal(self, request: JoinRequest, now: Moment = NOW) -> bytes:
        """Return the body of a request."""
        return self.sealer.seal(request, now, Purpose.JOIN)

    def read(self, frame: bytes, request: JoinRequest, now: Moment = NOW) -> JoinResponse:
        """Return what an answer to the request says."""
        return open_response(frame, self.ring, request.nonce, now)


class Member:
    """A member that decides, remembers and takes note of whom it has let in."""

    def __init__(self, network: TunnelNetwork | None = None, view: View = VIEW) -> None:
        self.endpoint = endpoint(network)
        self.view = view
        self.ledger = Ledger()

    def ask(self, newcomer: Newcomer, now: Moment = NOW, *, incarnation: int = 1, wants_tunnel: bool = False) -> Answer:
        """Ask it something new."""
        return self.take(newcomer.body(now, incarnation=incarnation, wants_tunnel=wants_tunnel), now)

    def take(self, body: bytes, now: Moment = NOW) -> Answer:
        """Give it a body."""
        answer = self.endpoint.decide(body, self.view, self.ledger, now)
        self.ledger = answer.ledger
        if answer.admitted is not None:
            key = answer.admitted.public_key
            others = tuple(member for member in self.view.members if member.public_key != key)
            self.view = View(self.view.own, (*others, answer.admitted))
        return answer

    def restart(self) -> None:
        """Forget what only memory holds."""
        self.endpoint = JoinEndpoint(RING, KEYS["a"], b"c" * 16, random_bytes, self.endpoint._network)
        self.ledger = msgspec.json.decode(msgspec.json.encode(self.ledger), type=Ledger)
