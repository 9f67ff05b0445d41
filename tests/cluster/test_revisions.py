"""Tests for L{rustbalance.cluster.revisions}."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.revisions import KEPT, LARGEST, Revisions


class RevisionsTests(SynchronousTestCase):
    """Counters that only grow."""

    def test_only_what_is_higher(self) -> None:
        """What is news is returned, and changes what there is to keep."""
        revisions = Revisions({"aa": 5})
        self.assertEqual(revisions.learn({"aa": 6, "bb": 1}), {"aa": 6, "bb": 1})
        generation = revisions.generation
        self.assertEqual(revisions.learn({"aa": 6, "bb": 0}), {})
        self.assertEqual((revisions.known(), revisions.generation), ({"bb": 1, "aa": 6}, generation))

    def test_absurd(self) -> None:
        """A counter far above Tor's scheme would leave nothing to go beyond: it is not believed."""
        revisions = Revisions({})
        self.assertEqual(revisions.learn({"aa": LARGEST + 1, "bb": LARGEST}), {"bb": LARGEST})

    @given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 50)), max_size=40))
    def test_never_back(self, news: list[tuple[str, int]]) -> None:
        """In whatever order they are heard, the highest of each key stays."""
        revisions, highest = Revisions({}), dict[str, int]()
        for key, counter in news:
            revisions.learn({key: counter})
            highest[key] = max(counter, highest.get(key, 0))
        self.assertEqual(revisions.known(), highest)

    def test_bounded(self) -> None:
        """Only so many keys are remembered, those that rose last."""
        revisions = Revisions({})
        for number in range(100):
            revisions.learn({str(number): 1})
        self.assertEqual(list(revisions.known()), [str(number) for number in range(100 - KEPT, 100)])
