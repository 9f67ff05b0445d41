"""
The two kinds of time.

Owns: the value that pure code is handed instead of a clock. In: nothing; out: ``Moment``.
Ages, deadlines and leases use ``mono``, which no clock step moves; dates (certificates, revision counters, log
lines) use ``wall``. Only ``rustbalance.life`` reads the clocks.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Moment:
    """
    One instant on both clocks.

    ``mono``: seconds on a monotonic clock with an arbitrary start. ``wall``: Unix time in seconds, UTC.
    """

    mono: float
    wall: float

    def later(self, seconds: float) -> "Moment":
        """Return the instant ``seconds`` after this one."""
        return Moment(self.mono + seconds, self.wall + seconds)
