"""Tests for L{rustbalance.ops.directories_page}."""

import io

from rich.console import Console
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.ops.directories import DirectoryReport, DirectoryRow, Finding
from rustbalance.ops.directories_page import MEANING, page


def shown(*rows: DirectoryRow, problem: str | None = None) -> list[str]:
    """Return the lines that a pipe gets."""
    out = io.StringIO()
    report = DirectoryReport(number=1, running=False, publishes=True, problem=problem, rows=rows)
    Console(file=out, width=100).print(page(report))
    return out.getvalue().splitlines()


class PageTests(SynchronousTestCase):
    """One line for each directory and descriptor."""

    def test_rows(self) -> None:
        """Descriptor, directory, what it gave, and what that means, in a line that fits."""
        good = DirectoryRow(seat="first", directory="A" * 40, finding=Finding.VERIFIED, revision=2**34, expected=7)
        bad = DirectoryRow(
            seat="second", directory="B" * 40, finding=Finding.STALE, revision=6, expected=7, posted_again=True
        )
        lines = shown(good, bad)
        self.assertEqual(len(lines), 4)
        self.assertEqual(lines[2].split(), ["first", "A" * 40, str(2**34), "the", "latest"])
        self.assertIn("OLDER than 7; posted again", lines[3])

    def test_reason(self) -> None:
        """Why something could not be done stands beside it."""
        row = DirectoryRow(seat="first", directory="A" * 40, finding=Finding.SILENT, reason="no answer [x]")
        self.assertIn("not asked (no answer [x])", shown(row)[-1])

    def test_problem(self) -> None:
        """When nothing could be asked that is what stands there, and no empty table."""
        self.assertEqual(shown(problem="no Tor"), ["The directories could not be checked: no Tor"])

    def test_every_finding_has_a_meaning(self) -> None:
        """Nothing can be found that cannot be shown."""
        self.assertEqual(set(MEANING), set(Finding))
