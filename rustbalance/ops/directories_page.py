"""
What directories hold, for a person.

Owns: the table of ``rustbalance verify``. In: a ``DirectoryReport``; out: text on a terminal.
"""

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from rustbalance.ops.directories import DirectoryReport, DirectoryRow, Finding
from rustbalance.ops.status_page import WIDTH

MEANING = {
    Finding.VERIFIED: "the latest",
    Finding.CONFIRMED: "the latest, as it confirmed",
    Finding.NEWER: "newer, and not ours",
    Finding.STALE: "OLDER",
    Finding.MISSING: "LOST",
    Finding.UNCONFIRMED: "not the latest yet",
    Finding.UNREADABLE: "unreadable",
    Finding.SILENT: "not asked",
    Finding.UNASKED: "known to the publisher only",
}


def show(report: DirectoryReport) -> None:
    """Print it."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    console.print(page(report))


def page(report: DirectoryReport) -> RenderableType:
    """Return the table, with a word on what could not be done."""
    problem = [Text(f"The directories could not be checked: {report.problem}", style="red")] if report.problem else []
    return Group(*problem, *([_table(report)] if report.rows else []))


def _table(report: DirectoryReport) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    table.add_column("")
    table.add_column("Directory", no_wrap=True)
    table.add_column("revision", justify="right")
    table.add_column("descriptor")
    for row in report.rows:
        revision = "-" if row.revision is None else str(row.revision)
        table.add_row(Text(row.seat), Text(row.directory), Text(revision), _finding(row))
    return table


def _finding(row: DirectoryRow) -> Text:
    said = MEANING[row.finding]
    if row.finding is Finding.STALE:
        said += f" than {row.expected}"
    if row.reason is not None:
        said += f" ({row.reason})"
    if row.posted_again:
        said += "; posted again"
    return Text(said, style="green" if row.finding.good else "red" if row.finding.lost else "yellow")
