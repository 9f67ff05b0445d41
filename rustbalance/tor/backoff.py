"""
How long to wait before the next attempt.

Owns: exponential backoff with jitter. In: how often it went wrong in a row and a random number; out: seconds. Pure.
"""

from collections.abc import Callable

#: From the number of failures in a row (1 or more) to seconds.
Backoff = Callable[[int], float]


def exponential(first: float, longest: float, uniform: Callable[[], float]) -> Backoff:
    """
    Return a backoff that doubles from ``first`` to ``longest`` seconds, each wait cut by up to half at random.

    ``uniform`` returns a number from 0 to 1. The jitter keeps nodes that failed together from retrying together.
    """

    def delay(failures: int) -> float:
        doubled = first * 2.0 ** min(max(failures - 1, 0), 32)
        return min(doubled, longest) * (1 - uniform() / 2)

    return delay
