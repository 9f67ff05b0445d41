"""Tests for L{rustbalance.cluster.membership}."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.membership import NEVER, Census, Member, Membership
from rustbalance.cluster.messages import State


def with_points(member: Member) -> bool:
    """Say that everybody has points."""
    return True


class MembershipTests(SynchronousTestCase):
    """A timeout of 8 s, a patience of 120 s."""

    def setUp(self) -> None:
        """Know one other node since second 0."""
        self.members = Membership(8.0, 120.0)
        self.members.expect("a", 100, 0.0)
        found = self.members.get("a")
        assert found is not None
        self.a = found

    def state(self, now: float, *, points: bool = True) -> State:
        """Return its state then."""
        self.members.settle(lambda member: points, now)
        return self.a.state

    def test_lifecycle(self) -> None:
        """Joining, initializing, healthy, unhealthy, dead, and back."""
        self.assertIs(self.state(1.0), State.JOINING)
        self.members.hear(self.a, 1, 1, 2.0)
        self.assertIs(self.state(2.0, points=False), State.INITIALIZING)
        self.assertIs(self.state(2.0), State.HEALTHY)
        self.a.declared = State.UNHEALTHY
        self.assertIs(self.state(3.0), State.UNHEALTHY)
        self.assertIs(self.state(9.9), State.UNHEALTHY)
        self.assertIs(self.state(10.0), State.DEAD)
        self.a.declared = State.HEALTHY
        self.members.hear(self.a, 1, 2, 11.0)
        self.assertIs(self.state(11.0), State.HEALTHY)

    def test_never_heard(self) -> None:
        """Who is expected and does not come is dead after the same time."""
        self.assertIs(self.state(7.9), State.JOINING)
        self.assertIs(self.state(8.0), State.DEAD)

    def test_old_news_is_no_life(self) -> None:
        """A beat that was heard, or an earlier one or of an earlier incarnation, does not count."""
        self.assertTrue(self.members.hear(self.a, 2, 5, 1.0))
        for old in ((2, 5), (2, 4), (1, 99)):
            self.assertFalse(self.members.hear(self.a, *old, 7.0))
        self.assertIs(self.state(9.0), State.DEAD)

    def test_relayed_after_a_verdict(self) -> None:
        """
        Somebody has heard nothing since a beat of which we did not know: that it lived to that beat, as others tell who
        have not heard of its end, is no sign of life any more; its own word, or a later beat, is.
        """
        self.members.hear(self.a, 1, 5, 1.0)
        self.assertFalse(self.members.accuse(self.a, 1, 7, 2.0))
        self.assertFalse(self.members.hear(self.a, 1, 6, 3.0, relayed=True))
        self.assertFalse(self.members.hear(self.a, 1, 7, 4.0, relayed=True))
        self.assertEqual((self.a.evidence, self.a.heard), ((1, 7), 1.0))
        self.assertTrue(self.members.hear(self.a, 1, 8, 5.0, relayed=True))
        self.members.accuse(self.a, 1, 9, 6.0)
        self.assertTrue(self.members.hear(self.a, 1, 9, 7.0))

    def test_old_news_does_not_kill(self) -> None:
        """A verdict of death by an older count than ours is not believed, however long we have heard nothing."""
        self.members.hear(self.a, 2, 5, 1.0)
        for old in ((2, 4), (1, 99)):
            self.assertFalse(self.members.accuse(self.a, *old, 8.0))
        self.assertIs(self.state(8.0), State.HEALTHY)

    def test_verdict_of_another(self) -> None:
        """One that knows as much is believed when we miss it too, not when we have just heard it."""
        self.members.hear(self.a, 2, 5, 1.0)
        self.state(1.0)
        self.assertFalse(self.members.accuse(self.a, 2, 5, 4.9))
        self.assertTrue(self.members.accuse(self.a, 2, 5, 5.0))
        self.assertIs(self.state(5.0), State.DEAD)
        self.assertTrue(self.members.hear(self.a, 2, 6, 5.5))
        self.assertIs(self.state(5.5), State.HEALTHY)

    def test_life_before_a_verdict(self) -> None:
        """That a dead one had lived to the beat after which others missed it is no news when it comes after that."""
        self.members.hear(self.a, 2, 5, 1.0)
        self.assertIs(self.state(9.0), State.DEAD)
        self.assertFalse(self.members.accuse(self.a, 2, 6, 9.0))
        self.assertFalse(self.members.hear(self.a, 2, 6, 9.1))
        self.assertIs(self.state(9.1), State.DEAD)
        self.assertTrue(self.members.hear(self.a, 2, 7, 9.2))
        self.assertIs(self.state(9.2), State.HEALTHY)

    def test_verdict_on_one_that_we_never_heard(self) -> None:
        """One that was dead when we started may have begun to count anew since: word of its death hides nothing."""
        self.members.recall("a", 100, 0.0, alive=False)
        (self.a,) = self.members
        self.assertFalse(self.members.accuse(self.a, 1, 9, 9.0))
        self.assertTrue(self.members.hear(self.a, 1, 1, 9.1))
        self.assertIs(self.state(9.1), State.HEALTHY)

    def test_verdict_that_is_not_believed(self) -> None:
        """What others say of one that we have just heard takes nothing from its next sign of life."""
        self.members.hear(self.a, 2, 5, 1.0)
        self.assertFalse(self.members.accuse(self.a, 2, 6, 3.0))
        self.assertTrue(self.members.hear(self.a, 2, 6, 3.1))

    def test_goodbye(self) -> None:
        """Who has left is dead at once, and its absence says nothing about us."""
        self.members.hear(self.a, 1, 9, 1.0)
        self.members.leave(self.a)
        self.assertIs(self.state(1.0), State.DEAD)
        self.assertFalse(self.members.hear(self.a, 1, 8, 2.0))
        self.assertEqual(self.members.census(2.0), Census(1, 1))
        self.members.hear(self.a, 2, 1, 3.0)
        self.assertIs(self.state(3.0), State.HEALTHY)

    def test_sleeper(self) -> None:
        """The time in which we were not running counts against nobody."""
        self.members.hear(self.a, 1, 1, 1.0)
        self.members.excuse(100.0)
        self.assertIs(self.state(105.0), State.HEALTHY)
        self.assertIs(self.state(109.0), State.DEAD)

    @given(st.lists(st.tuples(st.booleans(), st.integers(1, 3), st.integers(0, 9)), max_size=40))
    def test_evidence_only_grows(self, news: list[tuple[bool, int, int]]) -> None:
        """Whatever is heard or said of a node, what we know of it never goes back."""
        members = Membership(8.0, 120.0)
        members.expect("a", 100, 0.0)
        (member,) = members
        for second, (accused, incarnation, beat) in enumerate(news):
            before = member.evidence
            (members.accuse if accused else members.hear)(member, incarnation, beat, float(second))
            members.settle(with_points, float(second))
            self.assertGreaterEqual(member.evidence, before)

    def test_due(self) -> None:
        """The next look is due when silence turns into death, then when patience ends, then never."""
        self.members.hear(self.a, 1, 1, 1.0)
        self.state(1.0)
        self.assertEqual(self.members.due(1.0), 9.0)
        self.state(9.0)
        self.assertEqual(self.members.due(9.0), 129.0)
        self.assertEqual(self.members.due(129.0), float("inf"))


class CensusTests(SynchronousTestCase):
    """Are they gone, or are we?"""

    def setUp(self) -> None:
        """Hear four others at second 0."""
        self.members = Membership(8.0, 120.0)
        for name in "abcd":
            self.members.expect(name, 100, 0.0)
        self.hear("abcd", 1, 0.0)

    def hear(self, names: str, beat: int, now: float) -> Census:
        """Hear these, and count."""
        for name in names:
            member = self.members.get(name)
            assert member is not None
            self.members.hear(member, 1, beat, now)
        self.members.settle(with_points, now)
        return self.members.census(now)

    def test_most_are_lost(self) -> None:
        """Who has lost more than half is isolated, until so much time has passed that they must be gone."""
        self.assertFalse(self.hear("abc", 2, 8.0).isolated)
        self.assertFalse(self.hear("ab", 3, 16.0).isolated)
        self.assertTrue(self.hear("a", 4, 24.0).isolated)
        self.hear("a", 5, 31.0)
        self.assertTrue(self.hear("a", 6, 127.0).isolated)
        self.hear("a", 7, 128.0)
        self.assertFalse(self.hear("a", 8, 136.0).isolated)

    def test_about_to_be_lost(self) -> None:
        """Not all fall silent at once: with one dead and others quiet there is doubt already."""
        self.hear("ab", 2, 2.0)
        census = self.hear("", 0, 8.0)
        self.assertEqual((census.present, census.expected, census.quiet), (3, 5, 2))
        self.assertTrue(census.doubtful)
        self.assertFalse(census.isolated)
        self.assertFalse(self.hear("ab", 3, 8.5).doubtful)

    def test_whom_we_never_knew_alive(self) -> None:
        """Who is said to be dead before we ever heard it is nobody we have lost; one that we knew is."""
        self.members.expect("old", 100, 0.0)
        self.members.recall("known", 100, 0.0, alive=True)
        self.members.recall("gone", 100, 0.0, alive=False)
        for name in ("old", "known"):
            member = self.members.get(name)
            assert member is not None
            self.assertTrue(self.members.accuse(member, 1, 1, 1.0))
        gone = self.members.get("gone")
        assert gone is not None
        self.assertEqual((gone.state, gone.dead_since), (State.DEAD, NEVER))
        self.assertEqual(self.members.census(1.0), Census(5, 6))

    def test_newcomers(self) -> None:
        """Whoever came while we published is nobody whom we have lost as long as it was not heard; then it is."""
        members = Membership(8.0, 120.0)
        for name in "xyz":
            members.expect(name, 100, 0.0, newcomer=True)
        self.assertEqual(members.census(1.0), Census(1, 1))
        heard = members.get("x")
        assert heard is not None
        members.hear(heard, 1, 1, 2.0)
        members.settle(with_points, 2.0)
        self.assertEqual(members.census(2.0), Census(2, 2))
        members.settle(with_points, 10.0)
        self.assertEqual(members.census(10.0), Census(1, 2))
