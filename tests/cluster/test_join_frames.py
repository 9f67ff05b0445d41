"""Tests for L{rustbalance.cluster.join_frames}."""

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.frames import FrameSealer, Reason, Refused, seal
from rustbalance.cluster.join_frames import LARGEST_REQUEST, JoinOpener, open_response
from rustbalance.cluster.keys import KeyRing, Purpose
from rustbalance.cluster.messages import JoinRequest, JoinResponse, Message, NodeRecord, encode
from rustbalance.moment import Moment
from tests.cluster.samples import (
    KEYS,
    NOW,
    ONE_OF_EACH,
    RING,
    heartbeat,
    messages,
    random_bytes,
    record,
    sealer,
    ticket,
    token_keys,
)

OTHER = KeyRing(token_keys(b"the token of another cluster"))


def request(nonce: bytes = b"n" * 16, own: NodeRecord | None = None) -> JoinRequest:
    """Return what the node "new" asks."""
    return JoinRequest(record=own or record(), ticket=ticket(), nonce=nonce)


def asked(message: Message, theirs: FrameSealer | None = None, now: Moment = NOW) -> bytes:
    """Return the frame of a request."""
    return (theirs or sealer("new")).seal(message, now, Purpose.JOIN)


def answer(name: str = "a", nonce: bytes = b"n" * 16, now: Moment = NOW) -> bytes:
    """Return the frame of a member's response."""
    response = JoinResponse(record=record(name), nonce=nonce, records=(record("a"), record("b")))
    return sealer(name).seal(response, now, Purpose.JOIN)


class JoinCase(SynchronousTestCase):
    """What all tests of refusals use."""

    def refuse(self, data: bytes, reason: Reason, ours: JoinOpener | None = None, now: Moment = NOW) -> None:
        """See that a request is refused for this reason, and counted."""
        ours = ours or JoinOpener(RING)
        before = ours.rejected[reason]
        self.assertEqual(self.assertRaises(Refused, ours.open, data, now).reason, reason)
        self.assertEqual(ours.rejected[reason], before + 1)

    def refuse_response(self, data: bytes, reason: Reason, nonce: bytes = b"n" * 16) -> None:
        """See that an answer is refused for this reason."""
        self.assertEqual(self.assertRaises(Refused, open_response, data, RING, nonce, NOW).reason, reason)


class RequestTests(JoinCase):
    """A newcomer shows that it has the token, and who it is."""

    def test_opened(self) -> None:
        """A node that nobody knows is heard."""
        found = JoinOpener(RING).open(asked(request()), NOW)
        self.assertEqual((found.sender, found.public_key), ("new", KEYS["new"].public))
        self.assertEqual(found.message, request())

    def test_size(self) -> None:
        """An ordinary request fits into a body many times; what does not is refused, and so is nothing at all."""
        self.assertLess(len(asked(request())), 1000)
        self.refuse(bytes(LARGEST_REQUEST + 1), Reason.OVERSIZED)
        self.refuse(b"", Reason.MALFORMED)

    def test_token(self) -> None:
        """Without the token nothing is read."""
        self.refuse(asked(request(), sealer("new", ring=OTHER)), Reason.UNKNOWN_KEY)
        data = asked(request())
        self.refuse(data[:-1] + bytes([data[-1] ^ 1]), Reason.BAD_MAC)

    def test_own_record(self) -> None:
        """The record is the sender's own, and it has the key of it."""
        self.refuse(asked(request(own=record("b"))), Reason.BAD_SIGNATURE)
        self.refuse(asked(request(), sealer("b", key=KEYS["new"])), Reason.UNKNOWN_SENDER)
        unsigned = NodeRecord("new", KEYS["new"].public, 1, 1, ())
        self.refuse(asked(request(own=unsigned)), Reason.BAD_SIGNATURE)

    def test_other_messages(self) -> None:
        """Nothing but a request is answered, and none that was sealed for the mesh."""
        for message in ONE_OF_EACH:
            if not isinstance(message, JoinRequest):
                self.refuse(asked(message), Reason.MALFORMED)
        self.refuse(sealer("new").seal(request(), NOW), Reason.MALFORMED)

    def test_clock(self) -> None:
        """A request may be five minutes old and a minute ahead."""
        for seconds in (-300.0, 60.0):
            JoinOpener(RING).open(asked(request(), now=NOW.later(seconds)), NOW)
        for seconds in (-301.0, 61.0):
            self.refuse(asked(request(), now=NOW.later(seconds)), Reason.STALE_CLOCK)

    def test_again(self) -> None:
        """Whether it was heard before is for whoever decides: nothing is remembered here, whoever asks how often."""
        ours, data = JoinOpener(RING), asked(request())
        for _ in range(2000):
            ours.open(data, NOW)
        ours.open(asked(request(b"m" * 16)), NOW)


