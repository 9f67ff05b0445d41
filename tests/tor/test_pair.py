"""Tests for L{rustbalance.tor.pair}, on Tors in memory and in simulated time."""

from pathlib import Path

from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.python.monkey import MonkeyPatcher
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.testing.fake_tor import FakeTor
from rustbalance.tor import pair as module
from rustbalance.tor.failures import TorFailure
from rustbalance.tor.instance import TorInstance
from rustbalance.tor.knocking import Place
from rustbalance.tor.pair import LOOK, TorPair
from tests.tor.test_instance import MemoryTor

PRIMARY, STANDBY, SPARE = Path("/primary"), Path("/standby"), ("127.0.0.1", 9060)


class PairCase(SynchronousTestCase):
    """Two Tors; C{broken} has what is wrong with SOCKS ports."""

    spare: Place | None = None
    second = True

    def setUp(self) -> None:
        self.clock = Clock()
        self.primary = self.instance("primary", PRIMARY)
        self.standby = self.instance("standby", STANDBY)
        self.broken: dict[Place, str] = {}
        self.heard: list[str | None] = []
        patch = MonkeyPatcher((module, "knock", self.knock))
        patch.patch()
        self.addCleanup(patch.restore)
        self.pair = TorPair(self.primary, self.standby if self.second else None, self.clock, self.spare)
        self.pair.subscribe(self.note)

    def instance(self, name: str, socks: Path) -> MemoryTor:
        """Make a Tor."""
        made = MemoryTor(FakeTor(), self.clock, name)
        made.socks = socks
        return made

    async def knock(self, place: Place, reactor: object, seconds: float) -> str | None:
        """Say what is wrong there."""
        return self.broken.get(place)

    def note(self, instance: TorInstance | None) -> None:
        """Note who has become active."""
        self.heard.append(None if instance is None else str(instance.name))

    def settle(self) -> None:
        """Move all bytes."""
        for _ in range(6):
            for instance in (self.primary, self.standby):
                if instance.endpoint.pump is not None:
                    instance.endpoint.pump.flush()
            self.clock.advance(0)

    def later(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(seconds / 0.25)):
            self.clock.advance(0.25)
            self.settle()

    def start(self) -> None:
        """Start both."""
        self.pair.startService()
        self.settle()

    def die(self, instance: MemoryTor) -> None:
        """Let one end for good."""
        instance.obstacle = RuntimeError("it is broken")
        instance.tor.drop()
        self.settle()


