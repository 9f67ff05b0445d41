"""
Whether a publish is overdue.

Owns: how old what directories have confirmed is, and when something that did not succeed is to be done again whatever
else there is to wait for. In: attempts, what came of them, and the time; out: whether a publish is due and why, and the
next second at which to look. Pure; part of ``schedule``.

A directory that fails is tried again by itself (``uploads``). This is for the publish as a whole: its retries have not
helped, or nothing has been confirmed for so long that something must be wrong that nobody has noticed.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from rustbalance.moment import Moment
from rustbalance.publishing.settings import PublishSettings

LIFETIME = 180 * 60
"""Seconds that a directory keeps a descriptor (rend-spec-v3 2.4, descriptor-lifetime)."""
OLDEST = LIFETIME / 2
"""Age in seconds at which a descriptor is replaced whatever ``refresh_interval_secs`` says; Tor itself: 60-120 min."""
EXPIRING = LIFETIME * 3 / 4
"""Age in seconds at which something uncertain is better than what is out there."""
CERTIFICATE_MARGIN = 3 * 3600
"""Seconds before the first certificate in a descriptor expires at which it is replaced."""

NEVER = 30.0
"""Seconds after an attempt that is given up to the next one, as long as visitors have never had this descriptor."""
AGAIN = 120.0
"""The same when they have; also the least time between two publishes that are overdue, so that an attempt which
directories do not answer is not cut short by the next."""

OVERDUE = "overdue"
FAILED = "another attempt"


@dataclass
class Urgency:
    """
    The age of both descriptors, each known by its blinded key.

    ``settings.max_age_secs``: age at which they are published at once; a descriptor that was never confirmed ages from
    its first attempt.
    """

    settings: PublishSettings
    _first: dict[bytes, float] = field(default_factory=dict)
    _confirmed: dict[bytes, float] = field(default_factory=dict)
    _failed: set[bytes] = field(default_factory=set)
    _tried_at: float = 0.0

    def attempted(self, keys: Collection[bytes], now: Moment) -> None:
        """Descriptors under these keys, and no others from now on, are being published."""
        self._tried_at = now.mono
        self._first = {key: self._first.get(key, now.mono) for key in keys}
        self._confirmed = {key: at for key, at in self._confirmed.items() if key in self._first}
        self._failed.clear()

    def confirmed(self, key: bytes, now: Moment) -> None:
        """Enough directories have confirmed it."""
        self._confirmed[key] = now.mono
        self._failed.discard(key)

    def failed(self, key: bytes) -> None:
        """Too few directories have confirmed it, and retries have not helped."""
        self._failed.add(key)

    def reset(self) -> None:
        """Another node publishes."""
        self._first.clear()
        self._confirmed.clear()
        self._failed.clear()

    def reason(self, now: Moment) -> str | None:
        """Return why a publish is due, None when none is."""
        due = self.due()
        if due is None or now.mono < due:
            return None
        return OVERDUE if now.mono >= self._aged() else FAILED

    def due(self) -> float | None:
        """Return the monotonic second from which a publish is due, None before the first attempt."""
        if not self._first:
            return None
        overdue = max(self._aged(), self._tried_at + self._again)
        return min([overdue, *(self._retry_at(key) for key in self._failed & set(self._first))])

    def age(self, now: Moment) -> float:
        """Return the age in seconds of the older one."""
        return now.mono - min(self._since(key) for key in self._first) if self._first else 0.0

    @property
    def _again(self) -> float:
        """Seconds from an attempt to the next one: refreshes that come sooner must not put this off for ever."""
        return min(AGAIN, self.settings.refresh_interval_secs)

    def _aged(self) -> float:
        return min(self._since(key) for key in self._first) + self.settings.max_age_secs

    def _since(self, key: bytes) -> float:
        return self._confirmed.get(key, self._first[key])

    def _retry_at(self, key: bytes) -> float:
        if key not in self._confirmed:
            return self._tried_at + NEVER
        return max(self._tried_at + self._again, self._confirmed[key] + self.settings.max_age_secs / 2)


@dataclass
class Shortage:
    """
    Fewer introduction points than our Tors were told to keep.

    That is ordinary for seconds; what there is has been published by then. When it lasts it is worth a word.
    """

    settings: PublishSettings
    _count: int = 0
    _since: float | None = None
    _said: bool = False

    def seen(self, count: int, now: Moment) -> None:
        """There are so many now; when there are none it is not a shortage but an outage, and said elsewhere."""
        self._count = count
        if count == 0 or count >= self.settings.expected_points:
            self._since, self._said = None, False
        elif self._since is None:
            self._since = now.mono

    def due(self) -> float | None:
        """Return the monotonic second at which it becomes worth a word, None when it never will or has been said."""
        return None if self._since is None or self._said else self._since + self.settings.shortage_secs

    def news(self, now: Moment) -> str | None:
        """Return the sentence, once."""
        due = self.due()
        if due is None or now.mono < due:
            return None
        self._said = True
        return self.sentence()

    def sentence(self) -> str | None:
        """Return what is wrong, once it has been said."""
        if not self._said:
            return None
        expected = self.settings.expected_points
        return f"only {self._count} of {expected} introduction points came up; the descriptors do with those"
