"""What all conversations have in common."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.proxy.deadlines import Deadlines
from rustbalance.proxy.health import TargetHealth
from rustbalance.proxy.pool import Pool
from rustbalance.proxy.settings import OnionTarget, ProxySettings
from rustbalance.proxy.shared import Shared, Tally
from rustbalance.proxy.target import TargetConnection


def shared() -> Shared:
    """Return what a front would make, with a pool that dials nobody."""
    settings, deadlines = ProxySettings(0, OnionTarget("a.onion")), Deadlines(1.0)
    pool = Pool(lambda: TargetConnection().ready, deadlines, 2, 2, 5.0)
    return Shared(settings, settings.place, deadlines, pool, TargetHealth())


class SharedTests(SynchronousTestCase):
    """Each front has its own."""

    def test_figures(self) -> None:
        """Figures begin at nothing and belong to one front."""
        one, other = shared(), shared()
        one.tally.requests += 1
        self.assertEqual(other.tally, Tally(0, 0, 0, 0))
        self.assertFalse(one.stopping)
