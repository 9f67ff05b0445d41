"""
Throws bytes at every door through which another node's bytes come in.

    python3.12 -m venv /tmp/fuzz && /tmp/fuzz/bin/pip install atheris automat hypothesis msgspec pynacl cryptography
    /tmp/fuzz/bin/python -m tests.fuzz.fuzz_cluster CORPUS_DIRECTORY -max_total_time=600

The first byte says which door: a message, a frame from anybody, what is in a good frame of a member, of a stranger or
of a newcomer, introduction points, the contents of a bundle; a stream, datagrams of the tunnel, addresses in it, and
what a member says to a node that runs. Each must give a value or its one named error, and what it gives must be the
same after it was encoded again. Anything else ends the run with the input in a file.

msgspec is written in C and shows the fuzzer nothing of itself. What it says of bad input is turned into branches that
the fuzzer can see: each sentence (which names a place and a rule) takes another one.
"""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

atheris: Any = importlib.import_module("atheris")

with atheris.instrument_imports(include=["rustbalance"]):
    from rustbalance.cluster import bundle, core, envelope, frames, join_frames, keys, messages, points, records
    from rustbalance.cluster.settings import ClusterSettings
    from rustbalance.mesh import datagrams, streams, tunnel_addresses, wg_config
    from rustbalance.moment import Moment
    from rustbalance.onion.inner import InnerLayer
    from rustbalance.onion.introduction import IntroductionPoint
    from rustbalance.secrets import Secret

NOW = Moment(1_000.0, 1_800_000_000.0)
NONCE = bytes(24)
RING = keys.KeyRing(keys.TokenKeys(Secret.copy_of(b"token of the fuzzer")))
MESH = RING.current.of(keys.Purpose.MESH)
MEMBER, STRANGER = (keys.NodeKey(Secret.copy_of(letter * 32)) for letter in (b"a", b"s"))
TICKET = keys.TicketKey(Secret.copy_of(b"t" * 32))
NAMED = (
    messages.MalformedMessage,
    frames.Refused,
    envelope.MalformedFrame,
    bundle.BundleError,
    streams.MalformedStream,
    wg_config.MalformedAddress,
)


def _branches(count: int = 512) -> list[Callable[[], int]]:
    """Return functions that the fuzzer tells apart."""
    space: dict[str, Any] = {}
    for number in range(count):
        exec(f"def branch_{number}():\n    return {number}", space)
    return [atheris.instrument_func(space[f"branch_{number}"]) for number in range(count)]


BRANCHES = _branches()


def opener() -> frames.FrameOpener:
    """Return what knows one member and welcomes strangers."""
    return frames.FrameOpener(RING, {"a": MEMBER.public}.get, welcome=lambda record: True)


def sealed(data: bytes, name: str, key: keys.NodeKey, purpose: keys.Purpose = keys.Purpose.MESH) -> bytes:
    """Return a good frame around ``data``."""
    return frames.seal(
        data,
        ring=RING,
        node_key=key,
        sender=name,
        boot=bytes(16),
        sequence=1,
        wall=NOW.wall,
        random_bytes=bytes,
        purpose=purpose,
    )


def message(data: bytes) -> None:
    """Decode a message, encode it and decode it again."""
    found = messages.decode(data)
    assert messages.decode(messages.encode(found)) == found


def introduction_points(data: bytes) -> None:
    """The same for introduction points."""
    layer, _ = points.decode_points(data)
    if layer.points:
        assert points.decode_points(points.encode_points(layer)) == (layer, ())


def body(data: bytes) -> None:
    """Open what somebody who has the token has sealed without keeping to the layout."""
    header = envelope.Header(keys.Purpose.MESH, RING.current.key_id)
    start = header.encode()
    opener().open(start + NONCE + envelope._encrypt(data.ljust(98, b"\0"), start, NONCE, MESH), NOW)


def contents(data: bytes) -> None:
    """Read the contents of a bundle."""
    with Secret.copy_of(data.ljust(4, b"\0")) as plain:
        bundle._read_contents(plain)


def joining(data: bytes) -> None:
    """Open a newcomer's request and an answer to one."""
    frame = sealed(data, "s", STRANGER, keys.Purpose.JOIN)
    try:
        join_frames.JoinOpener(RING).open(frame, NOW)
    except frames.Refused as refusal:
        seen(refusal)
    join_frames.open_response(frame, RING, bytes(16), NOW)


def pieces(data: bytes) -> Iterator[bytes]:
    """Cut the input: each piece has its length before it."""
    while data:
        length = int.from_bytes(data[:2]) % 2048
        yield data[2 : 2 + length]
        data = data[2 + length :]


def stream(data: bytes) -> None:
    """Read what arrives on a stream, in pieces, after we have sent a few frames on it."""
    reader, ledger = streams.StreamReader(), streams.Ledger(0.0)
    for _ in range(3):
        ledger.said(0.0)
    for piece in pieces(data):
        reader.feed(piece)
        while (item := reader.next()) is not None:
            if isinstance(item, streams.Receipt):
                ledger.confirm(item.count)
    assert 0 <= ledger.outstanding <= 3


def tunnel(data: bytes) -> None:
    """Take datagrams of two peers, one second after another; what is kept is what is counted."""
    incoming, outgoing = datagrams.Incoming(), datagrams.Outgoing(0)
    outgoing.split("a", bytes(5000), 0.0)
    for now, piece in enumerate(pieces(data)):
        source = "ab"[len(piece) % 2]
        incoming.receive(source, piece, float(now))
        outgoing.asked(source, piece, float(now))
        incoming.wake(float(now))
        kept = sum(len(one) for partial in incoming._partials() for one in partial.pieces.values())
        assert kept == incoming._size == sum(one.size for one in incoming._sources.values())


