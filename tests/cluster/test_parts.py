"""Tests for L{rustbalance.cluster.parts}."""

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.commands import MembersChanged, PersistedState, RevisionsLearned, Send
from rustbalance.cluster.messages import Forgotten, PeerAnnounce
from rustbalance.cluster.parts import CannotForget, Parts
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

    def test_forget(self) -> None:
        """Only another member that is dead can be forgotten; then everybody is told, and it is kept."""
        self.parts.learn_records([record("a"), record("b")], 0.0)
        for node, words in (("me", "this node"), ("x", "known are: a, b"), ("a", "stop it first")):
            with self.assertRaises(CannotForget) as caught:
                self.parts.forget(node, 1000.0)
            self.assertIn(words, str(caught.exception))
        self.parts.members.settle(lambda member: True, 99.0)
        self.parts.out.clear()
        stamp = self.parts.stamp()
        self.parts.forget("a", 1000.5)
        gone = Forgotten(record("a"), 1000)
        self.assertIn(Send(None, PeerAnnounce(records=(), forgotten=(gone,))), self.parts.out)
        self.assertNotEqual(self.parts.stamp(), stamp)
        self.assertEqual(self.parts.to_keep().forgotten, (gone,))
        self.parts.sources.announced("a", 1, 5, 99.0)
        self.parts.drop_unwanted()
        self.assertEqual([member.id for member in self.parts.members], ["b"])
        self.assertEqual(self.parts.out[-1], MembersChanged((record("b"),), (record("a"),)))
        self.assertFalse(self.parts.sources.lacks("a"))

    def test_the_living_are_not_dropped(self) -> None:
        """Who is here stays, whatever is said of it."""
        self.parts.learn_records([record("a")], 0.0)
        member = self.parts.members.get("a")
        assert member is not None
        self.parts.members.hear(member, 1, 1, 0.0)
        self.parts.members.settle(lambda member: True, 0.0)
        self.parts.learn_forgotten([Forgotten(record("a"), 1000)])
        self.parts.drop_unwanted()
        self.assertIn("a", self.parts.table)

    def test_forgotten_ourselves(self) -> None:
        """Word that we were forgotten makes us begin another incarnation; word of an earlier one does not."""
        self.parts.reincarnate(0)
        now = self.parts.own.incarnation
        self.parts.learn_forgotten([Forgotten(record("me", now - 1), 1000)])
        self.assertEqual(self.parts.own.incarnation, now)
        self.parts.learn_forgotten([Forgotten(record("me", now + 3), 1000)])
        self.assertEqual(self.parts.own.incarnation, now + 4)

    def test_forgotten_in_a_forged_record(self) -> None:
        """Nobody makes us begin another incarnation, or anybody a former member, by a record that is not signed."""
        before = self.parts.own.incarnation
        ours = msgspec.structs.replace(record("forged", 2**63 - 1), public_key=self.parts.own.record.public_key)
        self.parts.learn_forgotten([Forgotten(ours, 1000), Forgotten(record("forged", 3), 1000)])
        self.assertEqual((self.parts.own.incarnation, self.parts.table.former()), (before, ()))

    def test_introduced(self) -> None:
        """A forgotten node that comes itself is a member until it falls silent, and is told why it is not heard of."""
        gone = Forgotten(record("a", 3), 1000)
        self.parts.learn_forgotten([gone])
        self.parts.out.clear()
        self.parts.introduced(record("a", 3), 0.0)
        told = PeerAnnounce(records=(self.parts.own.record,), forgotten=(gone,))
        self.assertEqual(self.parts.out, [MembersChanged((record("a", 3),), (record("a", 3),)), Send("a", told)])
        self.parts.introduced(record("a", 4), 1.0)
        self.assertEqual(self.parts.table.former(), ())

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
