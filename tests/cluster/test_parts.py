"""Tests for L{rustbalance.cluster.parts}."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.commands import MembersChanged, PersistedState, RevisionsLearned, Send
from rustbalance.cluster.messages import PeerAnnounce
from rustbalance.cluster.parts import Parts
from rustbalance.cluster.settings import ClusterSettings
from tests.cluster.group import record


class PartsTests(SynchronousTestCase):
    """The parts of a node called me."""

    def setUp(self) -> None:
        """Have run before."""
        self.kept = PersistedState(4, 99, 7, (record("a", 1),), ("a",), {"aa": 5})
        self.parts = Parts(
            record("me"), ClusterSettings(), self.kept, lambda: 0.5, lambda it: it, lambda it: it.id != "forged"
        )

    def test_what_is_kept(self) -> None:
        """What was kept is there again; what changes has to be kept anew."""
        self.parts.learn_records(self.kept.records, 0.0)
        self.assertEqual(self.parts.to_keep(), self.kept)
        stamps = [self.parts.stamp()]
        for change in (
            lambda: self.parts.reincarnate(0),
            lambda: self.parts.succession.lease.note(100),
            lambda: self.parts.learn_revisions({"aa": 6}),
            lambda: self.parts.learn_records([record("b")], 0.0),
        ):
            change()
            stamps.append(self.parts.stamp())
        self.assertEqual(len(set(stamps)), 5)
        self.parts.learn_revisions({"aa": 6})
        self.assertEqual(self.parts.stamp(), stamps[-1])

    def test_a_new_member(self) -> None:
        """It is told to everybody who it is, and it is told who we are; what is known or forged is not."""
        self.parts.learn_records([record("a", 1), record("forged")], 0.0)
        own = PeerAnnounce(records=(self.parts.own.record,))
        self.assertEqual(
            self.parts.out,
            [
                MembersChanged((record("a", 1),)),
                Send(None, PeerAnnounce(records=(record("a", 1),))),
                Send("a", own),
            ],
        )
        self.parts.out.clear()
        self.parts.learn_records([record("a", 1)], 0.0)
        self.assertEqual(self.parts.out, [])
        self.parts.learn_records([record("a", 2)], 0.0)
        self.assertNotIn(Send("a", own), self.parts.out)

    def test_rivals(self) -> None:
        """Only nodes that are here and not drained can publish instead of us."""
        self.parts.learn_records([record("a"), record("b", priority=5), record("c")], 0.0)
        for member in self.parts.members:
            self.parts.members.hear(member, 1, 1, 0.0)
            member.drained = member.id == "c"
        self.parts.members.settle(lambda member: member.id != "a", 0.0)
        self.assertEqual(sorted(self.parts.rivals()), [(5, "b"), (100, "a")])

    def test_only_higher_counters_are_news(self) -> None:
        """Counters that we knew are not told to the publisher again."""
        self.parts.learn_revisions({"aa": 6, "bb": 1})
        self.parts.learn_revisions({"aa": 6})
        self.assertEqual(self.parts.out, [RevisionsLearned({"aa": 6, "bb": 1})])
