"""Tests for L{rustbalance.coordination.settings}."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.messages import NodeRecord
from rustbalance.coordination.settings import Seed, unmet

NAMED, PLACED = Seed("beta"), Seed("@10.0.0.3:7", ("direct:10.0.0.3:7",))


def record(name: str, address: str) -> NodeRecord:
    """Return a record as far as it matters here."""
    return NodeRecord(name, bytes(32), 1, 100, (address,))


class SeedsTests(SynchronousTestCase):
    """L{unmet} says which seeds still have to be met."""

    def test_nobody_met(self) -> None:
        """Without records all of them."""
        self.assertEqual(unmet([NAMED, PLACED], (), None), (NAMED, PLACED))

    def test_met(self) -> None:
        """A record of its name, or with its address, is what a seed is for."""
        others = [record("beta", "wireguard:x"), record("gamma", "direct:10.0.0.3:7")]
        self.assertEqual(unmet([NAMED, PLACED], others, None), ())
        self.assertEqual(unmet([NAMED, PLACED], [record("delta", "direct:10.0.0.4:7")], None), (NAMED, PLACED))

    def test_ourselves(self) -> None:
        """The same list may be given to every node: nobody has to meet himself."""
        self.assertEqual(unmet([PLACED], (), "direct:10.0.0.3:7"), ())