class PairTests(PairCase):
    """L{TorPair} uses one of two."""

    def test_primary_first(self) -> None:
        """With both there the primary is used, and the standby comes second for streams."""
        self.start()
        self.assertEqual((self.pair.active, self.pair.socks), (self.primary, (PRIMARY, STANDBY)))
        status = self.pair.status()
        self.assertEqual((status.active, status.phase, status.switches), ("primary", "primary", 0))

    def test_switch_and_back(self) -> None:
        """The standby takes over at once with one warning; the primary comes back after some good looks."""
        self.start()
        with capturedLogs() as logs:
            self.die(self.primary)
            self.assertEqual((self.pair.active, self.pair.socks), (self.standby, (STANDBY,)))
            self.later(20)
            self.primary.obstacle = None
            self.later(40)
        self.assertEqual(self.heard, ["primary", "standby", "primary"])
        said = [(event["log_level"], formatEvent(event)) for event in logs if "text" in event]
        self.assertEqual([level for level, _ in said], [LogLevel.warn, LogLevel.info])
        self.assertIn("Primary Tor control port failed (refused)", str(said[0][1]))
        self.assertIn("trying standby", str(said[0][1]))
        self.assertIn("Primary Tor control port reconnected", str(said[1][1]))
        self.assertEqual(self.pair.socks, (PRIMARY, STANDBY))

    def test_other(self) -> None:
        """The other one is there to be asked for as long as it serves."""
        self.assertIsNone(self.pair.other)
        self.start()
        self.assertIs(self.pair.other, self.standby)
        self.die(self.primary)
        self.assertEqual((self.pair.active, self.pair.other), (self.standby, None))

    def test_hung(self) -> None:
        """One that hangs is left within seven seconds."""
        self.start()
        self.primary.tor.hung = True
        self.later(7.25)
        self.assertIs(self.pair.active, self.standby)
        self.assertIs(self.primary.failure, TorFailure.HUNG)

    def test_socks_only(self) -> None:
        """A SOCKS port that fails takes control along; it is knocked at until it is well, and then on probation."""
        self.start()
        self.broken[PRIMARY] = "silent"
        self.pair.socks_failed(PRIMARY, "silent")
        self.pair.socks_failed(PRIMARY, "silent")
        self.settle()
        self.assertEqual((self.pair.active, self.pair.socks), (self.standby, (STANDBY, PRIMARY)))
        self.later(20)
        self.assertEqual(self.heard, ["primary", "standby"])
        self.broken.clear()
        self.later(2 * LOOK)
        self.assertEqual(self.pair.status().phase, "probation")
        self.later(3 * LOOK)
        self.assertEqual(self.heard, ["primary", "standby", "primary"])

    def test_hangs_altogether(self) -> None:
        """When the control port hangs as well as the SOCKS port, it is the control port that is said to have failed."""
        self.start()
        self.primary.tor.hung = True
        self.broken[PRIMARY] = "silent"
        with capturedLogs() as logs:
            self.pair.socks_failed(PRIMARY, "silent")
            self.assertEqual(self.pair.socks, (STANDBY, PRIMARY))
            self.later(8)
        self.assertIs(self.pair.active, self.standby)
        [said] = [str(formatEvent(event)) for event in logs if "text" in event]
        self.assertIn("Primary Tor control port failed (hung)", said)

    def test_a_stream_that_failed(self) -> None:
        """One stream that failed on a SOCKS port that answers costs that port its turn, for a moment, and no more."""
        self.start()
        with capturedLogs() as logs:
            self.pair.socks_failed(PRIMARY, "hung up")
            self.settle()
        self.assertEqual((self.heard, self.pair.socks), (["primary"], (PRIMARY, STANDBY)))
        self.assertEqual([event for event in logs if event["log_level"] is not LogLevel.debug], [])

    def test_fails_on_probation(self) -> None:
        """A primary whose control port is back and whose SOCKS port is not stays where it is."""
        self.start()
        self.die(self.primary)
        self.broken[PRIMARY] = "silent"
        self.primary.obstacle = None
        self.later(30)
        self.assertEqual((self.pair.status().phase, self.pair.active), ("standby", self.standby))

    def test_neither(self) -> None:
        """With both gone there is none, and whoever comes first is used."""
        self.start()
        self.die(self.primary)
        self.die(self.standby)
        self.assertEqual((self.pair.active, self.pair.socks), (None, ()))
        self.standby.obstacle = None
        self.later(30)
        self.assertIs(self.pair.active, self.standby)

    def test_unknown_place(self) -> None:
        """A stream that failed somewhere else is nothing to us."""
        self.start()
        self.pair.socks_failed(Path("/other"), "silent")
        self.assertEqual(self.heard, ["primary"])

    def test_stop(self) -> None:
        """A stop is no failure: nothing is said, nothing stays behind."""
        self.start()
        self.pair.wind_down()
        with capturedLogs() as logs:
            stopped = self.pair.stopService()
            self.settle()
        self.successResultOf(stopped)
        self.assertEqual([formatEvent(event) for event in logs if "text" in event], [])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class AloneTests(PairCase):
    """A primary without a standby."""

    second = False

    def test_alone(self) -> None:
        """It is used while it serves, without probation."""
        self.start()
        self.die(self.primary)
        self.assertIsNone(self.pair.active)
        self.primary.obstacle = None
        self.later(5)
        self.assertEqual(self.heard, ["primary", None, "primary"])


class SpareTests(AloneTests):
    """A standby that only takes streams."""

    spare = SPARE

    def test_streams(self) -> None:
        """Streams go there when the primary has failed; it cannot be asked anything."""
        self.start()
        self.assertEqual(self.pair.socks, (PRIMARY, SPARE))
        self.die(self.primary)
        self.assertEqual((self.pair.active, self.pair.socks), (None, (SPARE,)))
        self.assertEqual(self.pair.status().active, "standby")

    def test_alone(self) -> None:
        """The primary is asked as soon as it can be, and takes streams after its probation."""
        self.start()
        self.die(self.primary)
        self.primary.obstacle = None
        self.later(30)
        self.assertEqual(self.heard, [None, "primary", None, "primary", "primary"])

    def test_deaf(self) -> None:
        """
        A primary that takes no streams can be asked all the same: the spare cannot, and who posts must not stop. When
        it cannot be asked either, that is said, though no side has changed; and so is that it can again.
        """
        self.start()
        self.broken[PRIMARY] = "deaf"
        self.pair.socks_failed(PRIMARY, "deaf")
        self.settle()
        self.assertEqual((self.pair.status().active, self.pair.socks), ("standby", (SPARE, PRIMARY)))
        self.assertIs(self.pair.active, self.primary)
        self.assertEqual(self.heard[-1], "primary")
        self.die(self.primary)
        self.assertEqual((self.pair.active, self.heard[-1]), (None, None))
        self.primary.obstacle = None
        self.later(2)
        self.assertEqual((self.pair.active, self.heard[-1]), (self.primary, "primary"))
