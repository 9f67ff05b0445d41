"""
One thing that is broken on purpose.

Owns: the words of its row, and the verdict on how long its repair took. In: when it was broken, and visits since; out:
a row, or a failed test.
"""

from dataclasses import dataclass
from typing import Any

from twisted.internet import reactor as global_reactor  # noqa: TID251  (real processes)
from twisted.trial.unittest import TestCase

from tests.drills.records import Row, note

reactor: Any = global_reactor


@dataclass(frozen=True)
class Drill:
    """The ``number`` orders the page; ``bound``: seconds from the breakage by which it must be mended."""

    number: int
    injected: str
    repair: str
    bound: float

    def mended(self, test: TestCase, began: float, *, visits: int = 0, failed: int = 0) -> None:
        """It is mended now, and was broken at C{began} on the reactor's clock; fail when that took too long."""
        seconds = float(reactor.seconds() - began)
        note(
            Row(
                drill=self.number,
                injected=self.injected,
                repair=self.repair,
                seconds=seconds,
                bound=self.bound,
                visits=visits,
                failed=failed,
            )
        )
        test.assertLessEqual(seconds, self.bound, self.injected)
