"""
What ``uploads`` wants done.

Owns: its commands, and the sentence of what is worth one. Pure.
"""

from dataclasses import dataclass

from rustbalance.onion.plan import Seat
from rustbalance.publishing.track import Progress


@dataclass(frozen=True)
class Post:
    """
    Upload the text with this revision to these directories.

    ``elsewhere``: none of them has answered the Tor that was asked before, so another one had better be.
    """

    seat: Seat
    blinded: bytes
    revision: int
    directories: tuple[str, ...]
    elsewhere: bool = False


@dataclass(frozen=True)
class Raise:
    """Build this descriptor again with a higher counter, ``lead`` seconds ahead of the clock, then say ``raised``."""

    seat: Seat
    blinded: bytes
    lead: float


@dataclass(frozen=True)
class Outcome:
    """Every directory has answered or run out of time: this is what a publish came to."""

    progress: Progress


@dataclass(frozen=True)
class Reached:
    """Enough directories have confirmed the descriptor of that key; others may still be under way."""

    blinded: bytes


@dataclass(frozen=True)
class Silence:
    """
    So many directories have not answered for that descriptor; what comes of it is no ``Outcome``.

    ``broken_off``: Tor has ended those uploads. ``replaced``: they were of a text that a newer one has replaced;
    otherwise it is posted again at once.
    """

    seat: Seat
    directories: int
    broken_off: bool
    replaced: bool

    @property
    def sentence(self) -> str:
        """What happened, and what comes of it."""
        who = f"{self.directories} directories" if self.directories > 1 else "1 directory"
        text = f"{'a' if self.replaced else 'the'} {self.seat} descriptor{' that has been replaced' * self.replaced}"
        what = "it" if not self.replaced else "the newer one"
        if self.broken_off:
            return f"Tor broke off the upload of {text} to {who}: {what} is posted there at once"
        return f"{who} did not answer for {text}: {what} is posted there soon"


Command = Post | Raise | Reached | Outcome | Silence
