"""Tests for L{rustbalance.publishing.publisher}, on a Tor in memory and in simulated time."""

import re
import shutil
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.python.monkey import MonkeyPatcher
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.moment import Moment
from rustbalance.onion.consensus import parse_consensus
from rustbalance.onion.descriptor import decode_outer
from rustbalance.publishing.commands import Command
from rustbalance.publishing.schedule import Answer
from rustbalance.tor import pair
from rustbalance.tor.control import ControlError
from tests.publishing.memory import CONSENSUS, HOURS, Node
from tests.publishing.samples import inner
from tests.tor.test_instance import MemoryTor


class PublisherTestCase(SynchronousTestCase):
    """A node that has just been made."""

    def setUp(self) -> None:
        self.node = Node()
        self.addCleanup(shutil.rmtree, self.node.directory)

    def serve(self, *points: int) -> None:
        """Start the node and let Tor have these points."""
        self.node.have_points(*(points or (1, 2, 3)))
        self.node.start()
        self.node.later(1)

    def confirmed(self) -> list[tuple[int, int, bool]]:
        """Return for both descriptors: confirmed, responsible, published."""
        return [(each.confirmed, each.directories, each.published) for each in self.node.publisher.status()]


class PublisherTests(PublisherTestCase):
    """L{Publisher} keeps both descriptors at their directories."""

    def test_both_descriptors_to_their_own_directories(self) -> None:
        """Each descriptor lies at each of its eight directories, with our points, and at no other relay."""
        self.serve()
        self.assertEqual(self.confirmed(), [(8, 8, True), (8, 8, True)])
        for seat in self.node.plan:
            holders = {relay for relay, key in self.node.held if key == seat.blinded_public}
            self.assertEqual(holders, set(seat.directories))
            self.assertEqual({frozenset(self.node.points(relay, seat)) for relay in holders}, {frozenset((1, 2, 3))})
        self.assertEqual(self.node.publisher.problems(), ())

    def test_as_soon_as_points_exist(self) -> None:
        """From the moment Tor has its points it takes one poll to be published."""
        self.node.start()
        self.node.later(5)
        self.assertEqual(self.node.tor.posted, [])
        self.node.have_points(1, 2, 3)
        self.node.later(0.25)
        self.assertEqual(self.confirmed(), [(8, 8, True), (8, 8, True)])

    def test_status_before_and_after(self) -> None:
        """The status says what is known: nothing, then both descriptors with their counters, ages and points."""
        self.assertEqual(self.node.publisher.status(), ())
        self.serve()
        self.node.later(20)
        for status, seat in zip(self.node.publisher.status(), self.node.plan, strict=True):
            self.assertEqual((status.seat, status.period), (seat.seat, seat.period.number))
            self.assertEqual((status.introduction_points, status.problem), (3, None))
            self.assertEqual(status.revision, self.node.revision(seat.directories[0], seat))
            self.assertEqual(round(status.age_secs or 0), 21)

    def test_log_line(self) -> None:
        """One line for each publish says how many directories took it, and no line names the address."""
        with capturedLogs() as events:
            self.serve()
        lines = [formatEvent(event) for event in events]
        [first, second] = [line for line in lines if "Published" in line]
        self.assertIn("the first descriptor (first publish) with 3 introduction points: confirmed by 8 of 8", first)
        self.assertIn("the second descriptor", second)
        self.assertEqual([line for line in lines if self.node.master.address.label in line], [])

    def test_changed_points(self) -> None:
        """Other points replace what is out there, with higher counters, as soon as Tor hints at them."""
        self.serve()
        seat = self.node.plan.first
        before = self.node.revision(seat.directories[0], seat)
        self.node.later(20)
        self.node.have_points(4, 5, 6)
        self.node.tor.emit(f"HS_DESC CREATED {self.node.master.address.label} UNKNOWN UNKNOWN x")
        self.node.settle()
        self.assertEqual(self.node.points(seat.directories[0], seat), {4, 5, 6})
        self.assertGreater(self.node.revision(seat.directories[0], seat), before)
        self.assertEqual(self.confirmed(), [(8, 8, True), (8, 8, True)])

    def test_points_in_whatever_period_tor_is(self) -> None:
        """Tor's descriptor is read also when Tor has rotated and we do not know it yet."""
        self.node.have_points(1, 2, 3, seat=self.node.plan.second)
        self.node.start()
        self.node.later(1)
        self.assertEqual(self.confirmed(), [(8, 8, True), (8, 8, True)])

    def test_refresh(self) -> None:
        """Both descriptors are published again after the configured time, and on request."""
        self.serve()
        posts = len(self.node.tor.posted)
        self.node.later(598, 1.0)
        self.assertEqual(len(self.node.tor.posted), posts)
        self.node.later(3, 1.0)
        self.assertEqual(len(self.node.tor.posted), 2 * posts)
        self.node.later(30)
        self.node.publisher.publish_now()
        self.node.settle()
        self.assertEqual(len(self.node.tor.posted), 3 * posts)

    def test_never_without_points(self) -> None:
        """When Tor's descriptor is gone nothing is posted, and the status says why."""
        self.serve()
        posts = len(self.node.tor.posted)
        del self.node.tor.info[f"hs/service/desc/id/{self.node.master.address.label}"]
        self.node.later(1_000, 1.0)
        self.node.publisher.publish_now()
        self.node.settle()
        self.assertEqual(len(self.node.tor.posted), posts)
        self.assertIn("no introduction points", " ".join(self.node.publisher.problems()))

    def test_unreadable_points(self) -> None:
        """A descriptor that cannot be read is a problem, not an absence of points, and reading goes on."""
        self.serve()
        self.node.tor.info[f"hs/service/desc/id/{self.node.master.address.label}"] = b"nonsense\n"
        self.node.later(11)
        self.assertIn("cannot be read", " ".join(self.node.publisher.problems()))
        self.node.have_points(4, 5, 6)
        self.node.later(11)
        self.assertEqual(self.node.publisher.problems(), ())
        seat = self.node.plan.second
        self.assertEqual(self.node.points(seat.directories[0], seat), {4, 5, 6})


