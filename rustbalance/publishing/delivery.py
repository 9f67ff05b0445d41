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

BROKEN_OFF = "broken off"
"""Our own reason: Tor has closed the stream of the upload without an answer of the directory."""

HELD = "an earlier upload is not answered yet"
"""Our own reason: the directory has not been sent this text, since it owes the answer to another one."""

SILENT = (NO_ANSWER, BROKEN_OFF)


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

    def repeat(self) -> None:
        """It was broken off: it can be posted at once, and is not as if nothing had been."""
        self.renew()
        self.reason = BROKEN_OFF
        self.failures += 1

    def fail(self, reason: str, not_before: float) -> None:
        """The directory refused it, never answered, or was never asked."""
        self.state = State.EXPIRED if reason in SILENT else State.FAILED
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
