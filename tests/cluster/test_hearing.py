"""Tests for L{rustbalance.cluster.hearing}: one node, and what others say to it."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.commands import Log, PersistedState, Send
from rustbalance.cluster.election import SPARE, latest_round
from rustbalance.cluster.hearing import Hearing, believable
from rustbalance.cluster.membership import Member
from rustbalance.cluster.messages import (
    Forgotten,
    Heartbeat,
    IntroPoints,
    LeaseClaim,
    LeaseRelease,
    Message,
    PeerAnnounce,
    PeerState,
    State,
)
from rustbalance.cluster.parts import Parts
from rustbalance.cluster.settings import ClusterSettings
from tests.cluster.group import WALL, heartbeat, points, record


def member(parts: Parts, node: str) -> Member:
    """Return what is known of a node."""
    found = parts.members.get(node)
    assert found is not None
    return found


class HearingTests(SynchronousTestCase):
    """The node is called me; it knows a and b."""

    def setUp(self) -> None:
        """Be in the second incarnation and the tenth beat."""
        same = ClusterSettings()
        self.parts = Parts(record("me"), same, PersistedState(), lambda: 0.5, lambda it: it, lambda it: True)
        self.parts.learn_records([record("a"), record("b")], 0.0)
        self.parts.own.reincarnate(1)
        self.parts.own.beat = 10
        self.hearing = Hearing(self.parts)
        self.parts.out.clear()

    def hear(self, sender: str, message: Message, now: float = 1.0) -> list[tuple[str | None, Message]]:
        """Let it hear something; return what it says to whom."""
        self.parts.out.clear()
        self.hearing.hear(sender, message, now)
        return [(each.to, each.message) for each in self.parts.out if isinstance(each, Send)]

    def test_strangers(self) -> None:
        """A node that is no member is heard only when it announces records."""
        for message in (heartbeat(1), points("x"), LeaseClaim(term=9, priority=1), LeaseRelease(term=9)):
            self.assertEqual(self.hear("x", message), [])
        self.assertEqual(self.parts.succession.lease.term, 0)
        said = self.hear("x", PeerAnnounce(records=(record("x"),)))
        self.assertIn("x", self.parts.table)
        self.assertEqual(said[-1], ("x", PeerAnnounce(records=(self.parts.own.record,))))

    def test_forgotten_but_here(self) -> None:
        """A member that others have forgotten is told so at each heartbeat, until it has a later incarnation."""
        gone = Forgotten(record("a"), 1000)
        self.hear("b", PeerAnnounce(records=(), forgotten=(gone,)))
        told = ("a", PeerAnnounce(records=(self.parts.own.record,), forgotten=(gone,)))
        for beat in (1, 2):
            self.assertIn(told, self.hear("a", heartbeat(beat)))
        self.hear("a", PeerAnnounce(records=(record("a", 1),)))
        self.assertNotIn(told, self.hear("a", heartbeat(3)))

    def test_forgotten_comes_back(self) -> None:
        """One that we have forgotten is a member again when it says itself who it is; others cannot say it for it."""
        self.parts.members.settle(lambda member: True, 99.0)
        self.hear("b", PeerAnnounce(records=(), forgotten=(Forgotten(record("a"), 1000),)))
        self.parts.drop_unwanted()
        self.hear("b", PeerAnnounce(records=(record("a"),)))
        self.assertNotIn("a", self.parts.table)
        self.hear("a", PeerAnnounce(records=(record("a"),)))
        self.assertIn("a", self.parts.table)

    def test_nobody_offers_for_another(self) -> None:
        """Points that are not the sender's own are passed over."""
        self.hear("a", points("b"))
        self.assertFalse(self.parts.sources.usable("b", 0, 1.0))
        self.hear("b", points("b"))
        self.assertTrue(self.parts.sources.usable("b", 0, 1.0))

    def test_refutes_its_death(self) -> None:
        """Who is said to be dead begins a new incarnation and says so at once; old verdicts are not worth it."""
        said = self.hear("a", heartbeat(1, states=[PeerState("me", 2, State.DEAD, 9)]))
        self.assertEqual(self.parts.own.incarnation, 3)
        self.assertTrue(self.parts.speak)
        self.assertIn((None, PeerAnnounce(records=(self.parts.own.record,))), said)
        self.hear("a", heartbeat(2, states=[PeerState("me", 2, State.DEAD, 10)]))
        self.assertEqual(self.parts.own.incarnation, 3)

    def test_learns_of_an_earlier_life(self) -> None:
        """A node that has lost its state goes beyond whatever others remember of it."""
        self.hear("a", heartbeat(1, states=[PeerState("me", 7, State.HEALTHY, 3)]))
        self.assertEqual(self.parts.own.incarnation, 8)
        self.hear("a", heartbeat(2, states=[PeerState("me", 8, State.HEALTHY, 3)]))
        self.assertEqual(self.parts.own.incarnation, 9)

    def test_nobody_is_driven_to_the_end_of_counting(self) -> None:
        """
        What one member says of another cannot use up the numbers of its incarnations, here or with third ones: it
        could not speak for itself any more.
        """
        for entry in (PeerState("me", 2**63 - 1, State.DEAD, 9), PeerState("me", 2**63 - 1, State.HEALTHY, 2**63 - 1)):
            self.hear("a", heartbeat(1, states=[entry]))
            self.assertEqual(self.parts.own.incarnation, 2)
        self.hear("b", heartbeat(1, incarnation=4))
        for state in (State.DEAD, State.HEALTHY):
            self.hear("a", heartbeat(2, states=[PeerState("b", 2**63 - 1, state, 9)]), now=30.0)
            self.assertEqual(member(self.parts, "b").evidence, (4, 1))
        self.hear("a", heartbeat(3, states=[PeerState("b", 1000, State.HEALTHY, 9)]), now=30.0)
        self.assertEqual(member(self.parts, "b").evidence, (1000, 9))

    def test_corrects_an_earlier_incarnation(self) -> None:
        """A node that is behind its own incarnation is told of it, and otherwise not heard, but for used counters."""
        self.hear("a", heartbeat(5, incarnation=4))
        used = msgspec.structs.replace(heartbeat(9, incarnation=3), revisions={"ab" * 32: 7})
        self.hear("a", used)
        self.assertEqual(self.parts.revisions.known(), {"ab" * 32: 7})
        ((to, answer),) = self.hear("a", heartbeat(9, incarnation=3, drained=True))
        assert isinstance(answer, Heartbeat)
        self.assertEqual((to, answer.states), ("a", (PeerState("a", 4, State.JOINING, 5),)))
        self.assertFalse(member(self.parts, "a").drained)

    def test_gives_its_points_to_who_lacks_them(self) -> None:
        """Who takes us for initializing after we announced points gets them, but not twice in a moment."""
        self.parts.own.offer(points(), 0.0)
        self.parts.own.beat = 11
        before = heartbeat(1, states=[PeerState("me", 2, State.INITIALIZING, 10)])
        self.assertEqual([each for _, each in self.hear("a", before) if isinstance(each, IntroPoints)], [])
        lacking = [heartbeat(beat, states=[PeerState("me", 2, State.INITIALIZING, 11)]) for beat in (2, 3, 4)]
        ((to, message),) = self.hear("a", lacking[0], 1.0)
        self.assertIsInstance(message, IntroPoints)
        self.assertEqual(to, "a")
        self.assertEqual(self.hear("a", lacking[1], 1.5), [])
        self.assertEqual(len(self.hear("a", lacking[2], 2.0)), 1)

    def test_direct_word_after_a_relayed_beat(self) -> None:
        """What a node says of itself counts also when its beat has come by another way before."""
        self.hear("b", heartbeat(1, states=[PeerState("a", 1, State.HEALTHY, 5)]))
        self.hear("a", heartbeat(5, state=State.UNHEALTHY))
        self.assertIs(member(self.parts, "a").declared, State.UNHEALTHY)

    def test_out_of_order(self) -> None:
        """What a node said earlier does not undo what it said later."""
        self.hear("a", heartbeat(6, state=State.UNHEALTHY))
        self.hear("a", heartbeat(5, state=State.HEALTHY))
        self.assertIs(member(self.parts, "a").declared, State.UNHEALTHY)

    def test_goodbye(self) -> None:
        """The last word of a node counts, unless it is known to have lived on."""
        for name, later in (("a", 0), ("b", 1)):
            self.hear(name, heartbeat(5))
            self.parts.members.hear(member(self.parts, name), 1, 6 + later, 1.0)
            self.hear(name, heartbeat(6, state=State.DEAD))
            self.assertEqual(member(self.parts, name).left, not later)

    def test_restart_by_another_way(self) -> None:
        """That a node has started again may be heard from others first; its points are looked at anew."""
        self.hear("a", heartbeat(5))
        self.hear("b", heartbeat(1))
        self.parts.members.settle(lambda each: True, 1.0)
        self.parts.restless = False
        self.hear("b", heartbeat(2, states=[PeerState("a", 1, State.HEALTHY, 6)]))
        self.assertFalse(self.parts.restless)
        self.hear("b", heartbeat(3, states=[PeerState("a", 2, State.HEALTHY, 1)]))
        self.assertTrue(self.parts.restless)

    def test_different_tables(self) -> None:
        """A node that knows other records gets ours, not more often than every other heartbeat."""
        everybody = PeerAnnounce(records=(self.parts.own.record, *self.parts.table))
        self.assertEqual(self.hear("a", heartbeat(1)), [("a", everybody)])
        self.assertEqual(self.hear("b", heartbeat(1), 2.0), [])
        self.assertEqual(len(self.hear("a", heartbeat(2), 5.0)), 1)

    @settings(deadline=None, max_examples=200)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["a", "b", "x"]),
                st.integers(0, 4),
                st.integers(0, 9),
                st.sampled_from(State),
                st.sampled_from(["me", "a", "b"]),
                st.sampled_from(State),
            ),
            max_size=30,
        )
    )
    def test_any_talk(self, talk: list[tuple[str, int, int, State, str, State]]) -> None:
        """Whatever others say, nothing is raised, and neither our incarnation nor any evidence goes back."""
        self.setUp()
        for second, (sender, incarnation, beat, state, subject, belief) in enumerate(talk):
            incarnations, before = self.parts.own.incarnation, [each.evidence for each in self.parts.members]
            states = [PeerState(subject, beat % 5, belief, incarnation)]
            said = heartbeat(beat, incarnation=incarnation, state=state, states=states, term=beat, publisher=subject)
            self.hear(sender, said, float(second))
            self.assertGreaterEqual(self.parts.own.incarnation, incarnations)
            for each, known in zip(self.parts.members, before, strict=True):
                self.assertGreaterEqual(each.evidence, known)


