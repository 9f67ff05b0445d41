"""Tests for L{rustbalance.tor.instance}, on a Tor in memory and in simulated time."""

from pathlib import Path

from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.testing.fake_tor import FakeTor
from rustbalance.tor.control import Patience, TorControl, connect
from rustbalance.tor.events import BootstrapProgress, ConsensusArrived, Event
from rustbalance.tor.failures import TorFailure
from rustbalance.tor.instance import TorInstance
from tests.tor.connected import FakeEndpoint


class MemoryTor(TorInstance):
    """An instance whose Tor is in memory."""

    mode = "managed"

    def __init__(self, tor: FakeTor, clock: Clock, name: str = "primary") -> None:
        super().__init__(name, clock, lambda failures: 2.0 * failures, Patience())
        self.socks = Path("/nowhere")
        self.tor = tor
        self.clock = clock
        self.endpoint = FakeEndpoint(tor)
        self.obstacle: Exception | None = None
        self.closed = 0

    async def connect(self) -> TorControl:
        """Connect in memory."""
        return await connect(self.endpoint, self.clock, None, self._patience)

    async def prepare(self, control: TorControl) -> None:
        """Do one thing on the connection, or fail."""
        await control.take_ownership()
        if self.obstacle is not None:
            raise self.obstacle

    async def close(self) -> None:
        """Count."""
        self.closed += 1


class Audience:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def on_ready(self, control: TorControl) -> None:
        """Note it."""
        self.heard.append("ready")

    def on_lost(self, reason: str) -> None:
        """Note it."""
        self.heard.append(reason)

    def on_event(self, event: Event) -> None:
        """Note it."""
        self.heard.append(event)


class Broken(Audience):
    """Fails whatever it is told."""

    def on_ready(self, control: TorControl) -> None:
        """Fail."""
        raise ZeroDivisionError


