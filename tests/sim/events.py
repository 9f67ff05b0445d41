"""
The simulated clock.

Owns: what happens when. In: calls to make later, in seconds; out: those calls, in the order of their times.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from zlib import crc32

MOST_CALLS = 2_000
"""Calls a second, on average, above which something must be calling itself; more in a large cluster."""


class Restless(AssertionError):
    """Time does not get on."""


class Agenda:
    """Time that passes from one call to the next; ``digest`` is the same for two runs in which the same was noted."""

    def __init__(self) -> None:
        self.now = 0.0
        self.most_calls = MOST_CALLS
        self.digest = 0
        self.story: list[str] | None = None
        self._calls: list[tuple[float, int, Callable[..., None], tuple[object, ...]]] = []
        self._number = count()

    def after(self, delay: float, call: Callable[..., None], *arguments: object) -> None:
        """Call that in so many seconds."""
        heappush(self._calls, (self.now + delay, next(self._number), call, arguments))

    def run_until(self, when: float) -> None:
        """
        Let time pass.

        :raises Restless: so much happens that time does not get on.
        """
        calls, left = self._calls, self.most_calls * (1 + when - self.now)
        while calls and calls[0][0] <= when:
            self.now, _, call, arguments = heappop(calls)
            call(*arguments)
            left -= 1
            if left < 0:
                raise Restless(f"more than {self.most_calls} calls a second, the last to {call.__qualname__}")
        self.now = when

    def note(self, text: str) -> None:
        """Keep for comparison, and where a story is wanted for reading, that this happened now."""
        line = f"{self.now:9.3f} {text}"
        self.digest = crc32(line.encode(), self.digest)
        if self.story is not None:
            self.story.append(line)
