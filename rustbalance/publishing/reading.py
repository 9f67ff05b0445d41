"""
When to ask a Tor for its introduction points.

Owns: the next time for one instance. In: what becomes of it, hints and the time; out: whether to ask now. Pure.
"""

from dataclasses import dataclass

from rustbalance.moment import Moment
from rustbalance.publishing.settings import PublishSettings


@dataclass
class Reading:
    """The clock of one instance's reads, of which there is never more than one at a time."""

    settings: PublishSettings
    _connected: bool = False
    _asking: bool = False
    _at: float = 0.0
    _eager_until: float = 0.0

    def connected(self, now: Moment) -> None:
        """Tor answers."""
        self._connected, self._asking, self._at = True, False, now.mono
        self.hint(now)

    def lost(self) -> None:
        """Tor is gone, and what it was asked is not answered any more."""
        self._connected = self._asking = False

    def hint(self, now: Moment) -> None:
        """The introduction points may have changed or be about to (``HS_DESC CREATED``, a circuit of one)."""
        self._eager_until = now.mono + self.settings.eager
        self._at = min(self._at, now.mono)

    def answered(self) -> None:
        """Tor has told, or could not."""
        self._asking = False

    def ask(self, now: Moment, *, urgent: bool) -> bool:
        """Tell whether to ask now; ``urgent``: visitors may be waiting for these points."""
        if not self._connected or self._asking or self._at > now.mono:
            return False
        self._asking = True
        quick = urgent or now.mono < self._eager_until
        self._at = now.mono + (self.settings.read_quick if quick else self.settings.read_slow)
        return True

    def due(self) -> float | None:
        """Return the monotonic second at which to look again, None when an answer or Tor is awaited."""
        return self._at if self._connected and not self._asking else None
