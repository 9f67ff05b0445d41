"""
One descriptor at all of its directories.

Owns: which of them hold it, and whether that makes it published. In: what ``uploads`` saw happen; out: ``Progress``.
Pure.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from rustbalance.moment import Moment
from rustbalance.onion.plan import Seat
from rustbalance.publishing.delivery import Copy, State


@dataclass(frozen=True)
class Progress:
    """
    How far one descriptor has got.

    ``published``: enough directories confirmed it; while a new text is under way, whether the one before it was.
    ``published_at``: when enough had last confirmed a text. ``reasons``: what went wrong, each once, sorted.
    """

    seat: Seat
    blinded: bytes
    revision: int
    directories: int
    confirmed: int
    published: bool
    published_at: Moment | None
    reasons: tuple[str, ...]


@dataclass
class Track:
    """
    One descriptor as last published.

    ``floor`` is the revision of this publish, ``revision`` the highest since: those texts differ in nothing else.
    ``copies`` also has directories that are no longer responsible, in case they come back.
    """

    seat: Seat
    blinded: bytes
    floor: int
    directories: tuple[str, ...]
    copies: dict[str, Copy]
    revision: int
    raises: int = 0
    raising: bool = False
    published: bool = False
    published_at: Moment | None = None
    _reached: bool = False
    _reported: bool | None = None

    @classmethod
    def begin(
        cls, seat: Seat, blinded: bytes, revision: int, directories: tuple[str, ...], before: "Track | None"
    ) -> "Track":
        """Return the track of a new publish; ``before`` is the one of the text that it replaces."""
        copies = {directory: Copy() for directory in directories}
        track = cls(seat, blinded, revision, directories, copies, revision)
        if before is not None:
            track.published, track.published_at = before.published, before.published_at
        return track

    def responsible(self) -> Iterator[tuple[str, Copy]]:
        """Yield every directory that should hold this descriptor, with its copy."""
        return ((directory, self.copies[directory]) for directory in self.directories)

    def redirect(self, directories: tuple[str, ...]) -> None:
        """Other directories are responsible now; the new ones have no copy yet."""
        self.directories = directories
        for directory in directories:
            self.copies.setdefault(directory, Copy())

    def interrupt(self) -> None:
        """What was under way, a higher counter included, will not come about."""
        self.raising = False
        for copy in self.copies.values():
            if copy.refused or copy.state is State.POSTED:
                copy.renew()

    def renew_refused(self) -> None:
        """Those who refused the last counter are to get the new one."""
        for copy in self.copies.values():
            if copy.refused:
                copy.renew()

    def count(self, *states: State) -> int:
        """Return how many copies are in one of ``states``."""
        return sum(copy.state in states for _, copy in self.responsible())

    def judge(self, least: int, now: Moment) -> bool:
        """
        Decide whether this publish has succeeded, ``least`` being the confirmations that it takes.

        Return True when that is news: when nothing is under way any more, once, and again if it changes afterwards.
        """
        reached = self.count(State.CONFIRMED) >= min(least, len(self.directories))
        if reached and not self._reached:
            self._reached, self.published, self.published_at = True, True, now
        if not self._settled() or reached == self._reported:
            return False
        self._reported = self.published = reached
        return True

    def progress(self) -> Progress:
        """Return how far it has got."""
        reasons = {copy.reason for _, copy in self.responsible() if copy.reason is not None}
        return Progress(
            self.seat,
            self.blinded,
            self.revision,
            len(self.directories),
            self.count(State.CONFIRMED),
            self.published,
            self.published_at,
            tuple(sorted(reasons)),
        )

    def _settled(self) -> bool:
        return not self.raising and not self.count(State.WAITING, State.POSTED)
