"""Tests for L{rustbalance.publishing.verifier}, on a Tor in memory and in simulated time."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.life import deferred
from rustbalance.moment import Moment
from rustbalance.onion.plan import Seat
from rustbalance.ops.directories import DirectoryReport, Finding
from rustbalance.ops.status import DescriptorStatus
from rustbalance.publishing.commands import Command, Post
from rustbalance.publishing.outlook import Outlook
from rustbalance.publishing.settings import PublishSettings, VerifySettings
from rustbalance.publishing.uploads import Uploads
from rustbalance.publishing.verifier import NO_PLAN, NO_TOR, Verifier
from tests.publishing.looking import MASTER, Looking, planned
from tests.publishing.samples import START, A, B, C, D, E

HOLDERS = (A, B, C, D)


class VerifierCase(SynchronousTestCase):
    """A publisher that has published both descriptors, and a Tor that sees what directories hold."""

    mode: Any = "fetch"

    def setUp(self) -> None:
        self.clock = Clock()
        self.plan = planned(first=HOLDERS, second=(C, D, E))
        ring: Any = SimpleNamespace(plan=self.plan)
        self.ring = ring
        self.uploads = Uploads(PublishSettings(), lambda failures: 5.0)
        self.posts: list[Post] = []
        self.outlook = Outlook(ring, self.uploads, self.do, self.now)
        self.looking = Looking(self.plan.first, (A, B, C, D, E), self.clock)
        self.instance: Any = self.looking
        self.stale: list[bool] = []
        settings = VerifySettings(mode=self.mode)
        self.nowhere: list[tuple[str, bool]] = []
        self.verifier = Verifier(
            self.outlook,
            MASTER.address,
            lambda: self.instance,
            settings,
            self.clock,
            self.now,
            self.stale.append,
            lambda tor, nowhere: self.nowhere.append((tor, nowhere)),
        )
        self.verifier.startService()
        self.addCleanup(self.verifier.stopService)
        self.uploads.connected(START)
        self.outlook.lead()

    def now(self) -> Moment:
        """Return the simulated time."""
        return START.later(self.clock.seconds())

    def do(self, commands: Sequence[Command]) -> None:
        """Let whatever is posted arrive at once."""
        for command in commands:
            if isinstance(command, Post):
                self.posts.append(command)
                for directory in command.directories:
                    if command.seat is self.looking.seat.seat:
                        self.looking.held[directory] = command.revision
                    self.do(self.uploads.uploaded(directory, self.now()))

    def publish(self, revision: int = 7) -> None:
        """Publish both."""
        for seat in self.plan:
            self.do(self.uploads.publish(seat.seat, seat.blinded_public, revision, seat.directories, self.now()))
        self.posts.clear()
        self.outlook.published()

    def later(self, seconds: float) -> list[str]:
        """Let time pass, a second at a time; return who was asked."""
        asked = []
        for _ in range(round(seconds)):
            self.clock.advance(1.0)
            asked += self.looking.answer()
        return asked

    def check(self) -> DirectoryReport:
        """Check on request and return the report."""
        self.verifier.check()
        for _ in range(200):
            if not self.verifier.report().running:
                return self.verifier.report()
            self.looking.answer()
            self.clock.advance(1.0)
        raise AssertionError("the check does not end")

    def findings(self, seat: Seat = Seat.FIRST) -> dict[str, Finding]:
        """Return what the last check found of one descriptor, by the directory's first letter."""
        return {row.directory[0]: row.finding for row in self.verifier.report().rows if row.seat == seat}


