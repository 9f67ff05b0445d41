"""Tests for L{rustbalance.mesh.links}, in memory and in simulated time."""

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.mesh.carrier import NOBODY, NodeId
from rustbalance.mesh.links import Attempt, Dial, Link, Surroundings
from rustbalance.mesh.streams import Timings
from rustbalance.mesh.wire import Stream
from tests.mesh.memory import Dialled, Network, Owner, joined

TIMINGS = Timings(keepalive=4.0, doubt=3.0, silence=8.0, idle=20.0, lifetime=4.0, window=4)


class LinkTests(SynchronousTestCase):
    """L{Link} from a to b; b takes every stream for one of a's."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.network = Network()
        self.far = Owner()
        self.far.proves = "a"
        self.network.listening["b"] = Factory.forProtocol(lambda: self.stream(self.far))
        self.opened: list[NodeId] = []
        self.patience: list[float] = []
        self.dialling = DeferredSemaphore(1)
        self.link = self.made("b")

    def stream(self, owner: Owner | Link, peer: NodeId = NOBODY) -> Stream:
        """Return one end of a stream."""
        return Stream(owner if isinstance(owner, Owner) else Near(owner), TIMINGS, self.clock.seconds, peer)

    def made(self, address: str | None) -> Link:
        """Return a link that dials ``address``, or nobody."""
        around = Surroundings(self.clock, self.clock.seconds, TIMINGS, float, self.dialling, self.opened.append)
        link = Link("b", None if address is None else self.dial(address), around)
        self.addCleanup(link.stop, "the test is over")
        return link

    def dial(self, address: str) -> Dial:
        """Return how to dial ``address`` in memory."""

        def dial(attempt: Attempt) -> Deferred[Stream]:
            factory = Factory.forProtocol(lambda: self.stream(self.link, "b"))
            self.patience.append(attempt.seconds)
            return Dialled(self.network, address, attempt.number).connect(factory)  # type: ignore[return-value]

        return dial

    def later(self, seconds: int) -> None:
        """Let time pass."""
        for _ in range(seconds):
            self.clock.advance(1.0)
            self.link.tick()
            self.network.flush()

    def start(self) -> None:
        """Start and say something."""
        self.link.start()
        self.link.send(b"hello", None)
        self.network.flush()

    def accepted(self) -> tuple[Stream, Owner]:
        """Return a stream that b has opened to us, and who holds the other end."""
        near, far = self.stream(self.link), Owner()
        self.network.pumps.append(joined(near, self.stream(far, "a")))
        near.peer = "b"
        self.link.prove(near)
        return near, far

    def test_up(self) -> None:
        """The link is up when b has confirmed the first frame, not before."""
        self.link.start()
        self.assertEqual((self.link.up, self.opened), (False, ["b"]))
        self.link.send(b"hello", None)
        self.assertFalse(self.link.up)
        self.network.flush()
        self.assertEqual((self.link.up, self.link.settled, self.far.frames), (True, True, [b"hello"]))

    def test_what_waits_is_sent(self) -> None:
        """A frame that was given before there was a stream is sent on it; of heartbeats only the newest."""
        self.link.send(b"heartbeat 1", "heartbeat")
        self.link.send(b"claim", None)
        self.link.send(b"heartbeat 2", "heartbeat")
        self.start()
        self.assertEqual(self.far.frames, [b"claim", b"heartbeat 2", b"hello"])

    def test_nothing_stale_is_sent(self) -> None:
        """What has waited longer than its receiver would accept is dropped and counted."""
        self.link.send(b"old", None)
        self.later(5)
        self.start()
        self.assertEqual((self.far.frames, self.link.dropped), ([b"hello"], 1))

    def test_dials_again(self) -> None:
        """A lost stream is replaced after a pause, by another attempt, as often as it takes."""
        self.start()
        for attempt in (2, 3, 4):
            self.network.cut()
            self.assertFalse(self.link.up)
            self.later(1)
            self.assertEqual(self.network.dialled[-1], ("b", attempt))
            self.link.send(b"again", None)
            self.network.flush()
            self.assertTrue(self.link.up)
        self.assertEqual(self.opened, ["b"] * 4)

    def test_backoff(self) -> None:
        """Who cannot be reached is tried after 1, 2, 3 … seconds (here), and the problem is known."""
        del self.network.listening["b"]
        self.link.start()
        self.later(10)
        self.assertEqual(len(self.network.dialled), 5)
        self.assertIn("refused", str(self.link.problem).lower())

    def test_patience_grows(self) -> None:
        """An attempt may take longer after each failure, up to a limit, and a stream that worked begins it anew."""
        del self.network.listening["b"]
        self.link.start()
        self.later(14)
        self.assertEqual(self.patience[:5], [12.0, 24.0, 48.0, 60.0, 60.0])
        self.network.listening["b"] = Factory.forProtocol(lambda: self.stream(self.far))
        self.later(10)
        self.link.send(b"hello", None)
        self.network.flush()
        self.network.cut()
        self.later(1)
        self.assertEqual(self.patience[-1], 24.0)

    def test_a_stream_that_confirms_nothing_is_a_failure(self) -> None:
        """A peer that takes our streams and never our frames is not dialled ever faster."""
        self.far.proves = NOBODY
        self.start()
        self.later(60)
        self.assertFalse(self.link.up)
        self.assertLess(len(self.network.dialled), 7)
        self.assertEqual(self.patience[:3], [12.0, 24.0, 48.0])
        self.assertEqual(self.link.problem, "no answer for 8 s")

    def test_hurry(self) -> None:
        """A link that waits to dial dials at once when it is told that things are better; else nothing happens."""
        del self.network.listening["b"]
        self.link.start()
        self.later(4)
        self.network.listening["b"] = Factory.forProtocol(lambda: self.stream(self.far))
        attempts = len(self.network.dialled)
        self.link.hurry()
        self.assertEqual((len(self.network.dialled), self.opened), (attempts + 1, ["b"]))
        self.assertEqual(self.patience[-1], 12.0)
        self.link.hurry()
        self.assertEqual(len(self.network.dialled), attempts + 1)

    def test_few_dial_at_once(self) -> None:
        """A link waits for its turn to dial, and does not keep the turn when it is ended meanwhile."""
        self.network.hung.add("slow")
        slow = self.made("slow")
        slow.start()
        self.link.start()
        self.assertEqual([address for address, _ in self.network.dialled], ["slow"])
        slow.stop("enough")
        self.assertEqual([address for address, _ in self.network.dialled], ["slow", "b"])

    def test_way_back(self) -> None:
        """A peer that cannot be dialled is answered on the stream that it has opened."""
        self.link = self.made(None)
        self.link.start()
        _, far = self.accepted()
        self.assertEqual((self.link.up, self.opened), (True, ["b"]))
        self.link.send(b"answer", None)
        self.network.flush()
        self.assertEqual(far.frames, [b"answer"])

    def test_what_we_dialled_comes_first(self) -> None:
        """While both are there the stream that we dialled carries our frames, whoever poses as b on another."""
        self.start()
        _, far = self.accepted()
        self.link.send(b"frame", None)
        self.network.flush()
        self.assertEqual((self.far.frames, far.frames), ([b"hello", b"frame"], []))
        self.assertEqual(self.opened, ["b"])

    def test_doubt(self) -> None:
        """When what we dialled does not confirm, frames go the other way before it is given up."""
        self.start()
        _, far = self.accepted()
        dialled = self.network.pumps.pop(0)
        self.link.send(b"into the void", None)
        self.clock.advance(4)
        self.link.send(b"frame", None)
        self.network.flush()
        self.assertEqual((far.frames, self.link.up), ([b"frame"], True))
        self.network.pumps.append(dialled)

    def test_nothing_is_overtaken(self) -> None:
        """While frames are under way on one stream, later ones follow there, though a better stream has come up."""
        self.link = self.made("nowhere")
        self.link.start()
        _, far = self.accepted()
        self.link.send(b"first", None)
        self.network.listening["nowhere"] = Factory.forProtocol(lambda: self.stream(self.far))
        self.clock.advance(1)
        self.assertEqual(len(self.network.pumps), 2)
        self.link.send(b"second", None)
        self.network.flush()
        self.assertEqual((far.frames, self.far.frames), ([b"first", b"second"], []))
        self.link.send(b"third", None)
        self.network.flush()
        self.assertEqual(self.far.frames, [b"third"])

    def test_few_streams_from_one_peer(self) -> None:
        """A peer that opens stream after stream keeps the last two."""
        self.link = self.made(None)
        streams = [self.accepted()[0] for _ in range(4)]
        self.network.flush()
        ended = [self.successResultOf(stream.when_closed()) for stream in streams[:2]]
        self.assertEqual(ended, ["the peer has opened a newer one"] * 2)
        self.assertNoResult(streams[2].when_closed())
        self.assertNoResult(streams[3].when_closed())

    def test_window(self) -> None:
        """Frames beyond the window wait, and leave as others are confirmed."""
        self.start()
        for number in range(10):
            self.link.send(b"%d" % number, None)
        self.assertFalse(self.link.settled)
        self.network.flush()
        self.assertEqual(self.far.frames[1:], [b"%d" % number for number in range(10)])
        self.assertTrue(self.link.settled)

    def test_stop(self) -> None:
        """A stopped link ends its streams, and dials nobody any more."""
        self.start()
        self.assertEqual(len(self.link.stop("we stop")), 1)
        self.network.flush()
        self.later(30)
        self.assertEqual(len(self.network.dialled), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_while_dialling(self) -> None:
        """A dial that is under way is given up for good, whatever error its cancellation makes."""
        self.network.hung.add("b")
        self.link.start()
        self.link.stop("we stop")
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.later(30)
        self.assertEqual(len(self.network.dialled), 1)

    def test_says_it_once(self) -> None:
        """Up and down are one line each."""
        with capturedLogs() as logs:
            self.start()
            self.later(3)
            del self.network.listening["b"]
            self.network.cut()
            self.later(20)
        lines = [event["log_format"] for event in logs if event["log_level"].name in ("info", "warn")]
        self.assertEqual(lines, ["link to {peer} is up", "link to {peer} is down: {problem}"])


class Near:
    """What a carrier does for its streams, for one link."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def opened(self, stream: Stream) -> None:
        """Do nothing: the link hears of it when its dial is done."""

    def arrived(self, stream: Stream, frame: bytes) -> None:
        """Do nothing: these tests look at what a sends."""

    def writable(self, stream: Stream) -> None:
        """Send more."""
        self._link.pump()

    def closed(self, stream: Stream) -> None:
        """Forget it."""
        self._link.lose(stream)
