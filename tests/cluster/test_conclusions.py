"""Tests for L{rustbalance.cluster.conclusions}."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.commands import (
    BecomePublisher,
    Certainty,
    Log,
    PersistedState,
    SourcesChanged,
    StepDown,
)
from rustbalance.cluster.conclusions import Conclusions
from rustbalance.cluster.membership import Member
from rustbalance.cluster.messages import State
from rustbalance.cluster.parts import Parts
from rustbalance.cluster.settings import ClusterSettings
from tests.cluster.group import Group, points, record


class ConclusionsTests(SynchronousTestCase):
    """The node is called me; a and b were members when it last ran."""

    def setUp(self) -> None:
        """Start at second 0 with points of our own."""
        same = ClusterSettings()
        self.parts = Parts(record("me"), same, PersistedState(), lambda: 0.5, lambda it: it, lambda it: True)
        for name in "ab":
            self.parts.members.recall(name, 100, 0.0, alive=True)
        self.parts.own.offer(points("me"), 0.0)
        self.conclusions = Conclusions(self.parts)
        self.conclusions.start(0.0)

    def member(self, node: str) -> Member:
        """Return what is known of a node."""
        found = self.parts.members.get(node)
        assert found is not None
        return found

    def hear(self, names: str, beat: int, now: float, version: int = 1) -> None:
        """Hear these, each with points of that version."""
        for name in names:
            self.parts.members.hear(self.member(name), 1, beat, now)
            self.parts.sources.announced(name, 1, version, now)

    def draw(self, now: float) -> tuple[list[str], Certainty] | None:
        """Think; return what is new to publish, if anything."""
        self.parts.out.clear()
        self.conclusions.draw(now)
        found = [each for each in self.parts.out if isinstance(each, SourcesChanged)]
        return (sorted(found[0].sources), found[0].certainty) if found else None

    def test_listens_before_it_knows(self) -> None:
        """As long as somebody we knew has not been heard, nothing is known; after the timeout we are isolated."""
        self.assertEqual(self.draw(0.0), (["me/primary"], Certainty.UNKNOWN))
        self.assertIsNone(self.draw(1.0))
        self.assertEqual(self.conclusions.due, 8.0)
        self.assertEqual(self.draw(8.0), (["me/primary"], Certainty.UNCERTAIN))
        self.assertTrue(self.conclusions.census.isolated)

    def test_newcomer(self) -> None:
        """Members that are learned of later are waited for when nobody has been heard yet, and else not."""
        parts = self.parts
        for name in "ab":
            parts.members.hear(self.member(name), 1, 1, 1.0)
        parts.members.expect("c", 100, 1.0)
        self.draw(1.0)
        self.assertFalse(self.conclusions.discovering)
        alone = Parts(record("me"), parts.settings, PersistedState(), lambda: 0.5, lambda it: it, lambda it: True)
        newcomer = Conclusions(alone)
        newcomer.start(0.0)
        newcomer.draw(0.0)
        self.assertFalse(newcomer.discovering)
        alone.members.expect("a", 100, 3.0)
        newcomer.draw(3.0)
        self.assertTrue(newcomer.discovering)

    def test_all_are_here(self) -> None:
        """When all are heard and their points are held, it is certain; when nothing changes, nothing is said."""
        for name in "ab":
            self.parts.sources.put(name, 1, points(name), 0.5)
        self.hear("ab", 1, 1.0)
        self.assertEqual(self.draw(1.0), (["a/primary", "b/primary", "me/primary"], Certainty.CERTAIN))
        self.hear("ab", 2, 3.0)
        self.assertIsNone(self.draw(3.0))

    def test_points_on_their_way(self) -> None:
        """Announced points that have not come make it uncertain, but not for ever."""
        self.parts.sources.put("a", 1, points("a"), 0.5)
        self.hear("ab", 1, 1.0)
        self.assertEqual(self.draw(1.0), (["a/primary", "me/primary"], Certainty.UNCERTAIN))
        for second in (3, 5, 7, 9, 11):
            self.hear("ab", second, float(second))
        self.assertEqual(self.draw(11.0), (["a/primary", "me/primary"], Certainty.CERTAIN))

    def test_unhealthy_are_left_out(self) -> None:
        """Neither the points of a node that is unhealthy are published nor our own when we are."""
        for name in "ab":
            self.parts.sources.put(name, 1, points(name), 0.5)
        self.hear("ab", 1, 1.0)
        self.member("a").declared = State.UNHEALTHY
        self.parts.own.drained = True
        self.assertEqual(self.draw(1.0), (["b/primary"], Certainty.CERTAIN))

    def test_nobody_has_a_target(self) -> None:
        """
        When no target answers, everybody's points stay out, but for those of nodes that are drained: whoever comes is
        told so. When there are no others either, those of drained nodes do. The first whose target is back is the only
        one until others follow.
        """
        for name in "ab":
            self.parts.sources.put(name, 1, points(name), 0.5)
        self.hear("ab", 1, 1.0)
        for name in "ab":
            self.member(name).declared = State.UNHEALTHY
        self.parts.own.target_healthy = False
        self.assertEqual(self.draw(1.0), (["a/primary", "b/primary", "me/primary"], Certainty.CERTAIN))
        self.member("a").drained = True
        self.assertEqual(self.draw(1.1), (["b/primary", "me/primary"], Certainty.CERTAIN))
        self.parts.own.drained = True
        self.assertEqual(self.draw(1.2), (["b/primary"], Certainty.CERTAIN))
        self.member("b").drained = True
        self.assertEqual(self.draw(1.3), (["a/primary", "b/primary", "me/primary"], Certainty.CERTAIN))
        self.parts.own.drained = False
        self.parts.own.target_healthy = True
        self.assertEqual(self.draw(1.4), (["me/primary"], Certainty.CERTAIN))

    def test_nobody_has_a_target_and_one_starts_again(self) -> None:
        """Points from before its start are dead and stay out, though it was told of no better ones yet."""
        for name in "ab":
            self.parts.sources.put(name, 1, points(name), 0.5)
        self.hear("ab", 1, 1.0)
        for name in "ab":
            self.member(name).declared = State.UNHEALTHY
        self.parts.own.target_healthy = False
        self.parts.members.hear(self.member("a"), 2, 1, 1.5)
        self.assertEqual(self.draw(1.5), (["b/primary", "me/primary"], Certainty.CERTAIN))
        self.parts.sources.put("a", 2, points("a", version=2), 1.6)
        self.assertEqual(self.draw(1.6), (["a/primary", "b/primary", "me/primary"], Certainty.CERTAIN))

    def test_one_dies(self) -> None:
        """The points of a dead node are withdrawn, and people are told; also when it is back."""
        for name in "ab":
            self.parts.sources.put(name, 1, points(name), 0.5)
        self.hear("ab", 1, 1.0)
        self.draw(1.0)
        for second in (3, 5, 7):
            self.hear("b", second, float(second))
        self.assertEqual(self.draw(9.0), (["b/primary", "me/primary"], Certainty.CERTAIN))
        self.assertIn(Log("warn", "node a is not heard any more"), self.parts.out)
        self.assertEqual(self.parts.absent, {"a"})
        self.hear("a", 9, 10.0)
        self.assertEqual(self.draw(10.0), (["a/primary", "b/primary", "me/primary"], Certainty.CERTAIN))
        self.assertIn(Log("info", "node a is back"), self.parts.out)

    def test_doubt_is_looked_at_again_soon(self) -> None:
        """One is dead and the other quiet: nothing is replaced until we know whether it is them or us."""
        for name in "ab":
            self.parts.sources.put(name, 1, points(name), 0.5)
        self.hear("ab", 1, 1.0)
        self.hear("b", 2, 3.0)
        self.draw(3.0)
        self.assertEqual(self.draw(9.0), (["b/primary", "me/primary"], Certainty.UNCERTAIN))
        self.assertEqual(self.conclusions.due, 10.0)
        self.hear("b", 3, 9.5)
        self.assertEqual(self.draw(10.0), (["b/primary", "me/primary"], Certainty.CERTAIN))


class GrowthTests(SynchronousTestCase):
    """A node that publishes alone, and others that join through it."""

    def test_two_at_once(self) -> None:
        """
        It lets two in, who take a while until they are heard, or never are: it goes on publishing, changes of its own
        points included. It has lost nobody, and the newcomers may wait for it to publish for them.
        """
        group = Group("a")
        a = group.cores["a"]
        group.do("a", a.own_points(points("a"), group.moment))
        group.run(3.0)
        for name in "bc":
            group.do("a", a.admit(record(name), group.moment))
        for inner in (b"new", b"newer"):
            group.do("a", a.own_points(points("a", inner), group.moment))
            last = group.told("a", SourcesChanged)[-1]
            assert isinstance(last, SourcesChanged)
            self.assertEqual((last.sources["a/primary"].inner, last.certainty), (inner, Certainty.CERTAIN))
            group.run(20.0)
        self.assertEqual((len(group.told("a", BecomePublisher)), group.told("a", StepDown)), (1, []))
        self.assertEqual([member.state for member in a.status(group.moment).members], [State.DEAD] * 2)
