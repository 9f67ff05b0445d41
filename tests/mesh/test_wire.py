"""Tests for L{rustbalance.mesh.wire}, in memory and in simulated time."""

import os

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.mesh.carrier import NOBODY
from rustbalance.mesh.streams import Timings, header, receipt
from tests.mesh.memory import Pair

TIMINGS = Timings(keepalive=4.0, doubt=3.0, silence=8.0, idle=20.0, stranger=30.0, window=4)


class StreamTests(SynchronousTestCase):
    """L{Stream}, the one that a has dialled and the one that b has accepted."""

    def setUp(self) -> None:
        self.pair = Pair(TIMINGS)
        self.a, self.b = self.pair.a, self.pair.b

    def speak(self, frame: bytes = b"frame") -> None:
        """Let a send a frame, which proves to b who it is, and let it arrive."""
        self.a.send(frame)
        self.pair.pump.flush()

    def reason(self) -> str:
        """Return why a's side ended."""
        return self.successResultOf(self.a.when_closed())

    def test_frames(self) -> None:
        """A frame arrives whole and is confirmed; so do frames on the way back."""
        large = os.urandom(300_000)
        self.speak(b"small")
        self.speak(large)
        self.b.send(b"back")
        self.pair.pump.flush()
        self.assertEqual((self.pair.owner_b.frames, self.pair.owner_a.frames), ([b"small", large], [b"back"]))
        self.assertTrue(self.a.confirmed and self.a.settled and self.b.confirmed and self.b.settled)

    def test_nothing_is_said_to_strangers(self) -> None:
        """Who has not proved to be a member gets no byte, whatever he sends, and is cut off in the end."""
        pair = Pair(TIMINGS, proves=NOBODY)
        pair.a.send(b"let me in")
        pair.a.send(b"")
        pair.clock.advance(1.0)
        pair.pump.pump()
        self.assertEqual(pair.owner_b.frames, [b"let me in"])
        self.assertEqual(pair.pump.serverIO.getOutBuffer(), None)
        self.assertEqual((pair.a.confirmed, pair.a.settled), (False, False))

    def test_strangers_have_a_deadline(self) -> None:
        """A stream on which nobody proves to be a member ends, however much is said on it."""
        pair = Pair(TIMINGS, proves=NOBODY)
        for _ in range(31):
            pair.pump.clientIO.write(header(b"hi") + b"hi")
            pair.pump.flush()
            pair.clock.advance(1.0)
            pair.b.tick()
        self.assertEqual(self.successResultOf(ended(pair)), "nobody we know spoke for 30 s")

    def test_keepalive(self) -> None:
        """An idle stream stays open for as long as both sides live: the one who dialled gives signs of life."""
        self.speak()
        self.pair.later(120)
        self.assertNotIn("closed", self.pair.owner_a.told)
        self.assertEqual(self.pair.owner_b.frames, [b"frame"])

    def test_silence(self) -> None:
        """When no answer comes the stream is doubtful after one deadline and ends after the other."""
        self.speak()
        self.a.send(b"more")
        self.pair.later(3, moving=False)
        self.assertFalse(self.a.doubtful())
        self.pair.later(1, moving=False)
        self.assertTrue(self.a.doubtful())
        self.pair.later(5, moving=False)
        self.pair.pump.flush()
        self.assertEqual(self.reason(), "no answer for 8 s")

    def test_idle(self) -> None:
        """A member whose machine has vanished is cut off, although nothing is owed."""
        self.speak()
        self.pair.clock.advance(21)
        self.b.tick()
        self.pair.pump.flush()
        self.assertEqual(self.successResultOf(self.b.when_closed()), "silent for 20 s")

    def test_long_frames_show_progress(self) -> None:
        """While a long frame crawls in, its receiver gives signs of life, so that nobody gives the stream up."""
        self.speak()
        frame = bytes(20_000)
        self.a.send(frame)
        data = self.pair.pump.clientIO.getOutBuffer()
        for start in range(0, len(data), 1000):
            self.b.dataReceived(data[start : start + 1000])
            self.pair.later(1)
        self.assertEqual(self.pair.owner_b.frames[-1], frame)
        self.assertNotIn("closed", self.pair.owner_a.told)

    def test_window(self) -> None:
        """Only so many frames are under way, so that what waits can still be replaced by something newer."""
        for _ in range(4):
            self.assertTrue(self.a.has_room)
            self.a.send(b"frame")
        self.assertFalse(self.a.has_room)
        self.pair.pump.flush()
        self.assertTrue(self.a.has_room)
        self.assertIn("writable", self.pair.owner_a.told)

    def test_full_transport(self) -> None:
        """Nothing is given to a transport that has no room, and its owner hears when it has again."""
        self.a.pauseProducing()
        self.assertFalse(self.a.has_room)
        self.a.resumeProducing()
        self.assertTrue(self.a.has_room)
        self.assertEqual(self.pair.owner_a.told, ["opened", "writable"])
        self.a.stopProducing()
        self.assertFalse(self.a.has_room)

    def test_nonsense(self) -> None:
        """A stream that breaks the rules ends at once, with the rule as the reason."""
        self.pair.pump.serverIO.write(receipt(7))
        self.pair.pump.flush()
        self.assertEqual(self.reason(), "a receipt must not confirm more frames than were sent")

    def test_nothing_is_read_behind_nonsense(self) -> None:
        """Frames behind a broken rule are not taken."""
        self.pair.pump.clientIO.write(header(b"good") + b"good" + b"\x7f\xff\xff\xff" + header(b"late") + b"late")
        self.pair.pump.flush()
        self.assertEqual(self.pair.owner_b.frames, [b"good"])
        self.assertIn("closed", self.pair.owner_b.told)

    def test_closing(self) -> None:
        """What is written when a stream is closed still arrives."""
        self.a.send(b"last")
        self.a.close("we stop")
        self.pair.pump.flush()
        self.assertEqual((self.pair.owner_b.frames, self.reason()), ([b"last"], "we stop"))
        self.assertFalse(self.a.has_room)

    def test_first_reason_counts(self) -> None:
        """A stream that is given up twice keeps the reason of the first time, and both who wait hear it."""
        waiting = [self.a.when_closed(), self.a.when_closed()]
        self.a.abort("first")
        self.a.abort("second")
        self.pair.pump.flush()
        self.assertEqual([self.successResultOf(one) for one in waiting], ["first", "first"])


def ended(pair: Pair) -> Deferred[str]:
    """Return the end of b's side, once the bytes have moved."""
    pair.pump.flush()
    return pair.b.when_closed()
