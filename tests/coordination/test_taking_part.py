"""Tests for L{rustbalance.coordination.service}: nodes that are taken out of service, or take themselves out."""

from tests.coordination.memory import ClusterTestCase


class TakingPartTests(ClusterTestCase):
    """Three nodes that serve, and what one of them is told."""

    def rest(self, name: str) -> str:
        """Return the places of the others."""
        return "".join(str(place) for place, other in enumerate(self.names) if other != name)

    def test_drain(self) -> None:
        """
        The points of a publisher that is drained are out of the directories within four seconds, by another's hand, and
        in again as soon as it is wanted back; the other goes on publishing.
        """
        self.serve()
        [drained] = self.cluster.publishers()
        self.cluster[drained].coordination.fitness.drain(True)
        self.until(self.rest(drained), 4)
        [publisher] = self.cluster.publishers()
        self.assertNotEqual(publisher, drained)
        seen = {member.id: (member.state, member.drained) for member in self.cluster[publisher].status.members}
        self.assertEqual(seen[drained], ("unhealthy", True))
        self.cluster.later(30, 0.5)
        self.assertEqual(self.cluster.published(), {frozenset(self.cluster.points(*map(int, self.rest(drained))))})
        self.cluster[drained].coordination.fitness.drain(False)
        self.until("012", 4)
        self.assertEqual(self.cluster.publishers(), [publisher])

    def test_no_target(self) -> None:
        """A node whose target does not answer is left out while another has one; when none has, all are in."""
        self.serve()
        [publisher] = self.cluster.publishers()
        self.cluster[publisher].coordination.fitness.target(False)
        self.until(self.rest(publisher), 4)
        self.assertEqual(self.cluster.publishers(), [publisher])
        for node in self.cluster.nodes.values():
            node.coordination.fitness.target(False)
        self.until("012", 10)
        self.cluster["gamma"].coordination.fitness.target(True)
        self.until("2", 10)

    def test_resign(self) -> None:
        """A publisher that resigns is followed by another, which publishes everybody's points, and keeps the lease."""
        self.serve()
        [first] = self.cluster.publishers()
        before = self.cluster.revisions()
        node = self.cluster[first]
        node.coordination.fitness.resign(node.now().mono)
        self.cluster.later(5)
        [second] = self.cluster.publishers()
        self.assertNotEqual(second, first)
        self.cluster.later(90, 0.5)
        self.assertEqual(self.cluster.publishers(), [second])
        self.assertEqual(self.cluster.published(), {frozenset(self.cluster.points(0, 1, 2))})
        self.assertTrue(all(now > then for now, then in zip(self.cluster.revisions(), before, strict=True)))


class AloneTests(ClusterTestCase):
    """A cluster of one."""

    names = ("alpha",)

    def test_it_goes_on(self) -> None:
        """A node without others keeps its seat and its points out, whatever its target and its repairs say."""
        self.cluster.start()
        self.until("0", 15)
        node = self.cluster["alpha"]
        node.coordination.fitness.target(False)
        node.coordination.fitness.resign(node.now().mono)
        self.cluster.later(700, 1.0)
        self.assertEqual(self.cluster.published(), {frozenset(self.cluster.points(0))})
        self.assertEqual(self.cluster.publishers(), ["alpha"])
