"""
The highest revision counters that anybody has used.

Owns: one number for each blinded key, which never goes down. In: what we used ourselves and what others tell; out: the
same. Pure.

A publisher that takes over goes beyond these, also when its clock is behind that of the one before it.
"""

from collections.abc import Mapping

KEPT = 8
"""Blinded keys that are remembered, those whose counter rose last: two are in use."""
LARGEST = 2**36
"""Tor's own scheme stays under 2**35; a larger number can only be meant to do harm."""


class Revisions:
    """Counters by blinded key (hexadecimal)."""

    def __init__(self, known: Mapping[str, int]) -> None:
        self._known = dict(known)
        self.generation = 0

    def learn(self, revisions: Mapping[str, int]) -> dict[str, int]:
        """Somebody has used these; return those that are higher than what we knew."""
        higher = {
            blinded: counter
            for blinded, counter in revisions.items()
            if self._known.get(blinded, -1) < counter <= LARGEST
        }
        if higher:
            self.generation += 1
            others = {blinded: counter for blinded, counter in self._known.items() if blinded not in higher}
            self._known = dict([*others.items(), *higher.items()][-KEPT:])
        return higher

    def known(self) -> dict[str, int]:
        """Return all of them."""
        return self._known