class FollowTests(PublisherTestCase):
    """A publisher does as its cluster says."""

    def setUp(self) -> None:
        super().setUp()
        self.serve()
        self.node.later(20)
        self.posts = len(self.node.tor.posted)
        self.seat = self.node.plan.first

    def test_another_publishes(self) -> None:
        """From the step down on nothing is posted, and the status says nothing of descriptors."""
        self.node.publisher.follow()
        self.node.have_points(4, 5, 6)
        self.node.later(700, 1.0)
        self.node.publisher.publish_now()
        self.node.settle()
        self.assertEqual(len(self.node.tor.posted), self.posts)
        self.assertEqual((self.node.publisher.status(), self.node.publisher.problems()), ((), ()))

    def test_stepping_down_in_the_middle(self) -> None:
        """A publish under way ends: what was not posted yet is not, neither then nor at the next takeover."""
        gate: Deferred[None] = Deferred()

        async def slow(function: Callable[[], object]) -> object:
            await gate
            return function()

        self.node.publisher._jobs.in_thread = slow  # type: ignore[assignment]
        self.node.publisher.publish_now()
        self.node.publisher.follow()
        gate.callback(None)
        self.node.settle()
        self.assertEqual(len(self.node.tor.posted), self.posts)
        self.node.have_points(4, 5, 6)
        self.node.later(11)
        self.node.publisher.lead()
        self.node.settle()
        self.assertEqual(self.confirmed(), [(8, 8, True), (8, 8, True)])
        self.assertEqual(self.node.points(self.seat.directories[0], self.seat), {4, 5, 6})

    def test_what_is_cancelled_is_posted(self) -> None:
        """
        A post that has been handed over when another node takes the seat is with Tor: its answer is waited for, and the
        next text, a moment later, goes out when it has come.
        """
        self.node.publisher.publish_now()
        self.node.publisher.follow()
        self.node.publisher.lead()
        self.node.settle()
        self.assertEqual(self.confirmed(), [(8, 8, True), (8, 8, True)])
        self.assertEqual(self.node.refused, 0)

    def test_sources_of_others(self) -> None:
        """Others' points are merged with ours; of ours it is the newest that are published."""
        ours = {"alpha/primary": inner(9, hours=HOURS), "beta/primary": inner(21, 22, hours=HOURS)}
        self.node.publisher.publish_sources(ours, Answer.CERTAIN)
        self.node.settle()
        self.assertEqual(self.node.points(self.seat.directories[0], self.seat), {1, 2, 3, 21, 22})

    def test_what_is_not_known_for_certain(self) -> None:
        """Unknown sources leave the directories alone."""
        self.node.publisher.publish_sources({"beta/primary": inner(21, hours=HOURS)}, Answer.UNKNOWN)
        self.node.later(30)
        self.assertEqual(len(self.node.tor.posted), self.posts)
        self.assertIn("left alone", " ".join(self.node.publisher.problems()))

    def test_refused_while_others_may_know_more(self) -> None:
        """What a directory holds is not outbid by a node that does not know it to be worse; it is once it does."""
        directory = self.seat.directories[2]
        self.node.deaf.add(directory)
        self.node.publisher.publish_sources({"beta/primary": inner(21, 22, 23, hours=HOURS)}, Answer.CERTAIN)
        self.node.settle()
        planted = self.node.plant(directory, self.seat, 20_000_000)
        self.node.deaf.clear()
        self.node.publisher.publish_sources({}, Answer.UNKNOWN)
        self.node.later(300, 1.0)
        self.assertGreater(self.node.refused, 0)
        self.assertEqual(self.node.revision(directory, self.seat), planted)
        self.node.publisher.publish_sources({"beta/primary": inner(31, 32, 33, hours=HOURS)}, Answer.CERTAIN)
        self.node.later(300, 1.0)
        self.assertGreater(self.node.revision(directory, self.seat), planted)

    def test_published_over(self) -> None:
        """When another node turns out to have published after us, we publish again, above its counter."""
        revision = self.node.revision(self.seat.directories[0], self.seat)
        self.node.publisher.learn_revisions({self.seat.blinded_public.hex(): revision - 1})
        self.node.settle()
        self.assertEqual(len(self.node.tor.posted), self.posts)
        self.node.publisher.learn_revisions({self.seat.blinded_public.hex(): revision + 20_000_000, "ab" * 32: 7})
        self.node.settle()
        self.assertEqual(self.node.revision(self.seat.directories[0], self.seat), revision + 20_000_001)
        self.assertEqual(self.node.refused, 0)

    def test_takeover_never_undercuts(self) -> None:
        """What was learned while another published counts at the takeover, and no directory refuses."""
        self.node.publisher.follow()
        revision = self.node.plant(self.seat.directories[0], self.seat, 20_000_000)
        self.node.publisher.learn_revisions({self.seat.blinded_public.hex(): revision})
        self.node.publisher.lead()
        self.node.settle()
        self.assertEqual(self.node.revision(self.seat.directories[0], self.seat), revision + 1)
        self.assertEqual(self.node.refused, 0)


