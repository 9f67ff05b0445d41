"""Ways over every link."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.lab.routes import LONGEST, routes


class RouteTests(SynchronousTestCase):
    """What every set of routes has in common."""

    @settings(deadline=None)
    @given(st.integers(0, 20), st.integers(2, LONGEST))
    def test_every_link_once(self, count: int, longest: int) -> None:
        """Each relay follows each other one exactly once, and no circuit is longer than Tor builds or comes back."""
        relays = [f"r{number}" for number in range(count)]
        found = routes(relays, longest)
        links = [link for route in found for link in pairwise(route)]
        self.assertEqual(len(links), count * (count - 1))
        self.assertEqual(len(set(links)), len(links))
        for route in found:
            self.assertEqual(len(set(route)), len(route))
            self.assertTrue(2 <= len(route) <= longest)

    def test_few_circuits(self) -> None:
        """The 66 links of the lab's twelve relays take two dozen circuits or so, not one for each direction of each."""
        self.assertLessEqual(len(routes([f"r{number}" for number in range(12)])), 30)
