"""
What probes of the target add up to.

Owns: when it counts as down, and when to ask again. In: what each probe came to; out: a judgement and a wait. Pure.

The first failure is followed up quickly, so that it is soon known; while the target is down it is asked more often than
while it is well, so that it is soon back.
"""

from dataclasses import dataclass

#: Seconds to the next probe after a failure, and while it is not known how the target is.
FOLLOW_UP = 5.0
#: Seconds between two probes of a target that is down.
WHILE_DOWN = 15.0


@dataclass(frozen=True)
class ProbeSettings:
    """
    ``path`` is asked for every ``interval`` seconds, as a visitor of ``host`` would.

    An answer within ``timeout`` seconds with a status from ``least`` to ``most`` passes; ``threshold`` failures in a
    row mean that the target is down.
    """

    host: str
    path: str = "/"
    interval: float = 60.0
    timeout: float = 5.0
    threshold: int = 3
    least: int = 200
    most: int = 399


class Probing:
    """The probes since the start. ``down``: the target is; ``failures``: how many have failed in a row."""

    def __init__(self, settings: ProbeSettings) -> None:
        self._settings = settings
        self._answers = 0
        self.failures = 0
        self.known = False

    @property
    def down(self) -> bool:
        """Whether the target is."""
        return self.failures >= self._settings.threshold

    def complaint(self, status: int) -> str | None:
        """Return what is wrong with an answer of that status, None when nothing is."""
        fine = self._settings.least <= status <= self._settings.most
        return None if fine else f"it answers with status {status}"

    def passed(self) -> None:
        """Take note of a probe that was answered as it should be."""
        self.known, self.failures = True, 0

    def failed(self, answers: int) -> None:
        """
        Take note of one that was not; ``answers`` counts the answers that visitors have got so far.

        One since the last probe begins the count anew: as long as visitors are served, the target is not down.
        """
        self.known = True
        self.failures = 1 if answers != self._answers else self.failures + 1
        self._answers = answers

    def wait(self) -> float:
        """Return the seconds to the next probe."""
        if self.down:
            return min(self._settings.interval, WHILE_DOWN)
        return self._settings.interval if self.known and not self.failures else self.follow_up

    @property
    def follow_up(self) -> float:
        """Seconds between two probes at the least."""
        return min(self._settings.interval, FOLLOW_UP)
