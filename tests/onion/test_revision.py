"""Tests for L{rustbalance.onion.revision}."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.onion.keys import MasterKey
from rustbalance.onion.periods import TimePeriod
from rustbalance.onion.plan import Seat, SeatPlan
from rustbalance.onion.revision import LARGEST_INPUT, RevisionOutOfRange, revision_at, revision_counter
from rustbalance.secrets import Secret
from tests.vectors import load

KEY = bytes.fromhex(load("ope")["key"])
SECONDS = st.integers(1, LARGEST_INPUT)


class RevisionCounterTests(SynchronousTestCase):
    """Counters are those that Tor itself would choose."""

    def test_vectors(self) -> None:
        """All of C tor's and arti's pairs."""
        for vector in load("ope")["vectors"]:
            self.assertEqual(revision_counter(KEY, vector["n"]), vector["counter"])

    def test_out_of_range(self) -> None:
        """Inputs for which the scheme has no counter are refused."""
        for seconds in load("ope")["invalid_inputs"]:
            self.assertRaises(RevisionOutOfRange, revision_counter, KEY, seconds)

    def test_live_counters(self) -> None:
        """From an identity key on we arrive at what a running tor 0.4.9.11 sent (it hashes the NUL after the label)."""
        identity = MasterKey.from_seed(Secret.copy_of(bytes([1]) * 32))
        self.addCleanup(identity.wipe)
        key = identity.blind(TimePeriod(3740415, 8)).revision_key()
        self.assertEqual(revision_counter(key, 745), 24583607)
        self.assertEqual(revision_counter(key, 808), 26584420)

    @settings(deadline=None, max_examples=30)
    @given(SECONDS, SECONDS)
    def test_keeps_order(self, one: int, other: int) -> None:
        """A later second always has the higher counter, by 1 to 65,536 for each second."""
        early, late = sorted((one, other))
        step = revision_counter(KEY, late) - revision_counter(KEY, early)
        self.assertTrue(late - early <= step <= (late - early) * 65_536)


class RevisionAtTests(SynchronousTestCase):
    """From the wall clock to the counter of one descriptor."""

    plan = SeatPlan(Seat.SECOND, TimePeriod(1, 1440), bytes(32), bytes(32), 1_000_000, ())

    def test_first_second(self) -> None:
        """The second in which the run starts counts as 1, and a fraction of a second does not count."""
        self.assertEqual(revision_at(KEY, self.plan, 1_000_000.9), revision_counter(KEY, 1))
        self.assertEqual(revision_at(KEY, self.plan, 1_000_001.0), revision_counter(KEY, 2))

    def test_clock_outside_the_scheme(self) -> None:
        """A clock before the run or long after it gives the nearest counter that there is."""
        self.assertEqual(revision_at(KEY, self.plan, 5.0), revision_counter(KEY, 1))
        self.assertEqual(revision_at(KEY, self.plan, 2_000_000.0), revision_counter(KEY, LARGEST_INPUT))
