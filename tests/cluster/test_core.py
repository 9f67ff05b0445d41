"""Tests for L{rustbalance.cluster.core}: a few nodes that hear everything at once."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.commands import (
    BecomePublisher,
    Certainty,
    Command,
    Log,
    MembersChanged,
    Persist,
    PersistedState,
    RevisionsLearned,
    Send,
    SourcesChanged,
    StepDown,
)
from rustbalance.cluster.core import ClusterCore
from rustbalance.cluster.election import ROUND, SPARE, is_possible, latest_round, next_term
from rustbalance.cluster.keys import NodeKey
from rustbalance.cluster.messages import (
    Forgotten,
    Heartbeat,
    IntroPoints,
    LeaseClaim,
    LeaseRelease,
    Message,
    NodeRecord,
    PeerAnnounce,
    State,
)
from rustbalance.cluster.parts import CannotForget
from rustbalance.cluster.records import bind, sign_record
from rustbalance.cluster.settings import ClusterSettings
from rustbalance.coordination.conversation import is_genuine
from rustbalance.moment import Moment
from tests.cluster import samples
from tests.cluster.group import WALL, Group, heartbeat, points, record


class ClusterTests(SynchronousTestCase):
    """Three nodes, with the default settings."""

    def setUp(self) -> None:
        """Let them elect one of them."""
        self.group = Group("a", "b", "c")
        for name, core in self.group.cores.items():
            self.group.do(name, core.own_points(points(inner=name.encode()), self.group.moment))
        self.group.run(5.0)

    def sources(self, name: str) -> dict[str, bytes]:
        """Return what a node was last told to publish."""
        last = self.group.told(name, SourcesChanged)[-1]
        assert isinstance(last, SourcesChanged)
        return {source: each.inner for source, each in sorted(last.sources.items())}

    def test_one_publisher(self) -> None:
        """The first in the order publishes, and everybody knows it."""
        self.assertEqual([len(self.group.told(name, BecomePublisher)) for name in "abc"], [1, 0, 0])
        for core in self.group.cores.values():
            view = core.status(self.group.moment)
            self.assertEqual((view.publisher, view.round, view.certainty), ("a", 1, Certainty.CERTAIN))
            self.assertGreater(view.lease_left, 5.0)
            self.assertEqual({member.state for member in view.members}, {State.HEALTHY})

    def test_everybody_knows_the_sources(self) -> None:
        """Whoever takes over next knows the points of all."""
        for name in "abc":
            self.assertEqual(self.sources(name), {"a/primary": b"a", "b/primary": b"b", "c/primary": b"c"})

    def test_kill(self) -> None:
        """When the publisher falls silent its points go and the next one takes over."""
        self.group.deaf.add("a")
        self.group.run(12.0)
        self.assertEqual([len(self.group.told(name, BecomePublisher)) for name in "bc"], [1, 0])
        self.assertEqual(self.sources("b"), {"b/primary": b"b", "c/primary": b"c"})
        self.assertEqual(self.group.cores["b"].status(self.group.moment).publisher, "b")

    def test_graceful_stop(self) -> None:
        """A publisher that stops tells, and the next one takes over within three seconds."""
        self.group.do("a", self.group.cores["a"].stop(self.group.moment))
        self.assertEqual(self.group.cores["a"].stop(self.group.moment), [])
        self.assertIsNone(self.group.cores["a"].due())
        self.group.run(3.0)
        self.assertEqual(len(self.group.told("a", StepDown)), 1)
        self.assertEqual(len(self.group.told("b", BecomePublisher)), 1)
        self.assertEqual(self.sources("b"), {"b/primary": b"b", "c/primary": b"c"})

    def test_unhealthy(self) -> None:
        """Points of a node whose site is down, or that is drained, are not published until it is well again."""
        b, without = self.group.cores["b"], {"a/primary": b"a", "c/primary": b"c"}
        for target, drained in ((False, False), (None, True)):
            self.group.do("b", b.set_health(target, drained, self.group.moment))
            self.assertEqual([self.sources(name) for name in "abc"], [without] * 3)
            self.group.do("b", b.set_health(True, False, self.group.moment))
            self.assertEqual(len(self.sources("a")), 3)

    def test_cannot_publish(self) -> None:
        """A publisher whose Tor is gone hands over, and takes the seat again only when it is free."""
        a = self.group.cores["a"]
        self.group.do("a", a.set_health(None, False, self.group.moment, able=False))
        self.group.run(4.0)
        self.assertEqual([len(self.group.told(name, BecomePublisher)) for name in "abc"], [1, 1, 0])
        self.group.do("a", a.set_health(None, False, self.group.moment, able=True))
        self.group.run(20.0)
        self.assertEqual(a.status(self.group.moment).publisher, "b")

    def test_drained(self) -> None:
        """A publisher that is drained hands over; where nobody else is left it goes on until somebody is there."""
        a = self.group.cores["a"]
        self.group.do("a", a.set_health(None, True, self.group.moment))
        self.group.run(4.0)
        self.assertEqual(a.status(self.group.moment).publisher, "b")
        self.group.deaf.update("bc")
        self.group.run(150.0)
        self.assertEqual((a.status(self.group.moment).publisher, self.sources("a")), ("a", {"a/primary": b"a"}))
        self.group.deaf.clear()
        self.group.run(30.0)
        self.assertIn(a.status(self.group.moment).publisher, "bc")
        self.assertEqual(self.sources("b"), {"b/primary": b"b", "c/primary": b"c"})

    def test_revisions_get_around(self) -> None:
        """A counter that one has used is known to all at once, and kept."""
        self.group.do("a", self.group.cores["a"].used_revisions({"aa": 7}, self.group.moment))
        for name in "bc":
            self.assertEqual(self.group.told(name, RevisionsLearned), [RevisionsLearned({"aa": 7})])
            kept = self.group.told(name, Persist)[-1]
            assert isinstance(kept, Persist)
            self.assertEqual(kept.state.revisions, {"aa": 7})

    def test_forget(self) -> None:
        """A node that is gone for good is forgotten by all when one is told so, and kept off the disk."""
        self.assertRaises(CannotForget, self.group.cores["a"].forget, "c", self.group.moment)
        self.group.deaf.add("c")
        self.group.run(10.0)
        self.group.do("a", self.group.cores["a"].forget("c", self.group.moment))
        for name in "ab":
            view = self.group.cores[name].status(self.group.moment)
            self.assertEqual([member.id for member in view.members], ["b" if name == "a" else "a"])
            kept = self.group.told(name, Persist)[-1]
            assert isinstance(kept, Persist)
            self.assertEqual([each.record.id for each in kept.state.forgotten], ["c"])
            self.assertEqual((len(kept.state.records), kept.state.absent), (1, ()))

    def test_forgotten_in_error(self) -> None:
        """One that was only cut off comes back by itself, as a later incarnation, and its points with it."""
        self.group.deaf.add("c")
        self.group.run(10.0)
        self.group.do("a", self.group.cores["a"].forget("c", self.group.moment))
        before = self.group.cores["c"].record.incarnation
        self.group.deaf.clear()
        self.group.run(10.0)
        self.assertGreater(self.group.cores["c"].record.incarnation, before)
        for name in "abc":
            view = self.group.cores[name].status(self.group.moment)
            self.assertEqual({member.state for member in view.members}, {State.HEALTHY})
        self.assertEqual(len(self.sources(self.group.cores["b"].status(self.group.moment).publisher or "")), 3)

    def test_forgetting_while_cut_off(self) -> None:
        """A node that has lost most of the others forgets nobody: it may be the one that is gone."""
        self.group.deaf.update("bc")
        self.group.run(10.0)
        self.assertRaises(CannotForget, self.group.cores["a"].forget, "c", self.group.moment)
        self.group.run(125.0)
        self.group.cores["a"].forget("c", self.group.moment)

    def test_forgotten_over_a_restart(self) -> None:
        """What was kept keeps gossip from bringing a node back; who had been dead is not said to be back."""
        gone = Forgotten(record("c", 3), 1000)
        kept = PersistedState(records=(record("b", 1), record("c", 3)), absent=("c",), forgotten=(gone,))
        core = ClusterCore(record("a"), ClusterSettings(), kept, lambda: 0.5)
        commands = core.start(self.group.moment)
        self.assertIn(MembersChanged((record("b", 1),), (record("c", 3),)), commands)
        commands += core.receive("b", PeerAnnounce(records=(record("c", 3),)), self.group.moment)
        self.assertEqual([member.id for member in core.status(self.group.moment).members], ["b"])
        self.assertEqual([each.text for each in commands if isinstance(each, Log) and "back" in each.text], [])

    def test_moved(self) -> None:
        """A new address is a new record, told to everybody."""
        b = self.group.cores["b"]
        self.group.do("b", b.moved(("direct:elsewhere:1",), self.group.moment))
        told = self.group.told("a", MembersChanged)[-1]
        assert isinstance(told, MembersChanged)
        self.assertIn(b.record, told.records)
        before = len(self.group.commands["b"])
        self.group.do("b", b.moved(("direct:elsewhere:1",), self.group.moment))
        self.assertEqual(len(self.group.commands["b"]), before)

    def test_isolated(self) -> None:
        """A publisher that has lost both others at once steps down and leaves the directories alone."""
        self.group.deaf |= {"b", "c"}
        self.group.run(9.0)
        self.assertEqual(len(self.group.told("a", StepDown)), 1)
        last = self.group.told("a", SourcesChanged)[-1]
        assert isinstance(last, SourcesChanged)
        self.assertIs(last.certainty, Certainty.UNCERTAIN)
        self.assertTrue(self.group.cores["a"].status(self.group.moment).isolated)

    def test_what_is_kept_comes_first(self) -> None:
        """Whatever a message says that must not be forgotten is on disk before it is sent."""
        core = ClusterCore(record("a"), ClusterSettings(), None, lambda: 0.5)
        commands = core.start(self.group.moment)
        self.assertIsInstance(commands[0], Persist)
        (place,) = [number for number, each in enumerate(commands) if isinstance(each, Persist)]
        self.assertEqual(place, 0)


class LoneNodeTests(SynchronousTestCase):
    """One node by itself."""

    def start(self, persisted: PersistedState | None = None) -> tuple[ClusterCore, list[Command]]:
        """Return a core that has just started."""
        core = ClusterCore(record("me"), ClusterSettings(), persisted, lambda: 0.5)
        return core, core.start(self.at(0.0))

    def at(self, second: float) -> Moment:
        """Return a moment."""
        return Moment(1000.0 + second, WALL + second)

    def run_to(self, core: ClusterCore, until: float) -> list[Command]:
        """Wake it whenever it is due until then; return its commands."""
        commands: list[Command] = []
        while (due := core.due()) is not None and due <= 1000.0 + until:
            commands += core.wake(self.at(due - 1000.0))
        return commands

    def test_cluster_of_one(self) -> None:
        """A node that knows no other publishes at once."""
        core, commands = self.start()
        self.assertIn(BecomePublisher, [type(each) for each in [*commands, *self.run_to(core, 0.1)]])

    def test_reboot(self) -> None:
        """With members known from before it listens first; when nobody comes it may be cut off, and waits."""
        core, commands = self.start(PersistedState(3, 0, 0, (record("a"), record("b"), record("c"))))
        commands += self.run_to(core, 60.0)
        self.assertNotIn(BecomePublisher, [type(each) for each in commands])
        commands += self.run_to(core, 140.0)
        self.assertIn(BecomePublisher, [type(each) for each in commands])

    def test_reboot_among_the_dead(self) -> None:
        """Members that were dead already are not waited for."""
        core, commands = self.start(PersistedState(3, 0, 0, (record("a"), record("b")), ("a", "b")))
        self.assertIn(BecomePublisher, [type(each) for each in [*commands, *self.run_to(core, 3.0)]])

    def test_incarnation_and_terms_go_on(self) -> None:
        """A restart is a new incarnation, and the next claim is above all before."""
        core, _ = self.start(PersistedState(incarnation=3, term=5 << 36))
        self.run_to(core, 0.1)
        self.assertEqual(core.record.incarnation, 4)
        self.assertEqual(core.status(self.at(1.0)).round, 6)

    def test_what_was_said_before_the_start(self) -> None:
        """Records and points that come before the start are part of it; messages are not heard."""
        core = ClusterCore(record("me"), ClusterSettings(), None, lambda: 0.5)
        self.assertEqual(core.learn([record("a")], self.at(0.0)), [])
        self.assertEqual(core.own_points(points(), self.at(0.0)), [])
        self.assertEqual(core.receive("a", PeerAnnounce(records=(record("b"),)), self.at(0.0)), [])
        self.assertIsNone(core.due())
        sent = [each.message for each in core.start(self.at(1.0)) if isinstance(each, Send)]
        self.assertTrue(any(isinstance(message, IntroPoints) for message in sent))
        self.assertTrue(any(isinstance(message, Heartbeat) for message in sent))
        self.assertEqual([member.id for member in core.status(self.at(1.0)).members], ["a"])

    def test_oversleeps(self) -> None:
        """A publisher that was not running for a while lets go of the seat before anything else."""
        core, _ = self.start()
        core.learn([record("a")], self.at(1.0))
        self.run_to(core, 2.0)
        commands = core.wake(self.at(60.0))
        kinds = [type(each.message) if isinstance(each, Send) else type(each) for each in commands]
        self.assertIn(StepDown, kinds)
        self.assertLess(kinds.index(StepDown), kinds.index(LeaseRelease))
        self.assertNotIn(SourcesChanged, kinds[: kinds.index(StepDown)])


class OneBundleTests(SynchronousTestCase):
    """Two keys came with one bundle: each was let in by somebody who did not know of the other."""

    def test_settled(self) -> None:
        """The higher key says goodbye and is silent, also after a restart; the other stays."""
        group = Group("a", "b", bundle=b"x" * 16)
        for name, core in group.cores.items():
            group.do(name, core.own_points(points(inner=name.encode()), group.moment))
        group.run(10.0)
        self.assertIsNone(group.cores["b"].due())
        self.assertEqual(group.cores["b"].status(group.moment).expelled_by, "a")
        self.assertEqual(group.cores["a"].status(group.moment).members, ())
        self.assertIsNone(group.cores["a"].status(group.moment).expelled_by)
        self.assertEqual(len(group.told("b", BecomePublisher)), len(group.told("b", StepDown)))
        kept = PersistedState(records=(record("a", bundle=b"x" * 16),))
        again = ClusterCore(record("b", bundle=b"x" * 16), ClusterSettings(), kept, lambda: 0.5)
        again.start(group.moment)
        self.assertIsNone(again.due())
        self.assertEqual(again.status(group.moment).expelled_by, "a")

    def test_who_does_not_obey(self) -> None:
        """Points of one that stays all the same are not published."""
        group = Group("a")
        core = group.cores["a"]
        group.do("a", core.own_points(points(inner=b"a"), group.moment))
        for name in ("c", "d"):
            group.do("a", core.receive(name, PeerAnnounce(records=(record(name, 1, bundle=b"x" * 16),)), group.moment))
        self.assertEqual([member.id for member in core.status(group.moment).members], ["c", "d"])
        for name in ("d", "c"):
            group.do("a", core.receive(name, points(name), group.moment))
            group.do("a", core.receive(name, heartbeat(1, points_version=1), group.moment))
        self.assertEqual(core.status(group.moment).sources, ("c/primary", "a/primary"))


class StolenBundleTests(SynchronousTestCase):
    """Node b came with a bundle; the member a has seen its record and would like to be rid of it."""

    def setUp(self) -> None:
        """Run b and c with real keys and signatures."""
        self.bundle = samples.ticket_key()
        self.victim = samples.record("b", bundle=self.bundle)
        self.cores = {name: self.core(name) for name in "bc"}

    def core(self, name: str) -> ClusterCore:
        """Return a node that knows the others."""
        key = samples.KEYS[name]
        me = self.victim if name == "b" else samples.record(name)
        core = ClusterCore(me, ClusterSettings(), None, lambda: 0.5, lambda it: sign_record(it, key), is_genuine)
        core.start(samples.NOW)
        core.learn([samples.record("a"), self.victim, samples.record("c")], samples.NOW)
        return core

    def announced(self, name: str, bundle: bytes, binding: bytes, key: NodeKey) -> None:
        """Let a tell both of a node that it has made up."""
        made_up = sign_record(NodeRecord(name, bytes(32), 9, 100, (), bundle=bundle, binding=binding), key)
        for core in self.cores.values():
            core.receive("a", PeerAnnounce(records=(made_up,)), samples.NOW.later(1))

    def lower_key(self) -> NodeKey:
        """Return a new node key that goes before that of b."""
        keys = (samples.node_key(f"made up {number}") for number in range(1000))
        return next(key for key in keys if key.public < self.victim.public_key)

    def test_no_member_puts_out_another(self) -> None:
        """A made-up node that is said to have come with the bundle of b, by its name or another one, is nobody."""
        key = self.lower_key()
        stranger = samples.ticket_key("another bundle")
        for name in ("b", "z"):
            for binding in (b"", self.victim.binding, bind(stranger, key.public)):
                self.announced(name, self.bundle.public, binding, key)
        now = samples.NOW.later(1)
        self.assertIsNone(self.cores["b"].status(now).expelled_by)
        self.assertIsNotNone(self.cores["b"].due())
        self.assertEqual([member.id for member in self.cores["c"].status(now).members], ["a", "b"])
        self.assertEqual(self.cores["c"]._parts.table.get("b"), self.victim)

    def test_who_has_the_bundle(self) -> None:
        """Two who have both opened it are settled as ever: the lower key stays."""
        key = self.lower_key()
        self.announced("z", self.bundle.public, bind(self.bundle, key.public), key)
        self.assertEqual(self.cores["b"].status(samples.NOW.later(1)).expelled_by, "z")


class StolenTermsTests(SynchronousTestCase):
    """The member c claims terms that are far from those of the others, and then is silent."""

    def setUp(self) -> None:
        """Let a publish."""
        self.group = Group("a", "b", "c")
        for name, core in self.group.cores.items():
            self.group.do(name, core.own_points(points(inner=name.encode()), self.group.moment))
        self.group.run(5.0)

    def say(self, *messages: Message) -> None:
        """Let c say something to the others, and nothing else any more."""
        self.group.deaf.add("c")
        for name in "ab":
            for message in messages:
                self.group.do(name, self.group.cores[name].receive("c", message, self.group.moment))

    def publisher(self) -> str | None:
        """Return who publishes, for a and b."""
        [found] = {self.group.cores[name].status(self.group.moment).publisher for name in "ab"}
        return found

    def test_the_largest(self) -> None:
        """A term that nobody can have come to changes nothing, whatever brings it: a publishes on."""
        largest = 2**63 - 1
        told = heartbeat(99, term=largest, publisher="c", lease_left=8.0)
        self.say(LeaseClaim(term=largest, priority=0), told, LeaseRelease(term=largest))
        self.say(heartbeat(100, term=largest), heartbeat(101, term=largest, publisher="b", lease_left=8.0))
        self.group.run(30.0)
        self.assertEqual(self.publisher(), "a")
        self.assertEqual(self.group.told("a", StepDown), [])
        for name in "ab":
            self.assertEqual(self.group.cores[name].status(self.group.moment).round, 1)

    def test_the_largest_that_is_believed(self) -> None:
        """It ends a's term, as any claim may, and keeps the seat empty for less than half a minute."""
        wall = self.group.moment.wall
        highest = next_term((latest_round(wall + SPARE) - 1) << 36, 0, "c")
        self.assertTrue(is_possible(highest, wall))
        self.say(LeaseClaim(term=highest, priority=0))
        self.assertEqual(self.publisher(), "c")
        self.group.run(SPARE + 2 * ROUND + 4.0)
        self.assertEqual(self.publisher(), "a")
        self.assertEqual(len(self.group.told("a", BecomePublisher)), 2)
        self.group.run(60.0)
        self.assertEqual(len(self.group.told("a", BecomePublisher)), 2)

    def test_on_disk(self) -> None:
        """A node that finds such a term in its state goes on as if it had found none."""
        kept = PersistedState(term=2**63 - 1)
        core = ClusterCore(record("a"), ClusterSettings(), kept, lambda: 0.5)
        now, done = self.group.moment, list[Command]()
        done += core.start(now)
        done += core.own_points(points("a"), now)
        while now.mono < self.group.now + SPARE + 2 * ROUND + 4.0:
            now = now.later(0.5)
            done += core.wake(now)
        self.assertEqual(core.status(now).publisher, "a")
        kept = next(command.state for command in reversed(done) if isinstance(command, Persist))
        self.assertTrue(is_possible(kept.term, now.wall))