class ResponseTests(JoinCase):
    """A newcomer knows nobody, and yet whom to believe."""

    def test_opened(self) -> None:
        """Any member may answer."""
        for name in ("a", "b"):
            self.assertEqual(open_response(answer(name), RING, b"n" * 16, NOW).record, record(name))

    def test_to_another_request(self) -> None:
        """An answer to another request is none."""
        self.refuse_response(answer(nonce=b"m" * 16), Reason.REPLAY)

    def test_token(self) -> None:
        """Whoever runs the relay in between, or another service, cannot answer."""
        response = JoinResponse(record=record("a"), nonce=b"n" * 16, records=())
        self.refuse_response(sealer("a", ring=OTHER).seal(response, NOW, Purpose.JOIN), Reason.UNKNOWN_KEY)
        self.refuse_response(b"404 Not Found", Reason.MALFORMED)

    def test_own_record(self) -> None:
        """The record is that of the one who answers."""
        response = JoinResponse(record=record("b"), nonce=b"n" * 16, records=())
        self.refuse_response(sealer("a").seal(response, NOW, Purpose.JOIN), Reason.BAD_SIGNATURE)

    def test_own_request(self) -> None:
        """A request that comes back is no answer."""
        self.refuse_response(asked(request()), Reason.MALFORMED)

    def test_clock(self) -> None:
        """An answer from long ago is none."""
        self.refuse_response(answer(now=NOW.later(-301)), Reason.STALE_CLOCK)


class HostileTests(SynchronousTestCase):
    """Any bytes are opened or refused."""

    @settings(deadline=None, max_examples=300)
    @given(st.binary(max_size=300), messages)
    def test_anything(self, data: bytes, message: Message) -> None:
        """Noise, noise in good frames, and any message."""
        header = b"\x01\x02" + RING.current.key_id
        for frame in (data, header + data, joined(data), joined(b"\x01" + data), joined(encode(message))):
            self.check(lambda data: JoinOpener(RING).open(data, NOW), frame)
            self.check(lambda data: open_response(data, RING, bytes(16), NOW), frame)

    def check(self, work: Callable[[bytes], object], frame: bytes) -> None:
        """Open, and be it refused."""
        try:
            work(frame)
        except Refused as refusal:
            self.assertIn(refusal.reason, Reason)

    def test_heartbeat_is_none(self) -> None:
        """A good message of another kind is refused as malformed."""
        error = self.assertRaises(Refused, JoinOpener(RING).open, joined(encode(heartbeat())), NOW)
        self.assertEqual(error.reason, Reason.MALFORMED)


def joined(message: bytes) -> bytes:
    """Return a frame of joining around any bytes."""
    return seal(
        message,
        ring=RING,
        node_key=KEYS["new"],
        sender="new",
        boot=bytes(16),
        sequence=1,
        wall=NOW.wall,
        random_bytes=random_bytes,
        purpose=Purpose.JOIN,
    )
