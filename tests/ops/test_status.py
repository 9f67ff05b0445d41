"""Tests for L{rustbalance.ops.status}."""

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.ops.status import (
    ClusterStatus,
    DescriptorStatus,
    Health,
    NodeStatus,
    judge,
)
from tests.ops.statuses import cluster as cluster_status
from tests.ops.statuses import descriptor, instance, node, proxy

INSTANCE, DESCRIPTOR, PROXY = instance(), descriptor(), proxy()
CLUSTER = cluster_status("beta", "alpha", alpha="healthy")
replace = msgspec.structs.replace


class JudgeTests(SynchronousTestCase):
    """L{judge} calls a node what a visitor would call it."""

    def test_healthy(self) -> None:
        """Tor serves, both descriptors are published, the front listens: healthy, nothing to say."""
        self.assertEqual(judge((INSTANCE,), (DESCRIPTOR, DESCRIPTOR), PROXY), (Health.HEALTHY, ()))

    def test_down_without_tor(self) -> None:
        """No serving Tor means that no visitor arrives, and the sentence says how far Tor is and why."""
        starting = replace(INSTANCE, phase="bootstrapping", bootstrap_percent=45, bootstrap_summary="Loading")
        health, problems = judge((starting,), (DESCRIPTOR,), PROXY)
        self.assertEqual(health, Health.DOWN)
        self.assertEqual(problems, ("Tor (primary) is bootstrapping at 45 % (Loading)",))

    def test_down_before_the_first_publish(self) -> None:
        """A descriptor that no directory ever got leaves the address unreachable."""
        never = replace(DESCRIPTOR, age_secs=None, confirmed=0, published=False, problem="no introduction points yet")
        health, problems = judge((INSTANCE,), (never,), PROXY)
        self.assertEqual(health, Health.DOWN)
        self.assertIn("0 of 8 directories: no introduction points yet", problems[0])

    def test_degraded_by_too_few_directories(self) -> None:
        """Visitors still arrive when one descriptor lacks confirmations, but somebody should know."""
        partial = replace(DESCRIPTOR, confirmed=2, published=False)
        self.assertEqual(judge((INSTANCE,), (DESCRIPTOR, partial), PROXY)[0], Health.DEGRADED)

    def test_target_and_front(self) -> None:
        """A dead target degrades, a front that does not listen is down."""
        self.assertEqual(judge((INSTANCE,), (DESCRIPTOR,), replace(PROXY, target_healthy=False))[0], Health.DEGRADED)
        self.assertEqual(judge((INSTANCE,), (DESCRIPTOR,), replace(PROXY, listening=None))[0], Health.DOWN)

    def test_further_problems_degrade(self) -> None:
        """What other parts complain about is passed on and counts."""
        self.assertEqual(judge((INSTANCE,), (DESCRIPTOR,), PROXY, ("clock",)), (Health.DEGRADED, ("clock",)))

    def test_status_crosses_the_socket_unchanged(self) -> None:
        """Encoding and decoding give the same picture."""
        status = node(problems=("x",), health=Health.DEGRADED, cluster=CLUSTER)
        self.assertEqual(msgspec.json.decode(msgspec.json.encode(status), type=NodeStatus), status)


class ClusterTests(SynchronousTestCase):
    """A node whose points another node publishes."""

    def test_served_by_another(self) -> None:
        """It has no descriptors of its own and is healthy all the same: visitors find its points."""
        self.assertEqual(judge((INSTANCE,), (), PROXY, cluster=CLUSTER), (Health.HEALTHY, ()))

    def test_served_by_nobody(self) -> None:
        """It is down when nobody publishes, when it should be the publisher itself, or when its points are left out."""
        for change in ({"publisher": None}, {"publisher": "beta"}, {"sources": ("alpha/primary",)}):
            cluster = replace(CLUSTER, **change)
            self.assertEqual(judge((INSTANCE,), (), PROXY, cluster=cluster)[0], Health.DOWN, change)

    def test_not_yet(self) -> None:
        """A node that is down for want of a publish alone says so, and who is to publish."""
        elsewhere = replace(CLUSTER, sources=("alpha/primary",))
        for cluster, words in ((None, "nothing has been published yet"), (elsewhere, "node alpha has not published")):
            health, problems = judge((INSTANCE,), (), PROXY, cluster=cluster)
            self.assertEqual((health, len(problems)), (Health.DOWN, 1))
            self.assertIn(words, problems[0])

    def test_drained(self) -> None:
        """A drained node is no worse than degraded where others serve; where none does it is what it is."""
        gone = replace(INSTANCE, phase="waiting")
        others, nobody = cluster_status(beta="healthy"), cluster_status(beta="dead")
        for tor, cluster, wanted in (
            (INSTANCE, others, Health.DEGRADED),
            (gone, others, Health.DEGRADED),
            (INSTANCE, nobody, Health.DEGRADED),
            (gone, nobody, Health.DOWN),
            (gone, None, Health.DOWN),
        ):
            health, problems = judge((tor,), (DESCRIPTOR,), PROXY, cluster=cluster, drained=True)
            self.assertEqual(health, wanted)
            self.assertIn("this node is drained", problems[0])

    def test_its_problems(self) -> None:
        """What is wrong with the cluster degrades each node that can say so."""
        cluster = replace(CLUSTER, problems=("node gamma is not heard",))
        found = judge((INSTANCE,), (), PROXY, ("clock",), cluster)
        self.assertEqual(found, (Health.DEGRADED, ("node gamma is not heard", "clock")))

    def test_scout(self) -> None:
        """A Tor that serves nobody keeps no node up, and one that fails degrades it."""
        scout = replace(INSTANCE, name="scout", serves_visitors=False)
        gone = replace(INSTANCE, phase="waiting")
        self.assertEqual(judge((gone, scout), (DESCRIPTOR,), PROXY)[0], Health.DOWN)
        scout = replace(scout, phase="waiting")
        self.assertEqual(judge((INSTANCE, scout), (DESCRIPTOR,), PROXY)[0], Health.DEGRADED)

    def test_published(self) -> None:
        """Published are points that enough directories confirmed, or that another node sees to."""

        def published(*descriptors: DescriptorStatus, cluster: ClusterStatus | None = None) -> bool:
            return node(instances=(), descriptors=descriptors, cluster=cluster).published

        self.assertTrue(published(DESCRIPTOR))
        self.assertFalse(published(DESCRIPTOR, replace(DESCRIPTOR, published=False), cluster=CLUSTER))
        self.assertFalse(published())
        self.assertTrue(published(cluster=CLUSTER))
        self.assertFalse(published(cluster=replace(CLUSTER, publisher=None)))