class VerifierTests(VerifierCase):
    """L{Verifier} looks after what was published."""

    def test_when(self) -> None:
        """Nobody is asked before a publish; each directory once a minute after it, then every five minutes."""
        self.assertEqual(self.later(400), [])
        self.publish()
        self.assertEqual(self.later(59), [])
        self.assertEqual(sorted(self.later(2)), list(HOLDERS))
        self.assertEqual(self.later(297), [])
        self.assertEqual(sorted(self.later(2)), list(HOLDERS))
        self.assertEqual(self.stale, [False, False])
        self.assertEqual(self.posts, [])

    def test_within_one_interval(self) -> None:
        """What is lost right after it was asked for is posted again before one interval is over, time and again."""
        self.publish()
        for directory in (B, A, D):
            while not self.a_moment():
                pass
            self.looking.held[directory] = None
            began = self.clock.seconds()
            while not self.posts:
                self.a_moment()
            self.assertEqual({post.directories for post in self.posts}, {(directory,)})
            self.assertLess(self.clock.seconds() - began, 300.0 + 0.5)  # time goes by in steps of a quarter
            while not self.a_moment():
                pass
            self.posts.clear()

    def a_moment(self) -> list[str]:
        """Let each answer take an eighth of a second; return who has been asked."""
        self.clock.advance(0.125)
        asked = self.looking.answer()
        self.clock.advance(0.125)
        return asked

    def test_again_at_once(self) -> None:
        """Whoever gives a bad answer is asked again at once, whoever gives none two seconds later."""
        self.publish()
        self.looking.held[B], self.looking.deaf = None, {C}
        self.later(60)
        self.assertEqual(self.later(20), [B])
        self.assertEqual(self.later(2), [C])

    def test_verified(self) -> None:
        """When all is well a line at debug says so for each descriptor, and no line says anything else."""
        self.publish()
        with capturedLogs() as events:
            self.later(65)
        lines = [formatEvent(event) for event in events]
        self.assertEqual(len(lines), 2)
        self.assertIn("Descriptor verified on HSDirs (rev=7): 4 of 4 hold the first one, as they gave it", lines[0])
        self.assertIn("3 of 3 hold the second one, as they confirmed", lines[1])
        self.assertEqual({event["log_level"] for event in events}, {LogLevel.debug})
        self.assertEqual([line for line in lines if MASTER.address.label in line], [])

    def test_emptied(self) -> None:
        """A directory that was emptied gets both descriptors again, nobody else gets anything, and a line says it."""
        self.publish()
        self.looking.held[C] = None
        with capturedLogs() as events:
            self.later(65)
        self.assertEqual([(post.seat, post.directories) for post in self.posts], [
            (Seat.FIRST, (C,)), (Seat.SECOND, (C,)),
        ])  # fmt: skip
        lines = [formatEvent(event) for event in events if event["log_level"] is LogLevel.warn]
        self.assertEqual(len(lines), 2)
        self.assertIn(
            f"Stale descriptor at directory {C}: it holds nothing of the first descriptor, expected", lines[0]
        )
        self.assertEqual(self.findings()["C"], Finding.MISSING)
        self.assertEqual(sorted(self.later(62)), list(HOLDERS))
        self.assertEqual(set(self.findings().values()), {Finding.VERIFIED})
        self.assertEqual(self.stale, [False, False])

    def test_older(self) -> None:
        """One that gives an older text gets that one again, and only that."""
        self.publish()
        self.looking.held[B] = 6
        self.later(65)
        self.assertEqual([(post.seat, post.directories) for post in self.posts], [(Seat.FIRST, (B,))])

    def test_it_does_not_last(self) -> None:
        """A directory that loses it again and again is a failure for others to deal with, as long as it does."""
        self.publish()
        for _ in range(3):
            self.looking.held[B] = None
            self.later(65)
        self.assertEqual(self.stale, [False, True, True])
        self.assertIn("1 uploads have not lasted", " ".join(self.verifier.problems()))
        self.later(65)
        self.assertEqual(self.stale[-1], False)
        self.assertEqual(self.verifier.problems(), ())

    def test_somebody_else(self) -> None:
        """A higher counter that is not ours is left alone, and said once for as long as it is so."""
        self.publish()
        self.looking.held[A] = self.looking.held[B] = 9
        with capturedLogs() as events:
            self.later(400)
        self.assertEqual(self.posts, [])
        lines = [formatEvent(event) for event in events if event["log_level"] is LogLevel.warn]
        self.assertEqual(len(lines), 1)
        self.assertIn("2 directories hold a newer first descriptor than ours: somebody else", lines[0])
        self.assertEqual(self.verifier.problems(), tuple(lines))

    def test_silence(self) -> None:
        """A directory that does not answer is asked twice, and nothing is concluded from it."""
        self.publish()
        self.looking.deaf = {A}
        self.assertEqual(sorted(self.later(160)), [A, A, B, C, D])
        self.assertEqual((self.findings()["A"], self.posts), (Finding.SILENT, []))
        self.assertEqual(self.verifier.problems(), ())

    def test_a_second_look(self) -> None:
        """What is found wrong is looked at twice before anything is done: it may just have been under way."""
        self.publish()
        self.looking.held[A] = None
        self.later(60)
        self.looking.held[A] = 7
        self.later(5)
        self.assertEqual((set(self.findings().values()), self.posts), ({Finding.VERIFIED}, []))

    def test_nobody_answers(self) -> None:
        """When nobody answers it is us who do not get through: said as a problem, and tried again sooner."""
        self.publish()
        self.looking.deaf = set(HOLDERS)
        self.later(160)
        self.assertIn("none of 4 directories answered (no answer)", " ".join(self.verifier.problems()))
        self.assertEqual((self.posts, self.stale, self.nowhere), ([], [], []))
        self.later(100)
        self.assertEqual(self.nowhere, [("scout", True)])
        self.looking.deaf = set()
        self.later(61)
        self.assertEqual(self.verifier.problems(), ())
        self.assertEqual(self.nowhere, [("scout", True), ("scout", False)])

    def test_no_tor(self) -> None:
        """Without a Tor to look with nothing is concluded."""
        self.publish()
        self.looking.control = None
        self.later(65)
        self.assertIn(NO_TOR, " ".join(self.verifier.problems()))
        self.instance = None
        self.assertEqual(self.check().problem, NO_TOR)
        self.assertEqual(self.posts, [])

    def test_other_half_of_the_day(self) -> None:
        """The Tor that looks is already in the next period: its answers are taken for what they are."""
        self.looking.seat = self.plan.second
        self.publish()
        self.looking.held[E] = None
        asked = self.later(65)
        self.assertEqual(set(asked), {A, B, C, D, E})
        self.assertEqual([(post.seat, post.directories) for post in self.posts], [(Seat.SECOND, (E,))])
        self.assertEqual(self.verifier.report().asked, "second")

    def test_another_node_takes_over(self) -> None:
        """From then on nobody is asked by itself, and what is under way ends without a post."""
        self.publish()
        self.looking.held[A] = None
        self.later(60)
        self.outlook.follow()
        self.uploads.abandon()
        with capturedLogs() as events:
            self.later(400)
        self.assertEqual((self.posts, self.stale, events), ([], [], []))
        self.assertEqual(self.verifier.problems(), ())

    def test_another_node_takes_over_what_does_not_last(self) -> None:
        """What would not last is not this node's to mend any more, so that failure is over."""
        self.publish()
        self.later(60)
        while self.stale[-1:] != [True]:
            self.looking.held[A] = None
            self.later(10)
        self.outlook.follow()
        self.assertEqual(self.stale[-1], False)
        self.outlook.follow()
        self.assertEqual(self.stale[-2:], [True, False])

    def test_we_take_over(self) -> None:
        """What was seen before it was ours to publish is nothing to act upon."""
        self.publish()
        self.outlook.follow()
        self.outlook.learn({self.plan.first.blinded_public.hex(): 7})
        self.looking.held[A] = None
        self.verifier.check()
        self.outlook.lead()
        with capturedLogs() as events:
            self.later(10)
        self.assertEqual((self.posts, self.stale, events), ([], [], []))
        self.assertEqual(self.findings()["A"], Finding.MISSING)

    def test_look(self) -> None:
        """Whoever wants to know waits for the check that is under way, or for one that begins with that."""
        self.publish()
        looks = [deferred(self.verifier.look()) for _ in range(2)]
        self.assertNoResult(looks[0])
        self.assertEqual(sorted(self.later(2)), list(HOLDERS))
        for look in looks:
            self.assertTrue(self.successResultOf(look).good)
        again = deferred(self.verifier.look())
        self.assertEqual(sorted(self.later(2)), list(HOLDERS))
        self.assertEqual(self.successResultOf(again).number, 2)

    def test_stop(self) -> None:
        """Stopping ends a check without a word."""
        self.publish()
        self.clock.advance(60.0)
        with capturedLogs() as events:
            self.verifier.stopService()
            self.later(400)
        self.assertEqual(events, [])


