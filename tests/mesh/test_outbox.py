"""Tests for L{rustbalance.mesh.outbox}."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.mesh.outbox import Outbox

#: Bytes of the frame, its slot, and the seconds since the one before.
Put = tuple[int, str | None, float]
puts = st.tuples(st.integers(1, 60), st.none() | st.sampled_from("xyz"), st.floats(0, 3))


def taken(outbox: Outbox, now: float) -> list[bytes]:
    """Take everything."""
    found = []
    while (frame := outbox.take(now)) is not None:
        found.append(frame)
    return found


class OutboxTests(SynchronousTestCase):
    """L{Outbox} keeps little, and nothing for long."""

    def test_order(self) -> None:
        """Frames leave as they came, so that none is overtaken by a later one and refused."""
        outbox = Outbox(4.0)
        for frame in (b"1", b"2", b"3"):
            outbox.put(frame, None, 0.0)
        self.assertEqual(taken(outbox, 1.0), [b"1", b"2", b"3"])
        self.assertEqual(outbox.dropped, 0)

    def test_newest_of_a_slot(self) -> None:
        """Of many heartbeats the newest is sent, behind what was put before it; the others are not lost but useless."""
        outbox = Outbox(4.0)
        for frame, slot in ((b"h1", "heartbeat"), (b"claim", None), (b"h2", "heartbeat"), (b"h3", "heartbeat")):
            outbox.put(frame, slot, 0.0)
        self.assertEqual((taken(outbox, 0.0), outbox.dropped), ([b"claim", b"h3"], 0))

    def test_stale(self) -> None:
        """What could not be sent in its time is dropped and counted: it would be refused anyway."""
        outbox = Outbox(4.0)
        outbox.put(b"old", None, 0.0)
        outbox.put(b"new", None, 3.0)
        self.assertEqual((taken(outbox, 4.0), outbox.dropped), ([b"new"], 1))

    def test_expire(self) -> None:
        """What is stale goes without anybody asking for frames."""
        outbox = Outbox(4.0)
        outbox.put(b"old", None, 0.0)
        outbox.expire(5.0)
        self.assertEqual((len(outbox), outbox.dropped), (0, 1))

    def test_too_many(self) -> None:
        """The oldest make room."""
        outbox = Outbox(4.0, frames=2)
        for frame in (b"1", b"2", b"3"):
            outbox.put(frame, None, 0.0)
        self.assertEqual((taken(outbox, 0.0), outbox.dropped), ([b"2", b"3"], 1))

    @settings(deadline=None)
    @given(st.lists(puts, max_size=60))
    def test_bounds(self, actions: list[Put]) -> None:
        """Whatever is put when, the bounds hold, the order is kept, and what is left is fresh and one for each slot."""
        outbox, now = Outbox(4.0, frames=5, size=100), 0.0
        times, slots = [], []
        for number, (size, slot, passed) in enumerate(actions):
            now += passed
            outbox.put(bytes([number]) * size, slot, now)
            times.append(now)
            slots.append(slot)
            self.assertLessEqual(len(outbox), 5)
        frames = taken(outbox, now)
        left = [frame[0] for frame in frames]
        self.assertLessEqual(sum(map(len, frames)), 100)
        self.assertEqual(left, sorted(left))
        self.assertTrue(all(now - times[number] < 4.0 for number in left))
        named = [slots[number] for number in left if slots[number] is not None]
        self.assertEqual(len(named), len(set(named)))
        self.assertLessEqual(len(left) + outbox.dropped, len(actions))
        self.assertEqual(taken(outbox, now), [])
