"""
One descriptor at one directory.

Owns: how far a copy has got, why it has not, and which upload a directory still owes an answer for.
In: what ``uploads`` saw happen; out: values that it decides by. Pure.
"""

from dataclasses import dataclass
from enum import StrEnum

NEVER = float("inf")

REJECTED = "UPLOAD_REJECTED"
"""control-spec's reason for a descriptor that the directory did not take: it holds that revision or a higher one."""

NO_ANSWER = "no answer"
"""Our own reason: the deadline has passed without an event."""


class State(StrEnum):
    """Where a copy stands; ``EXPIRED``: no answer in time, so it may have arrived all the same."""

    WAITING = "waiting"
    POSTED = "posted"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    EXPIRED = "expired"


@dataclass
class Copy:
    """
    The descriptor at one directory.

    ``not_before``: monotonic second before which it is not tried again. ``reason``: why it last went wrong, in the
    words of control-spec's REASON where there are any; None once it is confirmed.
    """

    state: State = State.WAITING
    reason: str | None = None
    failures: int = 0
    not_before: float = 0.0

    def renew(self) -> None:
        """It can be posted at once."""
        self.state, self.not_before = State.WAITING, 0.0

    def post(self) -> None:
        """It is on its way."""
        self.state = State.POSTED

    def confirm(self) -> None:
        """The directory holds it."""
        self.state, self.reason, self.failures = State.CONFIRMED, None, 0

    def fail(self, reason: str, not_before: float) -> None:
        """The directory refused it, never answered, or was never asked."""
        self.state = State.EXPIRED if reason == NO_ANSWER else State.FAILED
        self.reason, self.not_before = reason, not_before
        self.failures += 1

    @property
    def wanted(self) -> bool:
        """Whether it has to be posted, now or later."""
        return self.state not in (State.POSTED, State.CONFIRMED)

    @property
    def refused(self) -> bool:
        """Whether it waits for a higher counter."""
        return self.state is State.FAILED and self.reason == REJECTED


@dataclass
class Lane:
    """
    The upload that a directory has not answered yet; ``HS_DESC UPLOADED`` can only mean this one.

    ``floor`` tells the publish it belongs to (see ``track.Track``), ``revision`` the text. Until ``deadline`` nothing
    else goes to that directory. From then, or when the control connection broke (``expired``), to ``quiet_until`` the
    answer may still come, so only another text of the same publish may go there: whichever is confirmed, the directory
    has what it should have. An upload that has been repeated is taken for dead. Both times are monotonic seconds.
    """

    blinded: bytes
    floor: int
    revision: int
    deadline: float
    quiet_until: float
    expired: bool = False

    def free_at(self, blinded: bytes, floor: int) -> float:
        """Return the monotonic second from which a text of that publish may be posted to the directory."""
        if not self.expired:
            return self.deadline
        return 0.0 if (blinded, floor) == (self.blinded, self.floor) else self.quiet_until
