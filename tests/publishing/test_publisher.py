"""Tests for L{rustbalance.publishing.publisher}, on a Tor in memory and in simulated time."""

import re
import shutil
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent
from twisted.python.monkey import MonkeyPatcher
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.moment import Moment
from rustbalance.onion.consensus import parse_consensus
from rustbalance.publishing.schedule import Answer
from rustbalance.publishing.uploads import Command
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


class TroubleTests(PublisherTestCase):
    """Directories that do not take a descriptor."""

    def test_deaf_directory(self) -> None:
        """A directory that never answers ends at the deadline; the rest is published and the status names it."""
        seat = self.node.plan.first
        self.node.deaf = {seat.directories[0]}
        with capturedLogs() as events:
            self.serve()
            self.assertEqual(self.confirmed()[0], (7, 8, True))
            self.node.later(60)
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
        self.node.later(60)
        self.assertEqual(self.confirmed()[0], (3, 8, False))
        self.assertIn("5 of 8 directories did not confirm", str(self.node.publisher.status()[0].problem))
        self.assertEqual(self.node.publisher.problems(), ())

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
        self.node.instance.stopService()
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
