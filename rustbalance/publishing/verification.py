"""
Whether directories hold what they have confirmed.

Owns: when to look, which directories to ask, and what an answer means. In: the plan, what directories should hold
(``Standing``), what they gave when they were asked, and the time; out: rows for people, and who is to get the
descriptor again. Pure: the verifier asks.

A Tor can be had to ask any directory, but only for the descriptor of its own current period, the one that clients
fetch. Its consensus may be a step before or behind ours, so the answers themselves say which descriptor they are about.
The other descriptor is known by the confirmations of its uploads. A directory that had the one and holds none at all
has been emptied, and has lost the other with it.
"""

from base64 import b64encode
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from rustbalance.moment import Moment
from rustbalance.onion.descriptor import MalformedDescriptor, decode_outer
from rustbalance.onion.plan import PublicationPlan, SeatPlan
from rustbalance.ops.directories import DirectoryRow, Finding
from rustbalance.publishing.track import Standing
from rustbalance.tor.events import DescriptorFetched, DescriptorFetchFailed

NOT_FOUND = "NOT_FOUND"
"""control-spec's reason for a directory that has no descriptor under that key."""
UNUSABLE = "BAD_DESC"
"""control-spec's reason for what Tor, as a client, cannot make sense of."""
OTHER_PERIOD = "the Tor that asked is in another time period"

Answer = DescriptorFetched | DescriptorFetchFailed


@dataclass
class Timetable:
    """
    When to look: ``delay`` seconds after a publish, then every ``interval``; never while nothing was published.

    What a directory loses right after it was asked is to be found within one ``interval``: so the next check is due
    early enough to be over by then, if it takes twice as long as this one: somebody may be asked once more. After a
    check that had something posted again the next one comes as soon as after a publish.
    """

    delay: float
    interval: float
    _due: float | None = None
    _began: float = 0.0
    _after_publish: float = 0.0

    def published(self, now: Moment) -> None:
        """Enough directories have confirmed a descriptor."""
        at = self._after_publish = now.mono + self.delay
        self._due = at if self._due is None else min(self._due, at)

    def begun(self, now: Moment) -> None:
        """A check begins."""
        self._began = now.mono

    def checked(self, now: Moment, *, again: bool) -> None:
        """A check is complete; ``again``: something was posted again."""
        if self._due is not None:
            took = now.mono - self._began
            early = self._began + max(self.interval - 2 * took, self.interval / 2)
            meanwhile = [self._after_publish] if self._after_publish > self._began + self.delay else []
            self._due = min([early, *meanwhile, *([now.mono + self.delay] if again else [])])

    def stop(self) -> None:
        """It is not ours to look after any more."""
        self._due = None

    def due(self) -> float | None:
        """Return the monotonic second of the next check, None when none is planned."""
        return self._due


@dataclass
class Deafness:
    """Checks in a row that no directory has answered, through one Tor: after ``ENOUGH`` of them it is that Tor."""

    _through: str = ""
    _count: int = 0

    ENOUGH = 2

    def checked(self, tor: str, *, answered: bool) -> list[tuple[str, bool]]:
        """Return of which Tors it is so, or over, after a check through ``tor``."""
        news = []
        if self._count >= self.ENOUGH and (answered or tor != self._through):
            news.append((self._through, False))
        same = not answered and tor == self._through
        self._through, self._count = tor, 0 if answered else self._count + 1 if same else 1
        return [*news, (tor, True)] if self._count >= self.ENOUGH else news


@dataclass(frozen=True)
class Hearsay:
    """
    What a node that does not publish knows of the counters that the publisher uses.

    The last one may have been raised for a few directories only, within ``WITHIN`` seconds: those before it in that
    time are good as well.
    """

    heard: tuple[tuple[float, int], ...] = ()

    WITHIN = 120.0

    def learned(self, counter: int, now: Moment) -> "Hearsay":
        """Return what is known with one more."""
        if self.heard and counter <= self.heard[-1][1]:
            return self
        recent = tuple((at, each) for at, each in self.heard if now.mono - at <= self.WITHIN)
        return Hearsay((*recent, (now.mono, counter)))

    def standing(self, directories: Collection[str]) -> Standing | None:
        """Return what ``directories`` should hold by that, None when nothing is known."""
        if not self.heard:
            return None
        return Standing(self.heard[0][1], self.heard[-1][1], frozenset(directories))