class LeapTests(SynchronousTestCase):
    """Rounds that are used up have somebody who did it."""

    def test_named(self) -> None:
        """Who first tells of a term that is far from what was known is in the log, once; a newcomer wonders not."""
        parts = Parts(record("me"), ClusterSettings(), PersistedState(), lambda: 0.5, lambda it: it, lambda it: True)
        parts.learn_records([record("a")], 0.0)
        hearing, lines = Hearing(parts), list[str]()
        for rounds in (5000, 6000, 7001, 7001):
            hearing.hear("a", LeaseClaim(term=rounds << 36, priority=1), 0.0)
            lines += [each.text for each in parts.out if isinstance(each, Log)]
            parts.out.clear()
        self.assertEqual(len(lines), 1)
        self.assertIn("a tells of takeover 7001", lines[0])


class BelievableTests(SynchronousTestCase):
    """Terms have their time."""

    def test_in_time(self) -> None:
        """What can be is heard as it was said, whatever it is."""
        latest = latest_round(WALL + SPARE) << 36
        said = heartbeat(1, term=latest, publisher="a", lease_left=3.0)
        for message in (LeaseClaim(term=latest, priority=1), LeaseRelease(term=latest), said, points("a")):
            self.assertIs(believable(message, WALL), message)

    def test_ahead_of_time(self) -> None:
        """Of a claim or a release nothing is left, of a heartbeat all but the term and who has it."""
        late = latest_round(WALL + SPARE) + 1 << 36
        self.assertIsNone(believable(LeaseClaim(term=late, priority=1), WALL))
        self.assertIsNone(believable(LeaseRelease(term=late), WALL))
        said = heartbeat(1, term=late, publisher="a", lease_left=3.0, points_version=4, drained=True)
        self.assertEqual(believable(said, WALL), heartbeat(1, points_version=4, drained=True))
        self.assertIs(believable(said, WALL + 8.0), said)
