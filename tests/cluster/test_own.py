"""Tests for L{rustbalance.cluster.own}."""

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.messages import NodeRecord, State
from rustbalance.cluster.own import Own
from tests.cluster.group import points, record


def sign(record: NodeRecord) -> NodeRecord:
    """Put something in the place of a signature."""
    return msgspec.structs.replace(record, signature=b"%d" % record.incarnation)


class OwnTests(SynchronousTestCase):
    """What a node says of itself."""

    def setUp(self) -> None:
        """Be a node that has run before."""
        self.own = Own(record("me"), sign, 4, 70)

    def test_reincarnation(self) -> None:
        """A new incarnation comes after all that were heard of, counts from the start and has a record of its own."""
        self.own.beat = 9
        self.own.reincarnate(0)
        self.assertEqual((self.own.incarnation, self.own.beat), (5, 0))
        self.own.reincarnate(12, ("direct:elsewhere:1",))
        self.assertEqual((self.own.record.incarnation, self.own.record.signature), (13, b"13"))
        self.assertEqual(self.own.record.addresses, ("direct:elsewhere:1",))

    def test_offers_get_versions(self) -> None:
        """Each change of a set has a later version than any before; the same set again is no change."""
        first = self.own.offer(points("whoever", b"one"), 50.0)
        second = self.own.offer(points("whoever", b"two", instance="standby"), 50.0)
        assert first is not None
        assert second is not None
        self.assertEqual((first.source, first.version, second.version), ("me", 71, 72))
        self.assertIsNone(self.own.offer(points("whoever", b"one"), 50.0))
        self.assertEqual(self.own.announced(), 143)

    def test_versions_after_a_loss(self) -> None:
        """A node that has lost its state does not give a version again: it begins with the time."""
        fresh = Own(record("me"), sign, 0, 0).offer(points(), 1_800_000_000.9)
        assert fresh is not None
        self.assertEqual(fresh.version, 1_800_000_000)

    def test_state(self) -> None:
        """Without points initializing; drained or with a site that is down unhealthy; on leaving dead."""
        self.assertIs(self.own.state(), State.INITIALIZING)
        self.own.offer(points(), 0.0)
        self.assertIs(self.own.state(), State.HEALTHY)
        self.own.target_healthy = False
        self.assertIs(self.own.state(), State.UNHEALTHY)
        self.own.target_healthy, self.own.drained = None, True
        self.assertIs(self.own.state(), State.UNHEALTHY)
        self.own.leaving = True
        self.assertIs(self.own.state(), State.DEAD)
