"""
Whether the target answers.

Owns: the judgement about it, and the one line in the log when that changes. In: what visitors' requests came to, and
the judgement of whoever probes the target; out: ``healthy``, and whether visitors are turned away for now. The target's
address never gets here, so it cannot get into the log (D-57).

Without probes the latest request of a visitor decides. With probes only they can say that it is down, since a visitor
may well ask for what no target can answer; but whoever gets an answer proves that it is up.
"""

from collections.abc import Callable

from twisted.logger import Logger


def nothing() -> None:
    """Do nothing."""


class TargetHealth:
    """
    ``healthy`` is None as long as it is not known.

    ``probed``: somebody probes; he is ``doubted`` when a visitor's request has failed. ``changed`` is called after
    every change of ``healthy``. ``answers`` counts what speaks for the target.
    """

    log = Logger()

    def __init__(self) -> None:
        self.healthy: bool | None = None
        self.probed = False
        self.answers = 0
        self.doubted: Callable[[], None] = nothing
        self.changed: Callable[[], None] = nothing

    @property
    def turns_away(self) -> bool:
        """Whether a visitor is better told at once that there is nothing than after a long wait."""
        return self.probed and self.healthy is False

    def up(self) -> None:
        """Take note of an answer."""
        self.answers += 1
        if self.healthy is True:
            return
        if self.healthy is False:
            self.log.info("Target recovered")
        self.healthy = True
        self.changed()

    def failed(self, reason: str) -> None:
        """Take note of a visitor's request that failed because of the target, or of the way to it."""
        if self.probed:
            self.doubted()
        else:
            self.down(reason)

    def down(self, reason: str) -> None:
        """It does not answer."""
        if self.healthy is False:
            return
        self.log.error("Target is DOWN: {reason}", reason=reason)
        self.healthy = False
        self.changed()
