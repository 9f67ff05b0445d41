"""Tests for L{rustbalance.cluster.messages}."""

import math
import tracemalloc

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.messages import LeaseRelease, MalformedMessage, Message, State, decode, encode
from tests.cluster.samples import ONE_OF_EACH, heartbeat, messages, packed

SECRET = "hunter2"
LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary()


class RoundTripTests(SynchronousTestCase):
    """What one node says is what another hears."""

    def test_each_message(self) -> None:
        """Every kind of message comes back as it was, and every kind is tried."""
        names = set()
        for message in ONE_OF_EACH:
            self.assertEqual(decode(encode(message)), message)
            names.add(msgspec.msgpack.decode(encode(message)[1:])[0])
        expected = {
            *("heartbeat", "intro_points", "peer_announce", "lease_claim", "lease_release"),
            *("join_request", "join_response"),
        }
        self.assertEqual(names, expected)

    @settings(deadline=None)
    @given(messages)
    def test_any_message(self, message: Message) -> None:
        """So does any message within the bounds of its fields."""
        self.assertEqual(decode(encode(message)), message)

    def test_the_bytes_stay(self) -> None:
        """The encoding is the one that docs/protocol.md shows: other versions of the software rely on it."""
        self.assertEqual(encode(LeaseRelease(term=7)), b"\x01\x92\xadlease_release\x07")
        expected = (
            b"\x01\x9e\xa9heartbeat\x01\x04\x64\xa7healthy\x00\xc0\xcb" + bytes(8) + b"\x00\xc2\xc0\xc4\x00\x90\x80"
        )
        self.assertEqual(encode(heartbeat()), expected)


class VersionTests(SynchronousTestCase):
    """Nodes of different versions talk to each other while a cluster is brought up to date."""

    def test_fields_of_the_future(self) -> None:
        """What a newer version appends is passed over, whatever it is."""
        self.assertEqual(decode(packed("lease_release", 7, {"more": [1, None, b"x"]}, 3)), LeaseRelease(term=7))

    def test_fields_of_the_past(self) -> None:
        """A message that ends before the fields with a default gets the defaults."""
        self.assertEqual(decode(packed("heartbeat", 1, 4, 100, "healthy")), heartbeat())

    def test_another_version(self) -> None:
        """Bytes of another version are refused, and so is nothing at all."""
        for data in (b"", b"\x00", b"\x02" + encode(heartbeat())[1:]):
            self.assertRaises(MalformedMessage, decode, data)


class BoundsTests(SynchronousTestCase):
    """What was decoded can be trusted in shape."""

    def refused(self, *values: object) -> str:
        """Return why a message is refused."""
        return str(self.assertRaises(MalformedMessage, decode, packed(*values)))

    def test_names(self) -> None:
        """The name of a node has the characters it may have, to its very end."""
        for name in ("", "A", "a b", "a\n", "ä", "a" * 65, "a/b", "\x00"):
            self.refused("intro_points", name, 1, 1.0, b"")

    def test_numbers(self) -> None:
        """Counts are not negative, not fractions and no larger than what a file or another language can hold."""
        for number in (-1, 2**63, 1.5, "1", None, True):
            self.refused("lease_release", number)

    def test_seconds(self) -> None:
        """A time is a finite number that is not negative."""
        for number in (math.nan, math.inf, -math.inf, -1.0, 1e12):
            self.refused("intro_points", "a", 1, number, b"")

    def test_lengths(self) -> None:
        """Nothing is longer than it may be, and keys are just as long as keys are."""
        record = ["a", bytes(32), 1, 1, []]
        for broken in (
            ["a", bytes(31), 1, 1, []],
            ["a", bytes(33), 1, 1, []],
            ["a", bytes(32), 1, 1, ["direct:1"] * 9],
            ["a", bytes(32), 1, 1, ["direct:" + "1" * 251]],
            ["a", bytes(32), 1, 1, ["direct:a b"]],
            ["a", bytes(32), 1, 1, ["direct"]],
            [*record, bytes(65)],
            [*record, bytes(64), bytes(33)],
            [*record, bytes(64), bytes(32), bytes(65)],
        ):
            self.refused("peer_announce", [broken])
        self.refused("peer_announce", [record] * 1001)
        self.refused("intro_points", "a", 1, 1.0, bytes(256 * 1024 + 1))
        decode(packed("peer_announce", [record] * 1000))

    def test_states(self) -> None:
        """A state is one of five, and a name that is none is not shown."""
        self.assertNotIn(SECRET, self.refused("heartbeat", 1, 1, 1, SECRET))

    def test_the_sentence_shows_no_contents(self) -> None:
        """What is wrong is said without what was said: it may be anything, and goes into a log."""
        for values in ((SECRET,), ("heartbeat", SECRET), ("heartbeat", 1, 1, 1, "healthy", 0, SECRET + "\n'")):
            self.assertNotIn(SECRET, self.refused(*values))

    def test_every_state_has_a_name(self) -> None:
        """The names of the lifecycle are those of the documents."""
        self.assertEqual([*State], ["joining", "initializing", "healthy", "unhealthy", "dead"])


class HostileTests(SynchronousTestCase):
    """Any bytes are a message or are refused."""

    def check(self, data: bytes) -> None:
        """Decode, and be it refused."""
        try:
            message = decode(data)
        except MalformedMessage:
            return
        self.assertEqual(decode(encode(message)), message)

    @settings(deadline=None, max_examples=500)
    @given(st.binary(max_size=300))
    def test_noise(self, data: bytes) -> None:
        """Noise, with and without the right first byte."""
        self.check(data)
        self.check(b"\x01" + data)

    @settings(deadline=None, max_examples=500)
    @given(messages, st.data())
    def test_damage(self, message: Message, data: st.DataObject) -> None:
        """A message in which bytes were changed, cut out or put in."""
        text = bytearray(encode(message))
        for _ in range(data.draw(st.integers(1, 4))):
            start = data.draw(st.integers(0, len(text)))
            text[start : start + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=5))
        self.check(bytes(text))

    @settings(deadline=None)
    @given(st.recursive(LEAVES, st.lists))
    def test_other_shapes(self, value: object) -> None:
        """Well-formed MessagePack that is something else, also behind the name of a message."""
        self.check(packed(value))
        self.check(packed("heartbeat", *([value] * 5)))
        self.check(packed("peer_announce", value))

    def test_promises_of_size(self) -> None:
        """Four bytes that promise four billion elements cost no memory."""
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for start in (b"\x01", b"\x01\x92\xadpeer_announce", b"\x01\x93\xadlease_release\x01"):
            for promise in (b"\xdd", b"\xdf", b"\xc6", b"\xdb", b"\xc9"):
                self.check(start + promise + b"\xff\xff\xff\xff")
        self.assertLess(tracemalloc.get_traced_memory()[1], 1_000_000)

    def test_depth(self) -> None:
        """Arrays in arrays, a hundred thousand deep, where nothing is expected."""
        deep = b"\x01\x93\xadlease_release\x01" + b"\x91" * 100_000
        self.assertRaises(MalformedMessage, decode, deep)
