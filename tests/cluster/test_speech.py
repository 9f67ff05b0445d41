"""Tests for L{rustbalance.cluster.speech}."""

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.commands import PersistedState, Send
from rustbalance.cluster.election import Claim
from rustbalance.cluster.messages import Heartbeat, PeerAnnounce, PeerState, State, encode
from rustbalance.cluster.parts import Parts
from rustbalance.cluster.settings import ClusterSettings
from rustbalance.cluster.speech import FLOOD
from tests.cluster.group import points, record

SETTINGS = ClusterSettings()


def speaker(peers: int) -> Parts:
    """Return the parts of a node that hears so many others."""
    parts = Parts(record("me"), SETTINGS, PersistedState(), Random(1).random, lambda it: it, lambda it: True)
    parts.learn_records([record(f"node-{number:02}") for number in range(peers)], 0.0)
    for member in parts.members:
        parts.members.hear(member, 1, 1, 0.0)
    parts.members.settle(lambda member: True, 0.0)
    parts.revisions.learn({"ab" * 32: 5})
    return parts


def heartbeats(sends: list[Send]) -> list[tuple[str | None, Heartbeat]]:
    """Return the heartbeats among these."""
    return [(each.to, each.message) for each in sends if isinstance(each.message, Heartbeat)]


class SmallClusterTests(SynchronousTestCase):
    """A cluster in which everybody talks to everybody."""

    def test_all_to_all(self) -> None:
        """One heartbeat goes to all and tells of all, with the counters that are known."""
        parts = speaker(6)
        ((to, said),) = heartbeats(list(parts.speech.beat(1.0, urgent=False)))
        self.assertIsNone(to)
        self.assertEqual(said.states, tuple(PeerState(f"node-{each:02}", 1, State.HEALTHY, 1) for each in range(6)))
        self.assertEqual(said.revisions, {"ab" * 32: 5})
        self.assertEqual(said.beat, 1)

    def test_who_publishes(self) -> None:
        """A heartbeat names the publisher as long as its lease runs, and how long that is."""
        parts = speaker(1)
        parts.succession.lease.take(Claim(7, 100, "node-00"), 5.0)
        ((_, said),) = heartbeats(list(parts.speech.beat(1.0, urgent=False)))
        self.assertEqual((said.term, said.publisher, said.lease_left), (7, "node-00", 4.0))
        ((_, said),) = heartbeats(list(parts.speech.beat(6.0, urgent=False)))
        self.assertEqual((said.term, said.publisher, said.lease_left), (7, None, 0.0))

    def test_missing_points(self) -> None:
        """Whose points we lack is told so by being called initializing."""
        parts = speaker(1)
        parts.sources.announced("node-00", 1, 9, 0.0)
        ((_, said),) = heartbeats(list(parts.speech.beat(1.0, urgent=False)))
        self.assertEqual(said.states, (PeerState("node-00", 1, State.INITIALIZING, 1),))

    def test_who_is_missed_is_told_who_we_are(self) -> None:
        """One of those that are not heard gets our record with each beat, in turn."""
        parts = speaker(1)
        parts.learn_records([record("x"), record("y")], 0.0)
        told = [
            each.to
            for _ in range(2)
            for each in parts.speech.beat(1.0, urgent=False)
            if each.message == PeerAnnounce(records=(parts.own.record,))
        ]
        self.assertEqual(sorted(filter(None, told)), ["x", "y"])


class LargeClusterTests(SynchronousTestCase):
    """A hundred nodes."""

    def setUp(self) -> None:
        """Hear 99 others."""
        self.parts = speaker(99)

    def beat(self, now: float, *, urgent: bool = False) -> list[tuple[str | None, Heartbeat]]:
        """Return the heartbeats of one beat."""
        return heartbeats(list(self.parts.speech.beat(now, urgent=urgent)))

    def test_everybody_within_two_beats(self) -> None:
        """Each beat goes to half of the nodes; two reach everybody."""
        first, second = self.beat(1.0), self.beat(3.0)
        self.assertEqual(len(first), 50)
        self.assertEqual(len({to for to, _ in [*first, *second]}), 99)

    def test_cost(self) -> None:
        """A heartbeat in a large cluster stays small: 25 of them a second must be far below 20 kB."""
        _, said = self.beat(1.0)[0]
        self.assertLess(len(encode(said)), 350)
        self.assertEqual((len(said.states), said.revisions), (SETTINGS.entries, {}))

    def test_publisher_is_always_told_of(self) -> None:
        """Every heartbeat brings the last beat of the publisher: its lease hangs on that."""
        self.parts.succession.lease.take(Claim(7, 100, "node-42"), 50.0)
        for now in (1.0, 3.0, 5.0):
            self.assertIn("node-42", [entry.id for entry in self.beat(now)[0][1].states])

    def test_urgent(self) -> None:
        """What cannot wait goes to everybody, with all that is known of counters."""
        ((to, said),) = self.beat(1.0, urgent=True)
        self.assertIsNone(to)
        self.assertEqual(said.revisions, {"ab" * 32: 5})

    def test_asks_for_points(self) -> None:
        """Who lacks points of somebody tells that node with the next beat, also if it is not its turn."""
        self.parts.sources.announced("node-07", 1, 9, 0.0)
        asked = [said for to, said in self.beat(1.0) if to == "node-07"]
        self.assertIn((PeerState("node-07", 1, State.INITIALIZING, 1),), [said.states for said in asked])

    def test_records_spread(self) -> None:
        """A record that is new to us is passed on to a few, our own goes to all."""
        self.assertEqual(len(list(self.parts.speech.announce([record("new")]))), FLOOD)
        (send,) = self.parts.speech.announce([self.parts.own.record])
        self.assertIsNone(send.to)


class RepetitionTests(SynchronousTestCase):
    """Nothing is repeated to the same node as fast as it asks."""

    def test_points(self) -> None:
        """All sets, at most every half interval to the same node."""
        parts = speaker(2)
        parts.own.offer(points(inner=b"one"), 0.0)
        parts.own.offer(points(inner=b"two", instance="standby"), 0.0)
        self.assertEqual(len(list(parts.speech.points("node-00", 1.0))), 2)
        self.assertEqual(list(parts.speech.points("node-00", 1.9)), [])
        self.assertEqual(len(list(parts.speech.points("node-01", 1.9))), 2)
        self.assertEqual(len(list(parts.speech.points("node-00", 2.0))), 2)

    def test_objections(self) -> None:
        """Who is a member is told nothing; who lost its bundle is told to whom, who was forgotten that it was."""
        parts = speaker(2)
        self.assertEqual(list(parts.speech.objections("node-00")), [])
        self.assertEqual(list(parts.speech.objections("x")), [])
        parts.learn_records([record("d", bundle=b"x" * 16)], 0.0)
        parts.learn_records([record("c", bundle=b"x" * 16)], 0.0)
        told = PeerAnnounce(records=(parts.own.record, record("c", bundle=b"x" * 16)))
        self.assertEqual(list(parts.speech.objections("d")), [Send("d", told)])

    def test_table(self) -> None:
        """All records, ours among them, to one node every two intervals."""
        parts = speaker(2)
        ((send),) = parts.speech.table("node-00", 1.0)
        assert isinstance(send.message, PeerAnnounce)
        self.assertEqual(len(send.message.records), 3)
        self.assertEqual(list(parts.speech.table("node-01", 4.9)), [])
        self.assertEqual(len(list(parts.speech.table("node-01", 5.0))), 1)
