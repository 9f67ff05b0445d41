"""
One descriptor at all of its directories.

Owns: which of them hold it, and whether that makes it published. In: what ``uploads`` saw happen; out: ``Progress``.
Pure.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from rustbalance.moment import Moment
from rustbalance.onion.plan import Seat
from rustbalance.publishing.delivery import Copy, State

RETRIES = 3
"""So many retries of a directory are ordinary; when all that did not confirm have used them up, it is an error."""


@dataclass(frozen=True)
class Standing:
    """
    What directories should hold of one descriptor.

    ``floor``: the lowest revision that is as good as the latest; ``highest``: the highest of ours. ``confirmed``: those
    that have said that they took it. ``reasons``: why the others have not, as far as that is known.
    """

    floor: int
    highest: int
    confirmed: frozenset[str]
    reasons: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Progress:
    """
    How far one descriptor has got.

    ``published``: enough directories confirmed it; while a new text is under way, whether the one before it was.
    ``published_at``: when enough had last confirmed a text. ``reasons``: what went wrong, each once, sorted.
    ``hopeless``: too few confirmed it, and all others have been tried again several times.
    """

    seat: Seat
    blinded: bytes
    revision: int
    directories: int
    confirmed: int
    published: bool
    published_at: Moment | None
    reasons: tuple[str, ...]
    hopeless: bool = False


@dataclass
class Track:
    """
    One descriptor as last published.

    ``floor`` is the revision of this publish, ``revision`` the highest since: those texts differ in nothing else.
    ``copies`` also has directories that are no longer responsible, in case they come back. ``refusals``: who holds a
    higher revision than the first text of this publish.
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
    refusals: set[str] = field(default_factory=set)
    _reached: bool = False
    _news: bool = False
    _hopeless: bool = False
    _reported: tuple[bool, bool] | None = None

    @classmethod
    def begin(
        cls, seat: Seat, blinded: bytes, revision: int, directories: tuple[str, ...], before: "Track | None"
    ) -> "Track":
        """
        Return the track of a new publish; ``before`` is the one of the text that it replaces.

        How often a directory has failed is remembered: it is asked at once, but not as if nothing had been.
        """
        copies = {directory: Copy() for directory in directories}
        track = cls(seat, blinded, revision, directories, copies, revision)
        if before is not None:
            track.published, track.published_at = before.published, before.published_at
            for directory, copy in copies.items():
                copy.failures = before.failures(directory)
        return track

    def failures(self, directory: str) -> int:
        """Return how often in a row this directory did not take a text."""
        copy = self.copies.get(directory)
        return 0 if copy is None else copy.failures

    def responsible(self) -> Iterator[tuple[str, Copy]]:
        """Yield every directory that should hold this descriptor, with its copy."""
        return ((directory, self.copies[directory]) for directory in self.directories)

    def redirect(self, directories: tuple[str, ...]) -> None:
        """Other directories are responsible now; the new ones have no copy yet."""
        self.directories = directories
        for directory in directories:
            self.copies.setdefault(directory, Copy())

    def unheard(self, directories: Collection[str]) -> bool:
        """
        Tell whether another Tor should be asked to post to these.

        That is when no directory at all has confirmed it and these were silent when they had it last; every other time
        only, as it may be them.
        """
        copies = [self.copies[directory] for directory in directories]
        silent = all(copy.state is State.EXPIRED and copy.failures % 2 == 1 for copy in copies)
        return silent and not self.count(State.CONFIRMED)

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

    def lose(self, directories: Collection[str]) -> None:
        """These have confirmed it and do not hold it: they are to get it again."""
        for directory, copy in self.responsible():
            if directory in directories and copy.state is State.CONFIRMED:
                copy.renew()

    def standing(self) -> Standing:
        """Return what directories should hold."""
        copies = dict(self.responsible())
        return Standing(
            self.floor,
            self.revision,
            frozenset(directory for directory, copy in copies.items() if copy.state is State.CONFIRMED),
            {directory: copy.reason for directory, copy in copies.items() if copy.reason is not None},
        )

    def count(self, *states: State) -> int:
        """Return how many copies are in one of ``states``."""
        return sum(copy.state in states for _, copy in self.responsible())

    def judge(self, least: int, now: Moment) -> bool:
        """
        Decide whether this publish has succeeded, ``least`` being the confirmations that it takes.

        Return True when that is news: when nothing is under way any more, once, and again if it changes afterwards.
        When so many refuse the counter that the text as it was cannot succeed, that is a failure, though a higher
        counter may be under way already.
        """
        least = min(least, len(self.directories))
        reached = self.count(State.CONFIRMED) >= least
        if reached and not self._reached:
            self._reached = self._news = self.published = True
            self.published_at = now
        self._hopeless = not reached and self._used_up()
        verdict = (reached, self._hopeless)
        outbid = not reached and self._reported is None and self._refused() > len(self.directories) - least
        if not (outbid or self._settled()) or verdict == self._reported:
            return False
        self._reported, self.published = verdict, reached
        return True

    def just_reached(self) -> bool:
        """Tell, once for each publish, that enough directories have confirmed it; others may still be under way."""
        news, self._news = self._news, False
        return news

    def _refused(self) -> int:
        return sum(directory in self.refusals for directory in self.directories)

    def _used_up(self) -> bool:
        missing = [copy for _, copy in self.responsible() if copy.state is not State.CONFIRMED]
        return all(copy.wanted and copy.failures > RETRIES for copy in missing)

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
            self._hopeless,
        )

    def _settled(self) -> bool:
        return not self.raising and not self.count(State.WAITING, State.POSTED)
