"""
What drills have measured, and the page made of it.

Owns: the form of a row and of ``docs/reliability.md``. In: rows that drills have noted, one JSON object a line; out:
the page. Each line of the page stands for every time that the drill was repeated.
"""

import os
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from statistics import median

import msgspec

VARIABLE = "RUSTBALANCE_DRILLS"
"""Names the file that the drills of one run append their rows to."""

HEAD = """\
# What breaks, and how a node mends it

Made by `make drills`, which breaks one thing at a time on a private Tor network and waits for the repair; every line
was measured in one run. Seconds count from the moment of the breakage; a drill fails beyond its bound. Nobody touches
the node meanwhile: what it does about it, it does by itself.

"""
COLUMNS = ("what breaks", "what the node does", "times", "median", "longest", "bound", "visits failed")


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """
    One repetition of a drill.

    ``injected``: what was broken; ``repair``: what mended it. ``seconds``: until it was mended; ``bound``: the most
    that is allowed. ``visits``, ``failed``: of visitors meanwhile.
    """

    drill: int
    injected: str
    repair: str
    seconds: float
    bound: float
    visits: int = 0
    failed: int = 0


def note(row: Row) -> None:
    """Print a row, and append it to the file of this run if there is one."""
    print(f"\n{row.injected}: {row.repair} after {row.seconds:.1f} s (at most {row.bound:g} s)")
    if VARIABLE in os.environ:
        with Path(os.environ[VARIABLE]).open("ab") as file:
            file.write(msgspec.json.encode(row) + b"\n")


def read(path: Path) -> list[Row]:
    """Return all rows that were noted."""
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [msgspec.json.decode(line, type=Row) for line in lines]


def page(rows: Iterable[Row], conditions: str) -> str:
    """Return the page; ``conditions`` says in a sentence where it was measured."""
    ordered = sorted(rows, key=_what)
    table = [COLUMNS, tuple("---" for _ in COLUMNS)]
    table += [_line(list(same)) for _, same in groupby(ordered, key=_what)]
    return HEAD + "\n".join("| " + " | ".join(cells) + " |" for cells in table) + f"\n\n{conditions}\n"


def _what(row: Row) -> tuple[int, str, str]:
    return row.drill, row.injected, row.repair


def _line(rows: list[Row]) -> tuple[str, ...]:
    seconds = [row.seconds for row in rows]
    visits, failed = sum(row.visits for row in rows), sum(row.failed for row in rows)
    return (
        rows[0].injected,
        rows[0].repair,
        str(len(rows)),
        f"{median(seconds):.1f} s",
        f"{max(seconds):.1f} s",
        f"{max(row.bound for row in rows):g} s",
        f"{failed} of {visits}" if visits else "",
    )