class ReportTests(VerifierCase):
    """What people see of it."""

    def test_nothing_yet(self) -> None:
        """Before the first check there is no figure and no row."""
        report = self.verifier.report()
        self.assertEqual((report.number, report.running, report.rows, report.age_secs), (0, False, (), None))
        self.assertEqual(self.verifier.status((self.descriptor(100),)), (self.descriptor(100),))

    def descriptor(self, period: int) -> DescriptorStatus:
        """Return the status of a descriptor that was published."""
        return DescriptorStatus(
            seat="first",
            period=period,
            introduction_points=3,
            revision=7,
            directories=4,
            confirmed=4,
            published=True,
            age_secs=1.0,
            problem=None,
        )

    def test_on_request(self) -> None:
        """A check that is asked for comes at once, has a row for each directory and descriptor, and a number."""
        self.publish()
        self.assertTrue(self.verifier.check().running)
        report = self.check()
        self.assertEqual((report.number, report.running, report.asked, report.good), (1, False, "first", True))
        self.assertEqual(len(report.rows), 7)
        self.assertEqual(self.check().number, 2)

    def test_repairs_too(self) -> None:
        """What it finds lost is posted again, and the row says so."""
        self.publish()
        self.looking.held[A] = None
        report = self.check()
        self.assertFalse(report.good)
        self.assertEqual([row.directory for row in report.rows if row.posted_again], [A])
        self.assertEqual([post.directories for post in self.posts], [(A,)])

    def test_figures(self) -> None:
        """The status has for each descriptor at how many directories it was found, how and when."""
        self.publish()
        self.looking.held[A] = None
        self.looking.deaf = {B}
        self.check()
        self.later(10)
        first, second, other = self.verifier.status([self.descriptor(period) for period in (100, 101, 102)])
        self.assertEqual((first.verified, first.verified_by, first.verified_age_secs), (2, "fetch", 10.0))
        self.assertEqual((second.verified, second.verified_by), (3, "upload"))
        self.assertEqual(other, self.descriptor(102))

    def test_without_publishing(self) -> None:
        """On a node that does not publish: what it knows by hearsay is checked, and nothing is posted."""
        self.outlook.follow()
        self.outlook.learn({self.plan.first.blinded_public.hex(): 7})
        self.looking.held = {A: 7, B: None, C: 5, D: 7}
        report = self.check()
        self.assertEqual(self.findings(), {
            "A": Finding.VERIFIED, "B": Finding.MISSING, "C": Finding.STALE, "D": Finding.VERIFIED,
        })  # fmt: skip
        self.assertEqual(set(self.findings(Seat.SECOND).values()), {Finding.UNASKED})
        self.assertEqual((report.publishes, self.posts, self.stale), (False, [], []))

    def test_no_plan(self) -> None:
        """As long as nobody knows which directories to ask, that is what it says."""
        self.ring.plan = None
        self.assertEqual(self.check().problem, NO_PLAN)
        look = deferred(self.verifier.look())
        self.assertEqual(self.successResultOf(look).problem, NO_PLAN)


class UploadModeTests(VerifierCase):
    """C{verify_mode = "upload"}."""

    mode = "upload"

    def test_by_confirmations(self) -> None:
        """Nobody is asked; the line says what has been confirmed."""
        self.publish()
        with capturedLogs() as events:
            self.assertEqual(self.later(400), [])
        lines = [formatEvent(event) for event in events]
        self.assertIn("Descriptor verified on HSDirs (rev=7): 4 of 4 hold the first one, as they confirmed", lines[0])
        self.assertEqual(len(lines), 4)


class OffTests(VerifierCase):
    """C{verify_mode = "off"}."""

    mode = "off"

    def test_only_on_request(self) -> None:
        """Nothing happens by itself, all of it on request."""
        self.publish()
        self.assertEqual(self.later(1_000), [])
        self.assertTrue(self.check().good)
