"""Visits to our own address, on a clock of our own."""

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.health.canary import Canary, CanarySettings, Surroundings, Way
from rustbalance.health.canary_visit import Route
from rustbalance.health.lookup import NoDescriptor
from rustbalance.health.proof import NONCE
from rustbalance.health.repair import Failure
from rustbalance.health.visits import End, Outcome
from rustbalance.moment import Moment
from rustbalance.ops.directories import DirectoryReport, DirectoryRow, Finding
from rustbalance.ops.status import NodeStatus
from rustbalance.proxy.socks import SocksAddress
from rustbalance.secrets import Secret
from tests.ops.statuses import cluster, node

PASSED = Outcome(End.PASSED, "200, status=ok", 1.5, "alpha", "primary")
FAILED = Outcome(End.LATE, "nothing came in time", 30.0)
LOST = Outcome(End.LOOKUP, "onion service descriptor not found", 3.0)

NOBODY_ASKED = DirectoryReport(number=0, running=False, publishes=True)


class CanaryTests(SynchronousTestCase):
    """With an interval of 120 s, a threshold of 3, and 300 s before the first visit."""

    def setUp(self) -> None:
        """Start a canary."""
        self.clock = Clock()
        self.outcome: Outcome | Deferred[Outcome] | Exception = PASSED
        self.visits: list[tuple[float, bytes]] = []
        self.way: Way | None = Way("scout", SocksAddress(port=1), self.renew)
        self.renewed: list[float] = []
        self.trouble: Exception | None = None
        self.waiting: Deferred[None] | None = None
        self.node: NodeStatus = node()
        self.reports: list[tuple[str, Failure, str]] = []
        self.standing: dict[str, int] = {"primary": 3}
        self.report: DirectoryReport | Deferred[DirectoryReport] = NOBODY_ASKED
        self.looks: list[float] = []
        self.log: list[Any] = []
        observe: Any = self.log.append
        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        self.nonces = 0
        self.canary = Canary(
            CanarySettings(Route("x.onion", "/health")),
            Surroundings(
                way=lambda: self.way,
                keys=lambda: [Secret(32)],
                node=lambda: self.node,
                standing=self.count,
                directories=self.look,
                failing=lambda failure, subject: self.reports.append(("failing", failure, subject)),
                mended=lambda failure, subject: self.reports.append(("mended", failure, subject)),
            ),
            self.clock,
            self.random,
            lambda: Moment(self.clock.seconds(), 0.0),
            self.visit,
        )
        self.canary.startService()
        self.addCleanup(lambda: self.canary.stopService() if self.canary.running else None)

    async def visit(self, route: Route, socks: SocksAddress, key: Secret, nonce: bytes, reactor: Any) -> Outcome:
        """Visit nothing."""
        self.assertEqual((route, socks, reactor), (Route("x.onion", "/health"), SocksAddress(port=1), self.clock))
        self.visits.append((self.clock.seconds(), nonce))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return await self.outcome if isinstance(self.outcome, Deferred) else self.outcome

    async def renew(self) -> None:
        """Look up anew."""
        self.renewed.append(self.clock.seconds())
        if self.waiting is not None:
            await self.waiting
        if self.trouble is not None:
            raise self.trouble

    async def count(self) -> Mapping[str, int]:
        """Count introduction circuits."""
        return self.standing

    async def look(self) -> DirectoryReport:
        """Ask the directories."""
        self.looks.append(self.clock.seconds())
        return await self.report if isinstance(self.report, Deferred) else self.report

    def random(self, size: int) -> bytes:
        """Draw another number each time."""
        self.nonces += 1
        return self.nonces.to_bytes(size)

    def run_until(self, seconds: int) -> None:
        """Let time pass."""
        self.clock.pump([1.0] * int(seconds - self.clock.seconds()))

    def said(self, level: LogLevel) -> list[str]:
        """Return what was logged at a level."""
        return [formatEvent(event) for event in self.log if event.get("log_level") is level]

    def test_schedule(self) -> None:
        """The first visit after the delay, then one each interval, each with a nonce and a descriptor of its own."""
        self.run_until(299)
        self.assertEqual(self.visits, [])
        self.run_until(1000)
        times = [300.0, 420.0, 540.0, 660.0, 780.0, 900.0]
        self.assertEqual(self.visits, [(at, (number + 1).to_bytes(NONCE)) for number, at in enumerate(times)])
        self.assertEqual(self.renewed, times)

    def test_passed(self) -> None:
        """A visit that passes is a line at debug, and a row of the table."""
        self.run_until(310)
        [line] = [line for line in self.said(LogLevel.debug) if "Canary" in line]
        self.assertEqual(line, "Canary self-test passed (200, status=ok), answered by node alpha (primary) in 1.5 s")
        status = self.canary.status()
        self.assertEqual((status.visits, status.failures, status.passed_age_secs), (1, 0, 10.0))
        self.assertEqual((status.last, status.through, status.diagnosis), ("200, status=ok", "scout", None))
        self.assertEqual(
            [(one.node, one.instance, one.age_secs, one.count) for one in status.seen], [("alpha", "primary", 10.0, 1)]
        )
        self.assertEqual(self.canary.problems(), ())

    def test_three_failures(self) -> None:
        """Exactly the third failure in a row is an error, once; each from then on is reported to be repaired."""
        self.outcome = FAILED
        self.run_until(420)
        self.assertEqual((self.said(LogLevel.error), self.reports, self.canary.problems()), ([], [], ()))
        self.run_until(540)
        self.assertEqual(
            self.said(LogLevel.error),
            [
                "Canary self-test FAILED 3 times in a row, the last time because nothing came in time: "
                "nothing is wrong here, as far as can be seen"
            ],
        )
        self.assertEqual(self.reports, [("failing", Failure.UNREACHABLE, "")])
        self.assertEqual(
            self.canary.problems(), ("visits to our own address fail: nothing is wrong here, as far as can be seen",)
        )
        self.run_until(1000)
        self.assertEqual(len(self.said(LogLevel.error)), 1)
        self.assertEqual(self.reports, [("failing", Failure.UNREACHABLE, "")] * 4)

    def test_recovery(self) -> None:
        """A visit that passes again is a line at info, and ends the repair; before the alarm it is neither."""
        self.outcome = FAILED
        self.run_until(420)
        self.outcome = PASSED
        self.run_until(540)
        self.assertEqual((self.said(LogLevel.info), self.reports), ([], []))
        self.outcome = FAILED
        self.run_until(900)
        self.outcome = PASSED
        self.run_until(1020)
        self.assertEqual(self.said(LogLevel.info), ["Canary self-test recovered: the master address is reached again"])
        self.assertEqual(self.reports, [("failing", Failure.UNREACHABLE, ""), ("mended", Failure.UNREACHABLE, "")])
        self.assertEqual((self.canary.problems(), self.canary.status().diagnosis), ((), None))

    def test_another_diagnosis(self) -> None:
        """When it turns out to be something else, that is said and reported, and the first thing is not any more."""
        self.outcome = FAILED
        self.run_until(540)
        self.outcome = LOST
        self.run_until(660)
        self.standing = {"primary": 0}
        self.run_until(780)
        self.assertEqual(
            self.reports,
            [
                ("failing", Failure.UNREACHABLE, ""),
                ("mended", Failure.UNREACHABLE, ""),
                ("failing", Failure.DESCRIPTOR_STALE, ""),
                ("mended", Failure.DESCRIPTOR_STALE, ""),
                ("failing", Failure.NO_POINTS, "primary"),
            ],
        )
        self.assertEqual(
            self.said(LogLevel.warn),
            [
                "Visits to the address still fail: no directory has given a descriptor",
                "Visits to the address still fail: no introduction point of our Tor (primary) stands",
            ],
        )

    def test_directories(self) -> None:
        """They are asked from the alarm on, and not waited for longer than is reasonable."""
        row = DirectoryRow(seat="first", directory="A", finding=Finding.STALE)
        self.report = DirectoryReport(number=1, running=False, publishes=True, asked="first", rows=(row,))
        self.outcome = FAILED
        self.run_until(420)
        self.assertEqual(self.looks, [])
        self.run_until(540)
        self.assertEqual((self.looks, self.reports), ([540.0], [("failing", Failure.DESCRIPTOR_STALE, "")]))
        self.report = Deferred()
        self.run_until(719)
        self.assertEqual(len(self.reports), 1)
        self.run_until(720)
        self.assertEqual(
            self.reports[1:], [("mended", Failure.DESCRIPTOR_STALE, ""), ("failing", Failure.UNREACHABLE, "")]
        )

    def test_nothing_to_repair(self) -> None:
        """A diagnosis without a failure is an error in the log and a problem, and nothing is done."""
        self.outcome = Outcome(End.STRANGE, "status 404, and not what a canary says")
        self.run_until(700)
        self.assertEqual((len(self.said(LogLevel.error)), self.reports), (1, []))
        self.assertIn("no canary", self.canary.problems()[0])

    def test_no_way(self) -> None:
        """Without a Tor to go through there is no visit, and none that failed."""
        self.way = None
        self.run_until(1000)
        status = self.canary.status()
        self.assertEqual((self.visits, status.visits, status.failures), ([], 0, 0))
        self.assertEqual(status.last, "no Tor serves through which to visit")

    def test_no_descriptor(self) -> None:
        """Where no directory gives one there is nothing to visit: that is a failure, whatever this Tor remembers."""
        self.trouble = NoDescriptor("none of 8 directories gives the descriptor")
        self.run_until(540)
        status = self.canary.status()
        self.assertEqual((self.visits, status.failures), ([], 3))
        self.assertEqual(status.last, "none of 8 directories gives the descriptor")
        self.assertEqual(self.reports, [("failing", Failure.DESCRIPTOR_STALE, "")])

    def test_it_does_not_renew(self) -> None:
        """A Tor that is in trouble then is visited through all the same, and so is one where nobody knows how."""
        self.trouble = RuntimeError("Tor is gone")
        self.run_until(300)
        self.way = Way("primary", SocksAddress(port=1))
        self.run_until(420)
        self.assertEqual([at for at, _ in self.visits], [300.0, 420.0])

    def test_one_after_another(self) -> None:
        """While a visit is under way no other begins; the stop gives it up."""
        cancelled: list[object] = []
        self.outcome = Deferred(cancelled.append)
        self.run_until(1000)
        self.assertEqual(len(self.visits), 1)
        self.canary.stopService()
        self.assertEqual(len(cancelled), 1)
        self.run_until(2000)
        self.assertEqual((len(self.visits), self.clock.getDelayedCalls()), (1, []))

    def test_stop_before_it_is_renewed(self) -> None:
        """A stop while the descriptor is looked up ends that, and no visit begins after it."""
        self.waiting = Deferred()
        self.run_until(300)
        self.assertEqual((len(self.renewed), self.visits), (1, []))
        self.canary.stopService()
        self.run_until(1000)
        self.assertEqual((self.visits, self.clock.getDelayedCalls()), ([], []))

    def test_stop_before_the_first(self) -> None:
        """A stop during the delay leaves nothing behind."""
        self.canary.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_mishap(self) -> None:
        """An error of our own is logged, and the next visit comes."""
        self.outcome = RuntimeError("on purpose")
        self.run_until(300)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.outcome = PASSED
        self.run_until(420)
        self.assertEqual(self.canary.status().failures, 0)

    def test_overlooked(self) -> None:
        """A node whose points are published and which never answers is a problem, though all visits pass."""
        self.node = node(cluster=cluster(beta="healthy"))
        self.run_until(300 + 48 * 120)
        self.assertEqual(self.canary.problems(), ("node beta has published points, but answers no visits",))

    def test_nothing_secret(self) -> None:
        """The address is in no line."""
        self.test_recovery()
        for event in self.log:
            self.assertNotIn("x.onion", str({key: value for key, value in event.items() if key != "log_source"}))