def tunnel_address(data: bytes) -> None:
    """Choose peers among those that say that they are there; each address that is taken is written as it was read."""
    texts = data.decode("latin-1").split("\n")
    claims = {str(number): text for number, text in enumerate(texts)}
    network = tunnel_addresses.DEFAULT_NETWORK
    own = wg_config.WgAddress(bytes(32), None, network[1])
    chosen = wg_config.choose_peers(claims, own, network, {})
    assert chosen.peers.keys() | chosen.refused.keys() == claims.keys()
    assert len({peer.tunnel_ip for peer in chosen.peers.values()} - {own.tunnel_ip}) == len(chosen.peers)
    assert all(wg_config.parse_address(str(peer)) == peer for peer in chosen.peers.values())


def member(data: bytes) -> None:
    """Say things to a node of a cluster that runs, each a second after the other."""
    me, others = (messages.NodeRecord(name, name.encode() * 32, 0, 100, ()) for name in "mo")
    node = core.ClusterCore(me, ClusterSettings(), None, lambda: 0.5)
    now = NOW
    node.start(now)
    node.learn([others], now)
    for piece in pieces(data):
        now = Moment(now.mono + 1.0, now.wall + 1.0)
        node.receive("o", messages.decode(piece), now)
        node.status(now)
        due = node.due()
        assert due is None or due > now.mono - 1.0


DOORS: list[Callable[[bytes], object]] = [
    message,
    introduction_points,
    lambda data: opener().open(data, NOW),
    lambda data: opener().open(sealed(data, "a", MEMBER), NOW),
    lambda data: opener().open(sealed(data, "s", STRANGER), NOW),
    body,
    joining,
    contents,
    stream,
    tunnel,
    tunnel_address,
    member,
]


def seen(error: Exception) -> None:
    """Show the fuzzer which reason this was."""
    BRANCHES[crc32(f"{type(error)} {error}".encode()) % len(BRANCHES)]()


@atheris.instrument_func  # type: ignore[untyped-decorator]
def one_input(data: bytes) -> None:
    """Try one input at the door that it names."""
    if data:
        try:
            DOORS[data[0] % len(DOORS)](data[1:])
        except NAMED as error:
            seen(error)


def seeds() -> list[bytes]:
    """Return good input for every door, so that the fuzzer need not invent it."""
    came_with = (TICKET.public, records.bind(TICKET, STRANGER.public))
    unsigned = messages.NodeRecord("s", bytes(32), 1, 1, ("direct:127.0.0.1:1",), b"", *came_with)
    record, ticket = records.sign_record(unsigned, STRANGER), messages.Ticket(TICKET.public, 2**33, "a")
    good: list[messages.Message] = [
        messages.Heartbeat(
            beat=1,
            incarnation=1,
            priority=1,
            state=messages.State.HEALTHY,
            publisher="a",
            states=(messages.PeerState("b", 1, messages.State.DEAD, 2),),
            revisions={"ab" * 32: 3},
        ),
        messages.IntroPoints(source="a", version=1, sent_at=1.0, inner=b""),
        messages.PeerAnnounce(records=(record,)),
        messages.LeaseClaim(term=1, priority=1),
        messages.LeaseRelease(term=1),
        messages.JoinRequest(record=record, ticket=ticket, nonce=bytes(16)),
        messages.JoinResponse(record=record, nonce=bytes(16), records=(record,), tunnel_ip="10.0.0.1"),
    ]
    encoded = [messages.encode(one) for one in good]
    specifiers = b"\x02\x00\x06\x7f\x00\x00\x01\x00\x50\x02\x14" + bytes(20)
    point = IntroductionPoint(specifiers, bytes(32), bytes(32), 500_000, bytes(32), bytes(32), 500_000)
    layer = points.encode_points(InnerLayer((point,), flow_control="1-2 31", other_lines=("later 1",)))
    facts = bundle.Facts(ticket=ticket, address="x", created=1, records=(record,), settings={"a": 1})
    public = bundle._encode(bundle._Contents(facts=facts, sizes={"key": 4}))
    return [
        *(bytes([door]) + one for one in encoded for door in (0, 3, 4, 6)),
        b"\x01" + layer,
        *(b"\x02" + sealed(one, "a", MEMBER) for one in encoded),
        b"\x05" + bytes(96) + b"\x01a" + encoded[0],
        b"\x07" + len(public).to_bytes(4) + public + b"\1\2\3\4",
        b"\x08" + _cut(streams.header(b"abc") + b"abc" + streams.receipt(2), streams.receipt(3)),
        b"\x09" + _cut(*datagrams.pieces(7, bytes(3000)), datagrams._HEAD.pack(datagrams.ASK, 1) + b"\x07"),
        b"\x0a" + b"\n".join(b"%s=@[::1]:1/10.200.200.%d" % (letter * 43, 7) for letter in (b"A", b"E")),
        b"\x0b" + _cut(*encoded[:5]),
    ]


def _cut(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(2) + part for part in parts)


def main() -> None:
    """Put the seeds into the corpus, check that they are good, and run."""
    corpus = Path(sys.argv[1])
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()):
        (corpus / f"seed{number}").write_bytes(seed)
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
