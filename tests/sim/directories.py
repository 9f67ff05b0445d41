"""
The simulated Tor network: directories that hold descriptors, Tors that have introduction points.

Owns: the rule of directories (a higher revision or none), the plan of both descriptors, made-up introduction points.
In: uploads; out: what is held.
"""

import hashlib
from dataclasses import dataclass, field
from functools import cache

from rustbalance.cluster.points import encode_points
from rustbalance.onion.inner import InnerLayer
from rustbalance.onion.introduction import IntroductionPoint
from rustbalance.onion.periods import TimePeriod
from rustbalance.onion.plan import PublicationPlan, Seat, SeatPlan

EPOCH = 1_800_000_000
"""The Unix time at which a simulation begins."""
STEP = 40_000
"""About what Tor's scheme adds to a revision counter per second."""
_RUN_START = EPOCH - 43_200
_SHARED = 4


def _seat(seat: Seat, number: int, first: int) -> SeatPlan:
    directories = tuple(f"D{place}" for place in range(first, first + 8))
    blinded = bytes([number]) * 32
    return SeatPlan(seat, TimePeriod(number, 1440), blinded, bytes(32), _RUN_START, directories)


PLAN = PublicationPlan(
    EPOCH, EPOCH + 30 * 86_400, _seat(Seat.FIRST, 1, 0), _seat(Seat.SECOND, 2, 8 - _SHARED), 50_000, 0
)
"""Half of the directories are responsible for both descriptors."""


def scheme(wall: float) -> int:
    """Return the counter for that Unix time, like Tor's scheme: the same for all nodes, and it only grows."""
    return max(1, int(wall) - _RUN_START) * STEP


@dataclass(frozen=True)
class Text:
    """A descriptor, as far as it matters: whose, and the auth keys of its points."""

    blinded: bytes
    revision: int
    publisher: str
    keys: frozenset[bytes]


@dataclass
class Directories:
    """All directories; each holds at most one text for each blinded key."""

    held: dict[tuple[str, bytes], Text] = field(default_factory=dict)

    def store(self, directory: str, text: Text) -> bool:
        """Upload; return whether it was taken."""
        before = self.held.get((directory, text.blinded))
        if before is not None and text.revision <= before.revision:
            return False
        self.held[directory, text.blinded] = text
        return True

    def texts(self) -> list[Text | None]:
        """Return what every responsible directory holds."""
        return [self.held.get((name, seat.blinded_public)) for seat in PLAN for name in seat.directories]


@cache
def point(auth_key: bytes) -> IntroductionPoint:
    """Return an introduction point with that auth key."""
    specifiers = bytes([1, 2, 20]) + auth_key[:20]
    return IntroductionPoint(specifiers, auth_key, auth_key, 10**6, auth_key, auth_key, 10**6)


def made_up_points(owner: str, generation: int, count: int = 3) -> tuple[bytes, tuple[bytes, ...]]:
    """Return ``count`` introduction points that nobody else has, for the wire, and their auth keys."""
    keys = tuple(hashlib.sha256(f"{owner} {generation} {place}".encode()).digest() for place in range(count))
    return encode_points(InnerLayer(tuple(map(point, keys)))), keys