class PairTests(PublisherTestCase):
    """Two Tors, each with points of its own."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(pair, "knock", self.knock)
        self.node.add_standby()
        self.seat = self.node.plan.first

    async def knock(self, place: object, reactor: object, seconds: float) -> None:
        """Find nothing wrong."""

    def points(self) -> set[int]:
        """Return what clients find."""
        return self.node.points(self.seat.directories[0], self.seat)

    def test_points_of_both(self) -> None:
        """Both Tors' points are published, through the primary."""
        self.node.have_points(11, 12, 13, tor=self.node.second)
        self.serve()
        self.node.later(1)
        self.assertEqual(self.points(), {1, 2, 3, 11, 12, 13})
        self.assertEqual(self.node.second.posted, [])

    def test_the_first_does_not_wait_long_for_the_second(self) -> None:
        """What the primary has is out within two seconds; when the standby comes, both are."""
        self.serve()
        self.node.later(1)
        self.assertEqual(self.points(), {1, 2, 3})
        self.node.have_points(11, 12, 13, tor=self.node.second)
        self.node.later(3)
        self.assertEqual(self.points(), {1, 2, 3, 11, 12, 13})

    def both(self) -> None:
        """Bring it to where the points of both are out."""
        self.node.have_points(11, 12, 13, tor=self.node.second)
        self.serve()
        self.node.later(30)

    def test_primary_dies(self) -> None:
        """Its points are taken back within a few seconds, by posts through the standby."""
        self.both()
        posts = len(self.node.tor.posted)
        self.node.instance.obstacle = RuntimeError("broken")
        self.node.tor.drop()
        self.node.later(2)
        self.assertEqual(self.points(), {11, 12, 13})
        self.assertEqual(len(self.node.tor.posted), posts)
        self.assertEqual(self.confirmed(), [(8, 8, True), (8, 8, True)])
        self.assertEqual(self.node.refused, 0)

    def test_primary_comes_back(self) -> None:
        """Its new points are added at once; when it has proved itself it is used for posting again."""
        self.both()
        self.node.have_points(4, 5, 6)
        self.node.tor.drop()
        self.node.later(30)
        self.assertEqual(self.points(), {4, 5, 6, 11, 12, 13})
        through = len(self.node.second.posted)
        self.node.publisher.publish_now()
        self.node.settle()
        self.assertEqual(len(self.node.second.posted), through)
        self.assertEqual(self.confirmed(), [(8, 8, True), (8, 8, True)])

    def test_standby_dies(self) -> None:
        """Its points are taken back through the primary."""
        self.both()
        self.node.standby.obstacle = RuntimeError("broken")
        self.node.second.drop()
        self.node.later(2)
        self.assertEqual(self.points(), {1, 2, 3})
        self.assertEqual(self.node.second.posted, [])

    def test_primary_dies_while_it_posts(self) -> None:
        """What it had been given and did not confirm goes out through the standby, at once."""
        self.both()
        self.node.deaf = set(self.seat.directories)
        self.node.publisher.publish_now()
        self.node.settle()
        self.node.deaf = set()
        self.node.instance.obstacle = RuntimeError("broken")
        self.node.tor.drop()
        self.node.later(3)
        self.assertEqual(self.points(), {11, 12, 13})
        self.assertEqual(self.confirmed(), [(8, 8, True), (8, 8, True)])

    def test_nobody_answers_the_primary(self) -> None:
        """When no directory has answered for a descriptor, the standby posts it; where there is none, the same Tor."""
        self.both()
        relays = {relay for seat in self.node.plan for relay in seat.directories}
        self.node.deaf = relays
        self.node.publisher.publish_now()
        self.node.later(19)
        self.assertEqual(self.node.second.posted, [])
        self.node.deaf = set()
        self.node.later(10)
        self.assertTrue(self.node.second.posted)
        self.assertEqual(self.confirmed(), [(8, 8, True), (8, 8, True)])
        self.assertEqual(self.node.publisher.problems(), ())

    def test_both_die(self) -> None:
        """With neither there is nothing to publish, and the directories are left alone."""
        self.both()
        posted = len(self.node.tor.posted)
        for instance, tor in ((self.node.instance, self.node.tor), (self.node.standby, self.node.second)):
            instance.obstacle = RuntimeError("broken")
            tor.drop()
        self.node.later(5)
        self.assertEqual((len(self.node.tor.posted), self.node.second.posted), (posted, []))


