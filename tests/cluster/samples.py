"""
What the tests of messages and frames share: keys, records, messages, and ways to make any of them.

The keys are fixed, so that a failure repeats.
"""

from random import Random

import msgspec
from hypothesis import strategies as st

from rustbalance.cluster.frames import FrameOpener, FrameSealer
from rustbalance.cluster.keys import KeyRing, NodeKey, TicketKey, TokenKeys
from rustbalance.cluster.messages import (
    Forgotten,
    Heartbeat,
    IntroPoints,
    JoinRequest,
    JoinResponse,
    LeaseClaim,
    LeaseRelease,
    Message,
    NodeRecord,
    PeerAnnounce,
    PeerState,
    State,
    Ticket,
)
from rustbalance.cluster.records import bind, sign_record, sign_ticket
from rustbalance.moment import Moment
from rustbalance.secrets import Secret

NOW = Moment(1_000.0, 1_800_000_000.0)
TOKEN = b"a cluster token of the tests, 32"
random_bytes = Random(3).randbytes


def token_keys(token: bytes = TOKEN) -> TokenKeys:
    """Return the keys of a token."""
    with Secret.copy_of(token) as secret:
        return TokenKeys(secret)


def node_key(name: str) -> NodeKey:
    """Return the node key that goes with a name."""
    with Secret.copy_of(name.encode().ljust(32, b"\0")) as seed:
        return NodeKey(seed)


def ticket_key(name: str = "t") -> TicketKey:
    """Return the secret of the bundle that goes with a name."""
    with Secret.copy_of(name.encode().ljust(32, b".")) as seed:
        return TicketKey(seed)


RING = KeyRing(token_keys())
KEYS = {name: node_key(name) for name in ("a", "b", "c", "new")}
PUBLIC = {name: KEYS[name].public for name in ("a", "b", "c")}


def sealer(name: str = "a", ring: KeyRing = RING, boot: bytes = b"b" * 16, key: NodeKey | None = None) -> FrameSealer:
    """Return what seals for a node."""
    return FrameSealer(ring, key or KEYS[name], name, boot, random_bytes)


def opener(ring: KeyRing = RING) -> FrameOpener:
    """Return what a member of the cluster of a, b and c opens frames with."""
    return FrameOpener(ring, PUBLIC.get)


def record(
    name: str = "new", incarnation: int = 1, bundle: TicketKey | None = None, key: NodeKey | None = None
) -> NodeRecord:
    """Return a node's signed record; ``bundle``: the secret of the one that it came with."""
    own = key or KEYS[name]
    came_with = (b"", b"") if bundle is None else (bundle.public, bind(bundle, own.public))
    where = (f"direct:127.0.0.1:{incarnation}",)
    return sign_record(NodeRecord(name, bytes(32), incarnation, 100, where, b"", *came_with), own)


def ticket(expires: int = int(NOW.wall) + 3600) -> Ticket:
    """Return a ticket that node a has signed."""
    return sign_ticket(Ticket(ticket_key().public, expires, "a"), KEYS["a"])


def heartbeat(beat: int = 1) -> Heartbeat:
    """Return a heartbeat."""
    return Heartbeat(beat=beat, incarnation=4, priority=100, state=State.HEALTHY)


ONE_OF_EACH: tuple[Message, ...] = (
    Heartbeat(
        beat=7,
        incarnation=4,
        priority=100,
        state=State.UNHEALTHY,
        term=3,
        publisher="b",
        lease_left=6.5,
        points_version=12,
        drained=True,
        target_healthy=False,
        table=b"digest",
        states=(PeerState("b", 2, State.HEALTHY, 99), PeerState("c", 1, State.DEAD, 5)),
        revisions={"ab" * 32: 77},
    ),
    IntroPoints(source="a", version=3, sent_at=NOW.wall, inner=b"points", instance="standby", revisions={"cd" * 32: 1}),
    PeerAnnounce(records=(record("a"), record("b")), forgotten=(Forgotten(record("new"), 1_700_000_000),)),
    LeaseClaim(term=4, priority=10),
    LeaseRelease(term=4),
    JoinRequest(record=record(), ticket=ticket(), nonce=b"n" * 16, wants_tunnel=True),
    JoinResponse(record=record("a"), nonce=b"n" * 16, records=(record("b"),), tunnel_ip="10.200.200.7"),
)

counts = st.integers(0, 2**63 - 1)
priorities = st.integers(0, 2**31 - 1)
node_ids = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=64)
seconds = st.floats(0, 1e11)
revisions = st.dictionaries(st.binary(min_size=32, max_size=32).map(bytes.hex), counts, max_size=16)
peer_states = st.builds(PeerState, node_ids, counts, st.sampled_from(State), counts)
records = st.builds(
    NodeRecord,
    id=node_ids,
    public_key=st.binary(min_size=32, max_size=32),
    incarnation=counts,
    priority=priorities,
    addresses=st.lists(st.from_regex(r"[a-z]{1,20}:[!-~]{1,250}", fullmatch=True), max_size=8).map(tuple),
    signature=st.binary(max_size=64),
    bundle=st.binary(max_size=32),
    binding=st.binary(max_size=64),
)
tickets = st.builds(Ticket, st.binary(min_size=32, max_size=32), counts, node_ids, st.binary(max_size=64))
record_lists = st.lists(records, max_size=4).map(tuple)
nonces = st.binary(min_size=16, max_size=16)
messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(
        Heartbeat,
        beat=counts,
        incarnation=counts,
        priority=priorities,
        state=st.sampled_from(State),
        term=counts,
        publisher=st.none() | node_ids,
        lease_left=seconds,
        points_version=counts,
        drained=st.booleans(),
        target_healthy=st.none() | st.booleans(),
        table=st.binary(max_size=32),
        states=st.lists(peer_states, max_size=8).map(tuple),
        revisions=revisions,
    ),
    st.builds(
        IntroPoints,
        source=node_ids,
        version=counts,
        sent_at=seconds,
        inner=st.binary(max_size=2000),
        instance=node_ids,
        revisions=revisions,
    ),
    st.builds(
        PeerAnnounce,
        records=record_lists,
        forgotten=st.lists(st.builds(Forgotten, records, counts), max_size=3).map(tuple),
    ),
    st.builds(LeaseClaim, term=counts, priority=priorities),
    st.builds(LeaseRelease, term=counts),
    st.builds(JoinRequest, record=records, ticket=tickets, nonce=nonces, wants_tunnel=st.booleans()),
    st.builds(
        JoinResponse,
        record=records,
        nonce=nonces,
        records=record_lists,
        tunnel_ip=st.none() | st.from_regex(r"[0-9a-f.:]{2,45}", fullmatch=True),
    ),
)


def packed(*values: object) -> bytes:
    """Return a message of any contents, as somebody else's software might make it."""
    return b"\x01" + msgspec.msgpack.encode(values)
