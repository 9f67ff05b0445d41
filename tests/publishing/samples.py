"""
Small values that the tests of this room share.

Owns: plans, inner layers and instants made up for tests. In: what a test wants different; out: values.
"""

from dataclasses import replace

from rustbalance.moment import Moment
from rustbalance.onion.inner import InnerLayer
from rustbalance.onion.introduction import IntroductionPoint
from rustbalance.onion.periods import TimePeriod
from rustbalance.onion.plan import PublicationPlan, Seat, SeatPlan

START = Moment(1_000.0, 1_700_000_000.0)
HOURS = 1_700_000_000 // 3600
A, B, C, D, E = (letter * 40 for letter in "ABCDE")


def at(seconds: float) -> Moment:
    """Return the instant so many seconds after the start."""
    return START.later(seconds)


def seat_plan(seat: Seat, period: int = 100, directories: tuple[str, ...] = (A, B, C)) -> SeatPlan:
    """Return a plan whose blinded key is the number of its period, repeated."""
    return SeatPlan(
        seat, TimePeriod(period, 1440), bytes([period]) * 32, bytes([period]) * 32, 1_699_920_000, directories
    )


def plan(period: int = 100, directories: tuple[str, ...] = (A, B, C)) -> PublicationPlan:
    """Return the plan of the periods ``period`` and the next one."""
    return PublicationPlan(
        1_699_999_200,
        1_700_010_000,
        seat_plan(Seat.FIRST, period, directories),
        seat_plan(Seat.SECOND, period + 1, directories),
        50_000,
        0,
    )


def point(number: int, hours: int = HOURS + 54) -> IntroductionPoint:
    """Return an introduction point whose keys and whose relay's identity are ``number``, repeated."""
    key = bytes([number]) * 32
    return IntroductionPoint(b"\x01\x02\x14" + key[:20], key, key, hours, key, key, hours)


def inner(*numbers: int, hours: int = HOURS + 54, **lines: object) -> InnerLayer:
    """Return an inner layer with the points of these numbers."""
    return replace(InnerLayer(tuple(point(number, hours) for number in numbers)), **lines)  # type: ignore[arg-type]