class OutlookTests(PublisherTestCase):
    """What whoever looks from outside is told."""

    def setUp(self) -> None:
        super().setUp()
        self.published, self.followed = 0, 0
        self.outlook = self.node.publisher.outlook
        self.outlook.watch(self)

    def on_published(self) -> None:
        """Count."""
        self.published += 1

    def on_follow(self) -> None:
        """Count."""
        self.followed += 1

    def test_own(self) -> None:
        """Once it is published, what everybody should hold is known, and that there is something to look at."""
        self.serve()
        self.assertTrue(self.outlook.leading)
        self.assertEqual(self.published, 2)
        for seat, status in zip(self.node.plan, self.node.publisher.status(), strict=True):
            standing = self.outlook.standing(seat)
            assert standing is not None
            self.assertEqual((standing.floor, standing.confirmed), (status.revision, frozenset(seat.directories)))

    def test_lost(self) -> None:
        """What a directory has lost is posted there again."""
        self.serve()
        seat = self.node.plan.first
        relay = seat.directories[3]
        before, posts = self.node.held.pop((relay, seat.blinded_public)), len(self.node.tor.posted)
        self.outlook.lost(seat, decode_outer(before).revision, (relay,))
        self.node.settle()
        self.assertEqual(self.node.held[relay, seat.blinded_public], before)
        self.assertEqual([post.directories for post in self.node.tor.posted[posts:]], [(relay,)])

    def test_others(self) -> None:
        """When another node publishes, whoever looks is told, and what is expected is what that one has used."""
        self.serve()
        self.node.publisher.follow()
        self.assertEqual((self.outlook.leading, self.followed), (False, 1))
        seat = self.node.plan.second
        self.node.publisher.learn_revisions({seat.blinded_public.hex(): 2**34})
        standing = self.outlook.standing(seat)
        assert standing is not None
        self.assertEqual((standing.floor, standing.highest), (2**34, 2**34))


