"""
When to publish.

Owns: what makes a publish due, and when to leave the directories alone. In: the points that are to be published, the
plan that the consensus asks for, events and the time; out: commands (``Read``, ``Publish``, ``Redirect``) and the next
second at which to look again. Pure: the publisher performs the commands.

The first change of a quiet time is published at once; changes in a row are gathered, in gaps that grow as long as they
go on (introduction points under attack rotate all the time).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from rustbalance.moment import Moment
from rustbalance.onion.plan import PublicationPlan
from rustbalance.publishing.offers import Outline
from rustbalance.publishing.settings import PublishSettings
from rustbalance.publishing.urgency import CERTIFICATE_MARGIN, EXPIRING, OLDEST, OVERDUE, Shortage, Urgency
from rustbalance.tor.backoff import Backoff


class Answer(StrEnum):
    """
    Whether what we know is good enough to replace what the directories hold.

    ``CERTAIN``: yes. ``UNCERTAIN``: we may be about to know more, so only when what is out there expires.
    ``UNKNOWN``: no; the directories are left alone, since what they hold may well work.
    """

    CERTAIN = "certain"
    UNCERTAIN = "uncertain"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Read:
    """The introduction points are about to change: ask every Tor of ours for them."""


@dataclass(frozen=True)
class Publish:
    """Build and post both descriptors with what is known now, then say ``built`` or ``not_built``."""

    reason: str


@dataclass(frozen=True)
class Redirect:
    """Only the responsible directories changed: see that the new ones get what the others have."""


@dataclass(frozen=True)
class Warn:
    """Tell the operator."""

    text: str


Command = Read | Publish | Redirect | Warn


@dataclass(frozen=True)
class Issue:
    """What a publish consists of: published again when anything in it changes."""

    outline: Outline
    keys: tuple[tuple[bytes, bytes], ...]


@dataclass
class Schedule:
    """
    The clock of publishing; every input returns the commands that it leads to.

    ``backoff`` says how long to wait after so many builds that failed. It publishes unless it was told to ``follow``.
    ``urgency`` is to be told what came of each publish.
    """

    settings: PublishSettings
    backoff: Backoff
    _connected: bool = False
    _leading: bool = True
    _told: Answer = Answer.CERTAIN
    _plan: PublicationPlan | None = None
    _keys_since: float = 0.0
    _outline: Outline = field(default_factory=Outline)
    _points_since: float = 0.0
    _points_began: float = 0.0
    _expires: float = float("inf")
    _asked: bool = False
    _unfinished: bool = False
    _building: Issue | None = None
    _last: Issue | None = None
    _last_at: float = float("-inf")
    _gap: float = 0.0
    _retry_at: float | None = None
    _failures: int = 0
    _woken: float = float("-inf")

    def __post_init__(self) -> None:
        self.urgency = Urgency(self.settings)
        self.shortage = Shortage(self.settings)

    def connected(self, now: Moment) -> list[Command]:
        """A Tor can be asked to post."""
        self._connected = True
        return self.wake(now)

    def interrupted(self, now: Moment) -> list[Command]:
        """The Tor that was to post is gone, and another one can be asked: what was under way begins again."""
        self._unfinished = self._unfinished or self._building is not None
        self._building = None
        return self.wake(now)

    def lost(self, now: Moment) -> list[Command]:
        """No Tor can be asked any more; what was to be published does not count until it is told again."""
        self._unfinished = self._unfinished or self._building is not None
        self._connected, self._building = False, None
        self._outline, self._points_since = Outline(), now.mono
        return self.wake(now)

    def lead(self, now: Moment) -> list[Command]:
        """It is ours to publish from now on, whatever the directories hold."""
        self._leading = True
        return self.wake(now)

    def follow(self, now: Moment) -> list[Command]:
        """Another node publishes; what we published ourselves does not count any more."""
        self._leading, self._last, self._building = False, None, None
        self._last_at, self._gap = float("-inf"), 0.0
        self._asked, self._retry_at, self._failures = False, None, 0
        self.urgency.reset()
        return self.wake(now)

    def points(self, outline: Outline, now: Moment) -> list[Command]:
        """These introduction points are to be published now; what other nodes offer is known as well as before."""
        return self._offered(outline, now)

    def told(self, outline: Outline, answer: Answer, now: Moment) -> list[Command]:
        """These introduction points are to be published, and what other nodes offer is known so well."""
        self._told = answer
        return self._offered(outline, now)

    def _offered(self, outline: Outline, now: Moment) -> list[Command]:
        if outline != self._outline:
            if not self._outline or now.mono > self._points_since + self.settings.points_patience:
                self._points_began = now.mono
            self._outline, self._points_since, self._retry_at = outline, now.mono, None
            self.shortage.seen(len(outline), now)
        return self.wake(now)

    def plan(self, plan: PublicationPlan, now: Moment) -> list[Command]:
        """The consensus asks for this."""
        before, self._plan = self._plan, plan
        if before is None or _keys(before) != _keys(plan):
            self._keys_since, self._retry_at = now.mono, None
            return [Read(), *self.wake(now)]
        moved = [each.directories for each in before] != [each.directories for each in plan]
        return [*([Redirect()] if moved else []), *self.wake(now)]

    def request(self, now: Moment) -> list[Command]:
        """Somebody asked for it."""
        self._asked = True
        return self.wake(now)

    def built(self, expires: float, now: Moment) -> list[Command]:
        """Both descriptors are made and on their way; their first certificate expires at the Unix time ``expires``."""
        self._last, self._building = self._building or self._last, None
        self._expires = now.mono + expires - now.wall
        self._retry_at, self._failures = None, 0
        return self.wake(now)

    def not_built(self, now: Moment) -> list[Command]:
        """They could not be made."""
        self._building, self._unfinished = None, True
        self._failures += 1
        self._retry_at = now.mono + self.backoff(self._failures)
        return self.wake(now)

    def answer(self, now: Moment) -> Answer:
        """Say whether what is known now may replace what the directories hold."""
        if not self._connected or self._plan is None or not self._plan.live(now.wall) or not self._outline:
            return Answer.UNKNOWN
        if self._told is not Answer.CERTAIN:
            return self._told
        if len(self._outline) < self.settings.expected_points and now.mono < self._patience_until():
            return Answer.UNCERTAIN
        return Answer.CERTAIN

    def _patience_until(self) -> float:
        """Return until when more points are waited for: a little after the last, not long after the first."""
        began = self._points_began + self.settings.points_patience
        return min(self._points_since + self.settings.points_grace, began)

    def obstacle(self, now: Moment) -> str | None:
        """Say what keeps us from publishing; None when nothing does."""
        if self._plan is not None and not self._plan.live(now.wall):
            return "Tor's consensus is too old to publish by, or the clock of this machine is wrong"
        if not self._outline:
            return "Tor has no introduction points; the directories are left alone"
        return None if self._told is Answer.CERTAIN else "other nodes may know more; the directories are left alone"

    def wake(self, now: Moment) -> list[Command]:
        """Look at the clock."""
        self._woken = now.mono
        short = self.shortage.news(now) if self._leading else None
        return [*([] if short is None else [Warn(short)]), *self._publish(now)]

    def due(self) -> float | None:
        """Return the monotonic second of the next ``wake``, None when only an input can change anything."""
        return min((time for time in self._times() if time > self._woken), default=None)

    def _times(self) -> Iterator[float]:
        if not self._connected:
            return
        yield self._patience_until()
        yield self._keys_since + self.settings.rotation_grace
        yield self._free_at()
        if self._retry_at is not None:
            yield self._retry_at
        if self._last is not None:
            yield self._refresh_at()
            yield self._last_at + EXPIRING
        for due in (self.urgency.due(), self.shortage.due()):
            if due is not None:
                yield due

    def begins(self) -> bool:
        """Tell whether visitors may be waiting for points, which should then be asked for often."""
        return self._last is None and (self._leading or not self._outline)

    def _publish(self, now: Moment) -> Iterator[Command]:
        reason = self._reason(now) if self._leading else None
        if reason is None or self._building is not None or self._plan is None:
            return
        if now.mono < self._free_at() or not self._good_enough(now):
            return
        self._building = Issue(self._outline, _keys(self._plan))
        self._asked = self._unfinished = False
        calm = now.mono - self._last_at > 4 * self._gap
        self._gap = self.settings.gap_least if calm else min(2 * self._gap, self.settings.gap_most)
        self._last_at, self._retry_at = now.mono, None
        if reason == OVERDUE:
            yield Warn(
                f"Too few directories have confirmed a publish for {self.urgency.age(now):.0f} s: publishing now"
            )
        self.urgency.attempted([key for key, _ in self._building.keys], now)
        yield Publish(reason)

    def _free_at(self) -> float:
        """Return when the next publish may follow the last: not long after, when points that are out are dead."""
        out, now = self._last.outline.auth_keys if self._last else frozenset(), self._outline.auth_keys
        lost = bool(out) and (now < out or out.isdisjoint(now))
        return self._last_at + (min(self._gap, self.settings.gap_loss) if lost else self._gap)

    def _good_enough(self, now: Moment) -> bool:
        answer = self.answer(now)
        if answer is Answer.UNCERTAIN:
            return self._last is not None and now.mono >= self._last_at + EXPIRING
        return answer is Answer.CERTAIN

    def _reason(self, now: Moment) -> str | None:
        """Return why a publish is due, the most telling reason first."""
        if self._retry_at is not None:
            return "another attempt" if now.mono >= self._retry_at else None
        if self._last is None:
            return "first publish"
        if self._outline != self._last.outline:
            return "the introduction points changed"
        if self._plan is not None and _keys(self._plan) != self._last.keys and self._rotated(now):
            return "the time period changed"
        if self._asked:
            return "on request"
        if self._unfinished:
            return "another attempt"
        urgent = self.urgency.reason(now)
        if urgent is not None:
            return urgent
        return "refresh" if now.mono >= self._refresh_at() else None

    def _rotated(self, now: Moment) -> bool:
        """
        Tell whether the points of the new period have had time to come up.

        Tor changes them within a second of the consensus that changes the period (all old ones die), and to publish
        those in between would be for nothing.
        """
        return now.mono >= self._keys_since + self.settings.rotation_grace

    def _refresh_at(self) -> float:
        age = min(self.settings.refresh_interval_secs, OLDEST)
        return min(self._last_at + age, max(self._expires - CERTIFICATE_MARGIN, self._last_at + age / 2))


def _keys(plan: PublicationPlan) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((each.blinded_public, each.srv) for each in plan)
