"""
Whether the target answers.

Owns: the outcome of the latest attempt, and the one line in the log when that changes. In: outcomes; out: ``healthy``.
The target's address never gets here, so it cannot get into the log (D-57).
"""

from twisted.logger import Logger


class TargetHealth:
    """``healthy`` is None until the first attempt."""

    log = Logger()

    def __init__(self) -> None:
        self.healthy: bool | None = None

    def up(self) -> None:
        """Take note of an answer."""
        if self.healthy is False:
            self.log.info("Target recovered")
        self.healthy = True

    def down(self, reason: str) -> None:
        """Take note of an attempt that failed because of the target, or of the way to it."""
        if self.healthy is not False:
            self.log.error("Target is DOWN: {reason}", reason=reason)
        self.healthy = False
