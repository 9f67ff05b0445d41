"""Tests for L{tests.sim.scaling_page}, and for the page in C{docs}."""

from dataclasses import replace
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.sim.scale import measure
from tests.sim.scaling_page import MOST_BYTES, ROWS, Figures, page, summary

PAGE = Path(__file__).parents[2] / "docs" / "scaling.md"
FIGURES = Figures(
    nodes=3,
    quiet=60.0,
    meshed=4.25,
    settled=7.5,
    mean=400.4,
    most=19_999.0,
    deaths=0,
    rotated=1.5,
    taken_over=9.0,
    withdrawn=10.5,
    back=3.0,
    healed=1.0,
    united=2.75,
)


class ScalingPageTests(SynchronousTestCase):
    """What was measured, for people."""

    def test_page(self) -> None:
        """A column for each cluster, and how to make it again."""
        text = page([FIGURES, replace(FIGURES, nodes=7)], 5)
        self.assertIn("| | 3 nodes | 7 nodes |\n|---|---|---|\n", text)
        self.assertIn("--nodes 3 7 --page docs/scaling.md", text)
        self.assertEqual(text.count("| 4.25 s | 4.25 s |"), 1)
        self.assertIn("seed 5", text)

    def test_summary(self) -> None:
        """The same, a line each."""
        self.assertEqual(len(summary(FIGURES).splitlines()), 1 + len(ROWS))

    def test_what_is_promised(self) -> None:
        """A node that sends too much, and one that is buried alive, are found out."""
        self.assertTrue(FIGURES.good)
        self.assertFalse(replace(FIGURES, most=MOST_BYTES).good)
        self.assertFalse(replace(FIGURES, deaths=1).good)

    def test_what_is_shown(self) -> None:
        """The page in the documents has a hundred nodes, these rows, and keeps the promise."""
        text = PAGE.read_text()
        self.assertIn("100 nodes |", text)
        for says, _ in ROWS:
            self.assertIn(f"| {says} |", text)

    def test_small_cluster(self) -> None:
        """Three nodes go through all of it in finite time."""
        figures = measure(3, 60.0, 2)
        self.assertTrue(figures.good)
        self.assertLess(max(figures.settled, figures.withdrawn, figures.back, figures.united), 30.0)