@dataclass
class Round:
    """
    One check: all directories are asked, then once more those whose answer was ``bad``, and those that are ``mute``.

    ``standings``: by blinded key, what the directories of each descriptor of ``plan`` should hold at the beginning;
    what is published meanwhile can only be newer. ``publishes``: whether we have the confirmations at hand.
    """

    plan: PublicationPlan
    standings: Mapping[bytes, Standing]
    publishes: bool
    answers: dict[str, Answer] = field(default_factory=dict)
    named: SeatPlan | None = None
    twice: set[str] = field(default_factory=set)

    @property
    def asked(self) -> SeatPlan:
        """The descriptor that the directories are asked for, as far as is known."""
        if self.named is not None:
            return self.named
        return next(seat for seat in self.plan if seat.seat is self.plan.visited)

    def unasked(self) -> tuple[str, ...]:
        """Return the directories that have not been asked yet; more may come when it turns out what was asked for."""
        return tuple(each for each in self.asked.directories if each not in self.answers)

    def bad(self) -> tuple[str, ...]:
        """Return the directories whose answer was not good, and who have been asked only once."""
        return tuple(row.directory for row in self._doubtful() if row.finding is not Finding.SILENT)

    def mute(self) -> tuple[str, ...]:
        """Return the directories that gave no answer, and have been asked only once."""
        return tuple(row.directory for row in self._doubtful() if row.finding is Finding.SILENT)

    def _doubtful(self) -> Iterator[DirectoryRow]:
        once = self.answers.keys() - self.twice
        return (row for row in self._asked_rows() if not row.finding.good and row.directory in once)

    def take(self, answers: Iterable[Answer]) -> None:
        """These are the answers of those who were asked."""
        new = {answer.fingerprint: answer for answer in answers}
        self.twice |= new.keys() & self.answers.keys()
        self.answers.update(new)
        keys = [answer.blinded for answer in new.values()]
        named = max(self.plan, key=lambda seat: keys.count(_key(seat)))
        if _key(named) in keys:
            self.named = named

    def silence(self) -> str | None:
        """Return why no directory has answered, None when one has: if none, it is rather us who do not get through."""
        rows = list(self._asked_rows())
        if any(row.finding is not Finding.SILENT for row in rows):
            return None
        reasons = sorted({row.reason for row in rows if row.reason is not None})
        return f"none of {len(rows)} directories answered ({', '.join(reasons)})"

    def believed(self) -> tuple[DirectoryRow, ...]:
        """Return the rows as they are when nobody is asked."""
        known = self.standings if self.publishes else {}
        return tuple(
            believe(seat, each, known.get(seat.blinded_public), emptied=False)
            for seat in self.plan
            for each in seat.directories
        )

    def rows(self, standings: Mapping[bytes, Standing]) -> tuple[DirectoryRow, ...]:
        """Return a row for each descriptor and directory; ``standings`` as of now, for what was published meanwhile."""
        highest = {blinded: standing.highest for blinded, standing in standings.items()}
        return tuple(
            row
            for seat in self.plan
            for row in (self._asked_rows(highest) if seat is self.asked else self._other_rows(seat))
        )

    def _asked_rows(self, highest: Mapping[bytes, int] | None = None) -> Iterator[DirectoryRow]:
        seat = self.asked
        standing = self.standings.get(seat.blinded_public)
        if standing is not None and highest is not None:
            standing = replace(standing, highest=max(standing.highest, highest.get(seat.blinded_public, 0)))
        return (self._judged(seat, each, standing) for each in seat.directories)

    def _judged(self, seat: SeatPlan, directory: str, standing: Standing | None) -> DirectoryRow:
        """Judge a directory by its answer; at a rotation one may have been asked for the other descriptor."""
        answer = self.answers.get(directory)
        if answer is not None and any(answer.blinded == _key(other) for other in self.plan if other is not seat):
            return believe(seat, directory, standing if self.publishes else None, emptied=False)
        return judge(seat, directory, standing, answer)

    def _other_rows(self, seat: SeatPlan) -> Iterator[DirectoryRow]:
        emptied = {row.directory for row in self._asked_rows() if row.finding is Finding.MISSING}
        standing = self.standings.get(seat.blinded_public) if self.publishes else None
        return (believe(seat, each, standing, emptied=each in emptied) for each in seat.directories)