class TorInstanceTests(SynchronousTestCase):
    """L{TorInstance} performs what its machine commands."""

    def setUp(self) -> None:
        self.tor = FakeTor()
        self.clock = Clock()
        self.instance = MemoryTor(self.tor, self.clock)
        self.audience = Audience()
        self.instance.subscribe(self.audience)

    def flush(self) -> None:
        """Move the bytes and let what is due happen."""
        for _ in range(4):
            if self.instance.endpoint.pump is not None:
                self.instance.endpoint.pump.flush()
            self.clock.advance(0)

    def start(self) -> None:
        """Start and let everything settle."""
        self.instance.startService()
        self.flush()

    def later(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)
        self.flush()

    def phase(self) -> str:
        """Return the phase on the status page."""
        return self.instance.status().phase

    def test_serves(self) -> None:
        """Connected, prepared and bootstrapped: the audience has a connection, the status says so."""
        self.start()
        self.assertEqual(self.audience.heard, ["ready"])
        status = self.instance.status()
        self.assertEqual((status.name, status.mode, status.phase), ("primary", "managed", "serving"))
        self.assertEqual((status.bootstrap_percent, status.bootstrap_summary), (100, "Done"))
        self.assertEqual((status.tor_version, status.restarts, status.problem), ("0.4.9.11", 0, None))
        self.assertTrue(self.tor.owned)

    def test_follows_the_bootstrap(self) -> None:
        """Progress comes by event and is logged once a step; ready is said at the end of it and not before."""
        self.tor.bootstrap(10, "conn", "Connecting")
        with capturedLogs() as logs:
            self.start()
            self.assertEqual(self.phase(), "bootstrapping")
            self.tor.bootstrap(45, "loading", "Loading")
            self.flush()
            self.later(5)
            self.assertNotIn("ready", self.audience.heard)
            self.tor.bootstrap(100, "done", "Done")
            self.flush()
        self.assertEqual(self.audience.heard[-2:], [BootstrapProgress(100, "done", "Done"), "ready"][::-1])
        steps = [event["percent"] for event in logs if "percent" in event]
        self.assertEqual(steps, [10, 45, 100])

    def test_polls_the_bootstrap(self) -> None:
        """An event that got lost is made up for by the next look."""
        self.tor.bootstrap(10, "conn", "Connecting")
        self.start()
        self.tor.info["status/bootstrap-phase"] = 'NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY="Done"'
        self.later(5)
        self.assertEqual(self.phase(), "serving")

    def test_events(self) -> None:
        """Whatever Tor says is passed on as values."""
        self.start()
        self.tor.emit("STATUS_CLIENT NOTICE CONSENSUS_ARRIVED")
        self.flush()
        self.assertEqual(self.audience.heard, ["ready", ConsensusArrived()])

    def test_hung_tor_is_noticed(self) -> None:
        """A Tor that no longer answers is given up within 7 s, closed, and opened again."""
        self.start()
        self.tor.hung = True
        self.later(2)
        with capturedLogs() as logs:
            self.later(2.5)
            self.later(2.5)
        self.assertEqual(self.audience.heard, ["ready", "Tor did not answer GETINFO within 5 s"])
        self.assertIs(self.instance.failure, TorFailure.HUNG)
        self.assertEqual((self.instance.closed, self.phase()), (1, "waiting"))
        self.assertIsNone(self.instance.control)
        (warning,) = [event for event in logs if event["log_level"] is LogLevel.warn]
        self.assertEqual((warning["reason"], warning["delay"]), ("Tor did not answer GETINFO within 5 s", 2.0))
        self.tor.hung = False
        self.later(2)
        self.assertEqual((self.audience.heard[-1], self.phase()), ("ready", "serving"))
        self.assertEqual((self.instance.status().restarts, self.instance.failure), (1, None))

    def test_dropped_connection(self) -> None:
        """When the connection breaks the audience hears of it at once."""
        self.start()
        self.tor.drop()
        self.flush()
        self.assertEqual(len(self.audience.heard), 2)
        self.assertIn("closed", str(self.audience.heard[1]))
        self.later(2)
        self.assertEqual(self.audience.heard[2:], ["ready"])

    def test_obstacle(self) -> None:
        """What stands in the way is the problem on the status page until it is gone; the waits grow."""
        self.instance.obstacle = RuntimeError("the door is locked")
        self.start()
        self.assertEqual((self.phase(), self.instance.status().problem), ("waiting", "the door is locked"))
        self.later(2)
        self.assertEqual(self.phase(), "waiting")
        self.instance.obstacle = None
        self.later(3.9)
        self.assertEqual(self.phase(), "waiting")
        self.later(0.2)
        self.assertEqual((self.phase(), self.instance.status().problem), ("serving", None))

    def test_late_news_of_an_old_connection(self) -> None:
        """What an earlier connection still has to say is not held against its successor."""
        self.start()
        old = self.instance.control
        assert old is not None
        self.instance.failed("the process ended")
        self.later(2)
        self.assertEqual(self.phase(), "serving")
        old.abandon("late")
        self.flush()
        self.assertEqual(self.phase(), "serving")

    def test_late_audience(self) -> None:
        """Who comes when it serves already is told so at once."""
        self.start()
        late = Audience()
        self.instance.subscribe(late)
        self.assertEqual(late.heard, ["ready"])

    def test_broken_audience(self) -> None:
        """A listener that fails keeps nothing from the others."""
        instance = MemoryTor(self.tor, self.clock)
        instance.subscribe(Broken())
        instance.subscribe(self.audience)
        self.instance = instance
        self.start()
        self.assertEqual(self.audience.heard, ["ready"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_stop(self) -> None:
        """It says goodbye, closes, and nothing of it stays in the reactor."""
        self.start()
        stopped = self.instance.stopService()
        self.flush()
        self.successResultOf(stopped)
        self.assertEqual(self.audience.heard, ["ready", "it is being stopped"])
        self.assertEqual((self.instance.closed, self.phase()), (1, "stopped"))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_while_opening(self) -> None:
        """An attempt under way is given up."""
        self.tor.hung = True
        self.start()
        self.assertEqual(self.phase(), "starting")
        stopped = self.instance.stopService()
        self.flush()
        self.successResultOf(stopped)
        self.assertEqual(self.tor.connections, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_winding_down(self) -> None:
        """Before a stop a failure costs no line in the log and brings no further attempt."""
        self.start()
        self.instance.wind_down()
        with capturedLogs() as logs:
            self.instance.failed("the process ended")
            self.later(100)
        self.assertEqual((self.instance.closed, self.phase(), self.instance.status().restarts), (1, "waiting", 0))
        self.assertEqual([event for event in logs if event["log_level"] is not LogLevel.debug], [])
        self.successResultOf(self.instance.stopService())

    def test_stop_while_waiting(self) -> None:
        """The next attempt does not come."""
        self.instance.obstacle = RuntimeError("no")
        self.start()
        self.successResultOf(self.instance.stopService())
        self.assertEqual(self.clock.getDelayedCalls(), [])