class TroubleTests(PublisherTestCase):
    """Directories that do not take a descriptor."""

    def hint(self, *points: int) -> None:
        """Let Tor have these points now, and say so."""
        self.node.have_points(*points)
        self.node.tor.emit(f"HS_DESC CREATED {self.node.master.address.label} UNKNOWN UNKNOWN x")
        self.node.settle()

    def test_deaf_directory(self) -> None:
        """A directory that never answers ends at the deadline; the rest is published and the status names it."""
        seat = self.node.plan.first
        self.node.deaf = {seat.directories[0]}
        with capturedLogs() as events:
            self.serve()
            self.assertEqual(self.confirmed()[0], (7, 8, True))
            self.node.later(20)
        lines = [formatEvent(event) for event in events]
        self.assertTrue([line for line in lines if "confirmed by 7 of 8 directories (no answer)" in line])
        self.assertEqual(self.node.publisher.status()[0].problem, "1 of 8 directories did not confirm: no answer")
        self.node.deaf = set()
        self.node.later(90)
        self.assertEqual(self.confirmed()[0], (8, 8, True))

    def test_too_few(self) -> None:
        """With fewer confirmations than asked for it is no publish; the status says so, and nobody says it twice."""
        seat = self.node.plan.first
        self.node.deaf = set(seat.directories[:5])
        self.serve()
        self.node.later(20)
        self.assertEqual(self.confirmed()[0], (3, 8, False))
        self.assertIn("5 of 8 directories did not confirm", str(self.node.publisher.status()[0].problem))
        self.assertEqual(self.node.publisher.problems(), ())

    def test_broken_off(self) -> None:
        """
        When Tor breaks off what it uploads, as at the moment when its own points have come up, that is over within two
        seconds, also for the text that has taken the place of the first meanwhile; and it is said.
        """
        self.node.cut = {relay for seat in self.node.plan for relay in seat.directories}
        with capturedLogs() as events:
            self.serve(1)
            self.node.later(0.25)
            self.assertEqual(self.confirmed(), [(0, 8, False), (0, 8, False)])
            self.node.cut = set()
            self.hint(1, 2, 3)
            self.node.later(2)
        self.assertEqual(self.confirmed(), [(8, 8, True), (8, 8, True)])
        seat = self.node.plan.first
        self.assertEqual(self.node.points(seat.directories[0], seat), {1, 2, 3})
        said = [formatEvent(event) for event in events if "broke off" in formatEvent(event)]
        self.assertIn("Tor broke off the upload of the first descriptor to 8 directories", said[0])
        self.assertEqual([line for line in said if self.node.master.address.label in line], [])

    def test_a_better_text_is_not_held_back(self) -> None:
        """What nobody has answered keeps the better text back for half a minute at most; the status says why."""
        self.node.deaf = {relay for seat in self.node.plan for relay in seat.directories}
        self.serve(1)
        self.node.later(2)
        self.hint(1, 2, 3)
        self.node.deaf = set()
        with capturedLogs() as events:
            self.node.later(8)
            self.assertIn("an earlier upload is not answered yet", str(self.node.publisher.status()[0].problem))
            self.node.later(20)
        self.assertEqual(self.confirmed(), [(8, 8, True), (8, 8, True)])
        seat = self.node.plan.first
        self.assertEqual(self.node.points(seat.directories[0], seat), {1, 2, 3})
        warned = [formatEvent(event) for event in events if event["log_level"] is LogLevel.warn]
        self.assertTrue([line for line in warned if "8 directories did not answer for a first descriptor" in line])

    def test_no_tor_to_post(self) -> None:
        """A post for which there is no Tor holds no directory back."""
        self.serve()
        self.node.publisher._control = None
        self.node.publisher.publish_now()
        self.node.settle()
        self.assertIn("no Tor can be asked", str(self.node.publisher.status()[0].problem))

    def test_unknown_relay(self) -> None:
        """A relay that Tor does not know is left out, and the rest of the list is posted."""
        seat = self.node.plan.second
        self.node.tor.relays.discard(seat.directories[3])
        self.serve()
        self.assertEqual(self.confirmed()[1], (7, 8, True))
        self.assertIn("unknown to Tor", str(self.node.publisher.status()[1].problem))

    def test_refused_counter(self) -> None:
        """A directory that holds a higher counter gets one above it; nobody else is bothered."""
        seat = self.node.plan.first
        self.serve()
        planted = self.node.plant(seat.directories[2], seat, 20_000_000)
        self.node.later(20)
        self.node.publisher.publish_now()
        self.node.later(1)
        self.assertEqual(self.confirmed(), [(8, 8, True), (8, 8, True)])
        self.assertGreater(self.node.revision(seat.directories[2], seat), planted)
        self.assertEqual(self.node.points(seat.directories[2], seat), {1, 2, 3})
        self.assertLess(self.node.revision(seat.directories[0], seat), planted)

    def test_outbid(self) -> None:
        """When five of eight hold a higher counter that is a failed publish, until ours is above theirs."""
        seat = self.node.plan.first
        self.serve()
        planted = max(self.node.plant(relay, seat, 20_000_000) for relay in seat.directories[:5])
        self.node.later(20)
        with capturedLogs() as events:
            self.node.publisher.publish_now()
            self.node.later(1)
        lines = [formatEvent(event) for event in events if "the first descriptor" in formatEvent(event)]
        [failed, published] = [line for line in lines if "ublish" in line]
        self.assertTrue(failed.startswith("Could not publish the first descriptor"), failed)
        self.assertIn("(UPLOAD_REJECTED)", failed)
        self.assertIn("confirmed by 8 of 8 directories", published)
        self.assertEqual(self.confirmed(), [(8, 8, True), (8, 8, True)])
        self.assertGreater(min(self.node.revision(relay, seat) for relay in seat.directories[:5]), planted)

    def test_nobody_takes_it(self) -> None:
        """When all directories fail for long it becomes an error, is overdue after a while, and ends by itself."""
        self.serve()
        self.node.deaf = {relay for seat in self.node.plan for relay in seat.directories}
        with capturedLogs() as events:
            self.node.later(1_300, 1.0)
        lines = [(event["log_level"], formatEvent(event)) for event in events]
        warned = [
            line for level, line in lines if level is LogLevel.warn and "Too few directories have confirmed" in line
        ]
        self.assertTrue(warned)
        self.assertRegex(warned[0], r"for (9|10)\d\d s: publishing now")
        self.assertTrue([line for level, line in lines if level is LogLevel.error and "Could not publish" in line])
        self.assertLess(len(lines), 60)
        self.node.deaf = set()
        self.node.later(310, 1.0)
        self.assertEqual(self.confirmed(), [(8, 8, True), (8, 8, True)])
        self.assertLess(self.node.publisher.status()[0].age_secs or 0.0, 310)

    def test_nobody_takes_the_first(self) -> None:
        """What visitors have never had is published anew as soon as retries have not helped."""
        self.node.deaf = {relay for seat in self.node.plan for relay in seat.directories}
        with capturedLogs() as events:
            self.serve()
            self.node.later(400, 1.0)
        lines = [formatEvent(event) for event in events]
        self.assertTrue([line for line in lines if "Could not publish the first descriptor (another attempt)" in line])

    def test_never_overdue_in_peace(self) -> None:
        """As long as refreshes are confirmed nothing is ever overdue."""
        self.serve()
        with capturedLogs() as events:
            self.node.later(1_300, 1.0)
        self.assertEqual([formatEvent(event) for event in events if event["log_level"] is LogLevel.warn], [])

    def test_too_few_points(self) -> None:
        """A Tor that keeps fewer points than it was told is published with those, and after a while it is said."""
        with capturedLogs() as events:
            self.serve(1, 2)
            self.node.later(5)
            self.assertEqual(self.confirmed(), [(8, 8, True), (8, 8, True)])
            self.node.later(125, 1.0)
        self.assertTrue([event for event in events if "only 2 of 3 introduction points" in formatEvent(event)])
        self.assertIn("only 2 of 3 introduction points", " ".join(self.node.publisher.problems()))

    def test_counters_survive_a_restart(self) -> None:
        """After a raise the next life of the node begins above it, though the clock's counter is lower."""
        seat = self.node.plan.first
        self.serve()
        self.node.plant(seat.directories[2], seat, 20_000_000)
        self.node.publisher.publish_now()
        self.node.later(5)
        raised = self.node.revision(seat.directories[2], seat)
        self.node.restart()
        self.node.later(2)
        self.assertGreater(self.node.revision(seat.directories[0], seat), raised)
        self.assertEqual(self.confirmed(), [(8, 8, True), (8, 8, True)])

    def test_counter_file_that_cannot_be_written(self) -> None:
        """Without a durable counter nothing is posted; it is tried again and works when the disk does."""
        self.node.directory.rename(self.node.directory.with_suffix(".away"))
        self.serve()
        self.node.later(2)
        self.assertEqual(self.node.tor.posted, [])
        self.assertIn("cannot be built", " ".join(self.node.publisher.problems()))
        self.node.directory.with_suffix(".away").rename(self.node.directory)
        self.node.later(10)
        self.assertEqual(self.confirmed(), [(8, 8, True), (8, 8, True)])

    def test_an_error_does_not_stop_the_clock(self) -> None:
        """After an error while looking at the clock it is looked at again, not at once, and refreshes go on."""
        self.serve()
        posts = len(self.node.tor.posted)
        looked: list[float] = []

        def fail(now: Moment) -> list[Command]:
            looked.append(now.mono)
            raise RuntimeError("a bug")

        with MonkeyPatcher((self.node.publisher._uploads, "wake", fail)):
            self.node.publisher._wake()
            self.node.later(20)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), len(looked))
        self.assertIn(len(looked), range(2, 6))
        self.node.later(590, 1.0)
        self.assertEqual(len(self.node.tor.posted), 2 * posts)


