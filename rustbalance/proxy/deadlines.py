"""
Time for many connections at little cost.

Owns: the one coarse clock of the proxy. In: a tick now and then; out: ``expire()`` on whatever is overdue. A deadline
is an attribute that its owner moves at will, so that no timer is made, moved or cancelled for a request.
"""

from typing import Protocol

from twisted.logger import Logger

NEVER = float("inf")


class Watched(Protocol):
    """``deadline`` is a time of ``Deadlines.now``; it is moved before or while ``expire`` runs, or it strikes again."""

    deadline: float

    def expire(self) -> None:
        """Do what is to be done when the time is over."""


class Deadlines:
    """
    ``now`` counts ticks, in seconds: unlike the reactor's clock no step of the wall clock moves it.

    A deadline strikes up to one tick late.
    """

    log = Logger()

    def __init__(self, tick: float) -> None:
        self.now = 0.0
        self._tick = tick
        self._watched: set[Watched] = set()

    def watch(self, one: Watched) -> None:
        """Look at ``one`` from now on."""
        self._watched.add(one)

    def forget(self, one: Watched) -> None:
        """Look at it no more."""
        self._watched.discard(one)

    def tick(self) -> None:
        """Let a tick pass; an error in one ``expire`` is logged and does not touch the others."""
        self.now += self._tick
        for one in [each for each in self._watched if each.deadline <= self.now]:
            try:
                one.expire()
            except Exception:
                self.log.failure("a deadline could not be enforced")
