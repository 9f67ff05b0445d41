"""
What publishing tells people.

Owns: the sentences and the status values of this room. In: a plan and how far it has got; out: text and
``DescriptorStatus``. Pure. No address in any of it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rustbalance.moment import Moment
from rustbalance.onion.plan import SeatPlan
from rustbalance.ops.status import DescriptorStatus
from rustbalance.publishing.track import Progress


@dataclass(frozen=True)
class Points:
    """How many introduction points a descriptor lists, and how many that were offered it does not."""

    listed: int
    left_out: int = 0

    def __str__(self) -> str:
        return f"{self.listed} introduction points" + (f" ({self.left_out} left out)" if self.left_out else "")


def descriptors(
    plans: Iterable[SeatPlan],
    progress: Callable[[bytes], Progress | None],
    points: Callable[[bytes], Points],
    now: Moment,
) -> tuple[DescriptorStatus, ...]:
    """Return the status of each descriptor; ``progress`` and ``points`` say it of a blinded key."""
    return tuple(
        descriptor_status(plan, progress(plan.blinded_public), points(plan.blinded_public), now) for plan in plans
    )


def descriptor_status(plan: SeatPlan, progress: Progress | None, points: Points, now: Moment) -> DescriptorStatus:
    """Return the status of the descriptor of ``plan``, which lists these ``points``."""
    at = None if progress is None else progress.published_at
    return DescriptorStatus(
        seat=plan.seat.value,
        period=plan.period.number,
        introduction_points=points.listed,
        left_out=points.left_out,
        revision=None if progress is None else progress.revision,
        directories=len(plan.directories),
        confirmed=0 if progress is None else progress.confirmed,
        published=progress is not None and progress.published,
        age_secs=None if at is None else now.mono - at.mono,
        problem=None if progress is None else shortfall(progress),
    )


def shortfall(progress: Progress) -> str | None:
    """Return why not every directory holds the descriptor, None when there is nothing to say."""
    if progress.confirmed == progress.directories or not progress.reasons:
        return None
    missing = progress.directories - progress.confirmed
    return f"{missing} of {progress.directories} directories did not confirm: {', '.join(progress.reasons)}"


def outcome(progress: Progress, points: Points, reason: str) -> str:
    """Return the line that a publish, made for ``reason``, is remembered by."""
    done = "Published" if progress.published else "Could not publish"
    line = (
        f"{done} the {progress.seat} descriptor ({reason}) with {points}: "
        f"confirmed by {progress.confirmed} of {progress.directories} directories"
    )
    return f"{line} ({', '.join(progress.reasons)})" if progress.reasons else line
