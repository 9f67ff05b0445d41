"""
What there is to see of publishing from outside the publisher.

Owns: what directories should hold as far as this node knows, whether it publishes itself or another one does. In: the
plan, the uploads, the counters that others have used; out: ``Standing``, and a call when something was published.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from rustbalance.moment import Moment
from rustbalance.onion.plan import PublicationPlan, SeatPlan
from rustbalance.publishing.commands import Command
from rustbalance.publishing.ring_source import RingSource
from rustbalance.publishing.track import Standing
from rustbalance.publishing.uploads import Uploads
from rustbalance.publishing.verification import Hearsay


class Watcher(Protocol):
    """Who wants to know when there is something to look at."""

    def on_published(self) -> None:
        """Enough directories have confirmed a descriptor of ours."""

    def on_follow(self) -> None:
        """Another node publishes from now on."""


class Outlook:
    """
    Sees what ``ring`` and ``uploads`` know; ``do`` performs commands of theirs.

    The publisher says ``lead``, ``follow``, ``learn`` and ``published``.
    """

    def __init__(
        self,
        ring: RingSource,
        uploads: Uploads,
        do: Callable[[Sequence[Command]], None],
        now: Callable[[], Moment],
    ) -> None:
        self.leading = False
        self._ring = ring
        self._uploads = uploads
        self._do = do
        self._now = now
        self._heard: dict[str, Hearsay] = {}
        self._watchers: list[Watcher] = []

    @property
    def plan(self) -> PublicationPlan | None:
        """What has to be published where, by whoever publishes; None as long as that is not known."""
        return self._ring.plan

    def directories(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return those of the descriptor that visitors fetch now, and those of the other; none while nobody knows."""
        plan = self.plan
        if plan is None:
            return (), ()
        one, other = sorted(plan, key=lambda seat: seat.seat is not plan.visited)
        return one.directories, other.directories

    def watch(self, watcher: Watcher) -> None:
        """Tell ``watcher`` from now on."""
        self._watchers.append(watcher)

    def standing(self, seat: SeatPlan) -> Standing | None:
        """Return what the directories of ``seat`` should hold, None when nothing is known of that."""
        if self.leading:
            return self._uploads.standing(seat.blinded_public)
        return self._heard.get(seat.blinded_public.hex(), Hearsay()).standing(seat.directories)

    def lost(self, seat: SeatPlan, floor: int, directories: Collection[str]) -> None:
        """Have these get the descriptor of ``seat`` again; see ``Uploads.lost``. Only who publishes can."""
        if self.leading:
            self._do(self._uploads.lost(seat.blinded_public, floor, directories, self._now()))

    def lead(self) -> None:
        """It is this node that publishes."""
        self.leading = True

    def follow(self) -> None:
        """Another node publishes."""
        self.leading = False
        for watcher in self._watchers:
            watcher.on_follow()

    def learn(self, used: Mapping[str, int]) -> None:
        """Other nodes have used these counters, by blinded key in hexadecimal; old keys are forgotten."""
        now = self._now()
        known = {seat.blinded_public.hex() for seat in self.plan or ()}
        kept = {key: heard for key, heard in self._heard.items() if key in known or key in used}
        new = {key: kept.get(key, Hearsay()).learned(counter, now) for key, counter in used.items()}
        self._heard = {**kept, **new}

    def published(self) -> None:
        """Enough directories have confirmed a descriptor."""
        for watcher in self._watchers:
            watcher.on_published()