def judge(seat: SeatPlan, directory: str, standing: Standing | None, answer: Answer | None) -> DirectoryRow:
    """Return what it means that ``directory``, asked for the descriptor of ``seat``, gave this ``answer``."""
    if answer is None:
        return _row(seat, directory, standing, Finding.SILENT)
    if answer.blinded not in ("", _key(seat)):
        return _row(seat, directory, standing, Finding.SILENT, reason=OTHER_PERIOD)
    if isinstance(answer, DescriptorFetched):
        return _given(seat, directory, standing, answer.text)
    if answer.reason == NOT_FOUND:
        return _row(seat, directory, standing, Finding.MISSING if _had(directory, standing) else Finding.UNCONFIRMED)
    finding = Finding.UNREADABLE if answer.reason == UNUSABLE else Finding.SILENT
    return _row(seat, directory, standing, finding, reason=answer.reason)


def _given(seat: SeatPlan, directory: str, standing: Standing | None, text: bytes) -> DirectoryRow:
    revision = _revision(text, seat)
    if revision is None:
        return _row(seat, directory, standing, Finding.UNREADABLE)
    finding = Finding.VERIFIED
    if standing is not None and revision > standing.highest:
        finding = Finding.NEWER
    elif standing is not None and revision < standing.floor:
        finding = Finding.STALE if _had(directory, standing) else Finding.UNCONFIRMED
    return _row(seat, directory, standing, finding, revision)


def believe(seat: SeatPlan, directory: str, standing: Standing | None, *, emptied: bool) -> DirectoryRow:
    """
    Return what is known of a ``directory`` that was not asked for the descriptor of ``seat``.

    ``emptied``: it has lost another descriptor that it had confirmed. No ``standing``: we do not publish.
    """
    if standing is None:
        return _row(seat, directory, None, Finding.UNASKED)
    if not _had(directory, standing):
        return _row(seat, directory, standing, Finding.UNCONFIRMED)
    return _row(seat, directory, standing, Finding.MISSING if emptied else Finding.CONFIRMED)


def _had(directory: str, standing: Standing | None) -> bool:
    return standing is not None and directory in standing.confirmed


def _row(
    seat: SeatPlan,
    directory: str,
    standing: Standing | None,
    finding: Finding,
    revision: int | None = None,
    reason: str | None = None,
) -> DirectoryRow:
    if reason is None and standing is not None and finding is Finding.UNCONFIRMED:
        reason = standing.reasons.get(directory)
    return DirectoryRow(
        seat=seat.seat.value,
        directory=directory,
        finding=finding,
        revision=revision,
        expected=None if standing is None else standing.floor,
        reason=reason,
    )


def lost(rows: Iterable[DirectoryRow], seat: SeatPlan) -> tuple[str, ...]:
    """Return the directories that are to get the descriptor of ``seat`` again."""
    return tuple(row.directory for row in rows if row.seat == seat.seat and row.finding.lost)


def _revision(text: bytes, seat: SeatPlan) -> int | None:
    try:
        outer = decode_outer(text)
    except MalformedDescriptor:
        return None
    return outer.revision if outer.blinded_public == seat.blinded_public else None


def _key(seat: SeatPlan) -> str:
    """Return the blinded key as Tor's events write it."""
    return b64encode(seat.blinded_public).decode().rstrip("=")