class ChangeTests(PublisherTestCase):
    """The network changes, Tor comes and goes."""

    def test_new_directory(self) -> None:
        """A relay that becomes responsible gets the text that the others have, and they get nothing new."""
        self.serve()
        seat = self.node.plan.first
        posts = len(self.node.tor.posted)
        self.leave(seat.directories[0])
        [new] = set(self.node.planned().first.directories) - set(seat.directories)
        self.assertEqual(self.node.revision(new, seat), self.node.revision(seat.directories[1], seat))
        late = self.node.tor.posted[posts:]
        self.assertIn((new,), [post.directories for post in late])
        self.assertNotIn(seat.directories[1], [relay for post in late for relay in post.directories])
        self.assertEqual(self.confirmed(), [(8, 8, True), (8, 8, True)])

    def leave(self, fingerprint: str) -> None:
        """Let a relay be missing from the next consensus."""
        relays = parse_consensus(self.node.consensus).relays
        number = next(i for i, relay in enumerate(relays) if relay.fingerprint == fingerprint)
        gone = re.compile(rb"r relay%d .*?(?=\n(r|directory-footer)\b)\n" % number, re.DOTALL)
        self.node.consensus, count = gone.subn(b"", self.node.consensus, count=1)
        self.assertEqual(count, 1)
        self.node.tor.info[CONSENSUS] = self.node.consensus
        self.node.tor.emit("STATUS_CLIENT NOTICE CONSENSUS_ARRIVED")
        self.node.settle()

    def test_rotation(self) -> None:
        """At a rotation the second key becomes the first's, with a higher counter, and the oldest keys are wiped."""
        self.serve()
        oldest, kept = (self.node.publisher._builder._keys[seat.blinded_public] for seat in self.node.plan)
        before = self.node.plan.second
        revision = self.node.revision(before.directories[0], before)
        self.node.rotate()
        self.node.have_points(4, 5, 6)
        self.node.later(1)
        self.assertEqual(self.confirmed(), [(8, 8, True), (8, 8, True)])
        first, second = self.node.plan
        self.assertEqual(first.blinded_public, before.blinded_public)
        self.assertGreater(self.node.revision(before.directories[0], first), revision)
        self.assertEqual(self.node.points(second.directories[0], second), {4, 5, 6})
        self.assertEqual((oldest.blinded.secret.alive, kept.blinded.secret.alive), (False, True))

    def test_tor_lost_and_back(self) -> None:
        """When Tor is gone nothing is posted; when it is back with other points those are published at once."""
        self.serve()
        posts = len(self.node.tor.posted)
        self.node.tor.drop()
        self.node.settle()
        self.assertEqual(self.node.publisher.problems(), ())
        self.assertEqual(len(self.node.tor.posted), posts)
        self.node.have_points(7, 8, 9)
        self.node.later(4)
        seat = self.node.plan.first
        self.assertEqual(self.node.points(seat.directories[0], seat), {7, 8, 9})

    def test_connection_lost_and_back(self) -> None:
        """A Tor that lives on may answer for what it was given before: that is not taken for the next text."""
        self.patch(MemoryTor, "mode", "external")
        seat = self.node.plan.first
        slow = seat.directories[0]
        self.node.deaf = {slow}
        self.serve()
        self.node.have_points(4, 5, 6)
        self.node.later(11)
        self.node.tor.drop()
        self.node.later(4)
        self.node.deaf = set()
        self.node.tor.emit(f"HS_DESC UPLOADED {self.node.master.address.label} UNKNOWN ${slow}~relay")
        self.node.settle()
        self.assertEqual(self.confirmed()[0], (8, 8, True))
        self.assertEqual(self.node.points(slow, seat), {4, 5, 6})

    def test_lost_between_the_two_descriptors(self) -> None:
        """When a refresh is cut off after its first descriptor, both are refreshed once Tor is back."""
        self.serve()
        second = self.node.plan.second
        before = self.node.revision(second.directories[0], second)
        jobs = self.node.publisher._jobs
        builds: list[object] = []

        async def stuck(function: Callable[[], object]) -> object:
            builds.append(function)
            return function() if len(builds) == 1 else await Deferred()

        with MonkeyPatcher((jobs, "in_thread", stuck)):
            self.node.publisher.publish_now()
            self.node.settle()
            self.assertEqual(len(builds), 2)
            self.node.tor.drop()
            self.node.settle()
        self.node.later(10)
        self.assertGreater(self.node.revision(second.directories[0], second), before)
        self.assertEqual(self.confirmed(), [(8, 8, True), (8, 8, True)])

    def test_stop(self) -> None:
        """After the stop nothing is posted, no timer is left, and the keys of the periods are gone."""
        self.serve()
        keys = list(self.node.publisher._builder._keys.values())
        self.assertEqual(len(keys), 2)
        posts = len(self.node.tor.posted)
        self.node.stop()
        self.assertEqual([each.blinded.secret.alive for each in keys], [False, False])
        self.node.later(700, 5.0)
        self.assertEqual(len(self.node.tor.posted), posts)
        self.node.pair.stopService()
        self.node.settle()
        self.assertEqual(self.node.clock.getDelayedCalls(), [])

    def test_hung_tor(self) -> None:
        """A Tor that stops answering is given up by its instance; publishing goes on with the next."""
        self.serve()
        self.node.tor.hung = True
        self.node.later(30)
        self.node.tor.hung = False
        self.node.have_points(4, 5, 6)
        self.node.later(60)
        self.flushLoggedErrors(ControlError)
        seat = self.node.plan.first
        self.assertEqual(self.node.points(seat.directories[0], seat), {4, 5, 6})
