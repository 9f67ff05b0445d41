"""The page that is made of what drills have measured."""

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.drills.records import VARIABLE, Row, note, page, read


def row(seconds: float, drill: int = 1, *, visits: int = 0, failed: int = 0) -> Row:
    """Return a row of the drill with that number."""
    return Row(
        drill=drill,
        injected=f"breakage {drill}",
        repair="restarted",
        seconds=seconds,
        bound=12.0,
        visits=visits,
        failed=failed,
    )


class PageTests(SynchronousTestCase):
    """Rows into lines."""

    def test_repetitions_are_one_line(self) -> None:
        """The same drill repeated gives one line with how often, the median and the longest."""
        lines = [
            line for line in page([row(3.0), row(1.0), row(2.0)], "Here.").splitlines() if line.startswith("| breakage")
        ]
        self.assertEqual(lines, ["| breakage 1 | restarted | 3 | 2.0 s | 3.0 s | 12 s |  |"])

    def test_order_is_by_number(self) -> None:
        """Drills stand in the order of their numbers, in whatever order they ran."""
        text = page([row(1.0, 10), row(1.0, 2)], "Here.")
        self.assertLess(text.index("breakage 2"), text.index("breakage 10"))

    def test_visits_are_added_up(self) -> None:
        """Visitors of all repetitions are counted together."""
        text = page([row(1.0, visits=10, failed=1), row(1.0, visits=10)], "Here.")
        self.assertIn("1 of 20", text)

    def test_conditions_are_stated(self) -> None:
        """Where it was measured stands at the end."""
        self.assertTrue(page([row(1.0)], "On two cores.").endswith("\n\nOn two cores.\n"))


class NoteTests(SynchronousTestCase):
    """Rows on the disk."""

    def test_what_is_noted_is_read_back(self) -> None:
        """Rows of one run, in their order."""
        path = Path(self.mktemp())
        self.patch(os, "environ", {**os.environ, VARIABLE: str(path)})
        note(row(1.0))
        note(row(2.0, visits=3))
        self.assertEqual(read(path), [row(1.0), row(2.0, visits=3)])

    def test_nothing_noted(self) -> None:
        """A run without any drill has no rows."""
        self.assertEqual(read(Path(self.mktemp())), [])
