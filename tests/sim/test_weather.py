"""
A sample of simulated clusters.

What must never happen, in any weather, and what must happen in good weather, is what L{tests.sim.oracle} and
L{tests.sim.weather} raise L{Violation} about.
"""

from twisted.trial.unittest import SynchronousTestCase

from tests.sim.oracle import Violation
from tests.sim.weather import live_through

SAMPLE = range(40)


def complaint(seed: int, nodes: int) -> str | None:
    """Return what goes wrong with that seed, None when nothing does."""
    try:
        live_through(seed, nodes)
    except Violation as wrong:
        return f"seed {seed}: {wrong}"
    return None


class WeatherTests(SynchronousTestCase):
    """Real decisions on a simulated clock and network."""

    def test_seven_nodes(self) -> None:
        """Nothing wrong happens in bad weather, and good weather leads to one publisher, a full mesh and all points."""
        self.assertEqual([wrong for seed in SAMPLE if (wrong := complaint(seed, 7))], [])

    def test_three_nodes(self) -> None:
        """The same for a small cluster."""
        self.assertEqual([wrong for seed in SAMPLE if (wrong := complaint(seed, 3))], [])
