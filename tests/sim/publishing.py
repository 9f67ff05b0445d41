"""
A simulated node's publishing: the real schedule, offers, merge and upload tracker.

Owns: what a node that publishes does. In: sources, certainty, answers of directories; out: texts at directories.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from random import Random

from rustbalance.cluster.commands import Certainty
from rustbalance.cluster.messages import IntroPoints
from rustbalance.cluster.points import decode_points
from rustbalance.moment import Moment
from rustbalance.onion.inner import InnerLayer
from rustbalance.publishing import commands as where
from rustbalance.publishing import schedule as when
from rustbalance.publishing.commands import Outcome, Post, Raise, Reached
from rustbalance.publishing.delivery import REJECTED
from rustbalance.publishing.offers import Offers
from rustbalance.publishing.schedule import Answer, Publish, Read, Schedule
from rustbalance.publishing.settings import PublishSettings
from rustbalance.publishing.uploads import Uploads
from rustbalance.tor.backoff import exponential
from tests.sim.directories import PLAN, Text, scheme
from tests.sim.events import Agenda

SETTINGS = PublishSettings(read_quick=2.0, read_slow=30.0, retry_least=1.0, retry_most=8.0, gap_most=8.0)
LIMIT = 20
THAW = 0.2
"""Seconds after which a node that hangs is looked at again."""

Store = Callable[[str, Text], bool]
Command = when.Command | where.Command


class Publishing:
    """
    Publishes while ``active``, as far as that is certain.

    ``floor`` returns the highest counter that anybody is known to have used for a blinded key; ``used`` is told of
    ours; ``store`` is what directories do; ``built`` is told of each text; ``kept`` are our own last counters, on disk;
    ``refresh``: seconds after which all is published again.
    """

    def __init__(
        self,
        name: str,
        agenda: Agenda,
        random: Random,
        clock: Callable[[], Moment],
        floor: Callable[[str], int],
        used: Callable[[dict[str, int]], None],
        store: Store,
        built: Callable[[Text, bool], None],
        kept: dict[bytes, int],
        refresh: float,
    ) -> None:
        self._name = name
        self._agenda = agenda
        self._random = random
        self._clock = clock
        self._floor = floor
        self._used = used
        self._store = store
        self._built = built
        backoff = exponential(SETTINGS.retry_least, SETTINGS.retry_most, random.random)
        settings = replace(SETTINGS, refresh_interval_secs=refresh)
        self._schedule = Schedule(settings, backoff)
        self._uploads = Uploads(settings, backoff)
        self._offers = Offers()
        self._sources: set[str] = set()
        self._texts: dict[bytes, Text] = {}
        self._last = kept
        self._alarm = float("inf")
        self._life = 0
        self._dead = False
        self.active = self.frozen = False
        self.failing = 0.0
        self.refused = 0
        now = clock()
        self._do([*self._schedule.follow(now), *self._schedule.plan(PLAN, now), *self._schedule.connected(now)])

    def die(self) -> None:
        """The node is gone, with all that was under way."""
        self._dead = True
        self.active = False

    def become_publisher(self) -> None:
        """The seat is ours."""
        self.active = True
        now = self._clock()
        self._do([*self._uploads.connected(now), *self._schedule.lead(now)])

    def step_down(self) -> None:
        """The seat is not ours any more; what is on its way to a directory may yet arrive."""
        self.active = False
        self._uploads.abandon()
        self._do(self._schedule.follow(self._clock()))

    def tor_lost(self) -> None:
        """Our Tor is gone."""
        self._life += 1
        self._uploads.disconnected(gone=True)
        self._do(self._schedule.lost(self._clock()))

    def tor_back(self) -> None:
        """Our Tor answers again."""
        now = self._clock()
        self._do(self._schedule.connected(now))

    def sources_changed(self, sources: Mapping[str, IntroPoints], certainty: Certainty) -> None:
        """These are to be published."""
        for gone in self._sources - set(sources):
            self._offers.withdraw(gone)
        for name, points in sources.items():
            self._offers.put(name, _decoded(points.inner))
        self._sources = set(sources)
        self._do(self._schedule.told(self._offers.outline(), Answer(certainty.value), self._clock()))

    def learned(self, revisions: Mapping[str, int]) -> None:
        """Others have used these counters: what the directories hold is not ours, then."""
        texts = {blinded.hex(): text.revision for blinded, text in self._texts.items()}
        if self.active and any(texts.get(blinded, used) < used for blinded, used in revisions.items()):
            self._do(self._schedule.request(self._clock()))

    def _do(self, commands: Sequence[Command]) -> None:
        for command in commands:
            self._perform(command)
        self._arm()

    def _perform(self, command: Command) -> None:
        match command:
            case Read():
                self._do(self._schedule.points(self._offers.outline(), self._clock()))
            case Publish():
                self._publish()
            case Post(_, blinded, _, directories):
                for directory in directories:
                    delay = 0.1 + 0.9 * self._random.random()
                    self._agenda.after(delay, self._upload, self._life, directory, self._texts[blinded])
            case Raise(_, blinded, lead) if self._schedule.answer(self._clock()) is Answer.CERTAIN:
                self._raise(blinded, lead)
            case Raise(_, blinded):
                self._do(self._uploads.withheld(blinded, self._clock()))
            case Reached(blinded):
                self._schedule.urgency.confirmed(blinded, self._clock())
            case Outcome(progress) if progress.hopeless:
                self._schedule.urgency.failed(progress.blinded)

    def _publish(self) -> None:
        now = self._clock()
        keys = frozenset(point.auth_key for point in self._offers.merged(LIMIT, self._random.randbytes).inner.points)
        commands: list[Command] = []
        for seat in PLAN:
            revision = self._next(seat.blinded_public, now.wall)
            self._build(Text(seat.blinded_public, revision, self._name, keys), again=False)
            commands += self._uploads.publish(seat.seat, seat.blinded_public, revision, seat.directories, now)
        self._used({blinded.hex(): text.revision for blinded, text in self._texts.items()})
        self._do([*commands, *self._schedule.built(now.wall + 54 * 3600, now)])

    def _raise(self, blinded: bytes, lead: float) -> None:
        now = self._clock()
        revision = self._next(blinded, now.wall + lead)
        self._build(Text(blinded, revision, self._name, self._texts[blinded].keys), again=True)
        self._used({blinded.hex(): revision})
        self._do(self._uploads.raised(blinded, revision, now))

    def _next(self, blinded: bytes, wall: float) -> int:
        known = max(self._last.get(blinded, 0), self._floor(blinded.hex()))
        self._last[blinded] = max(known + 1, scheme(wall))
        return self._last[blinded]

    def _build(self, text: Text, *, again: bool) -> None:
        self._texts[text.blinded] = text
        self._built(text, again)

    def _upload(self, life: int, directory: str, text: Text) -> None:
        """A directory has been reached or not, unless the Tor that was to reach it is gone."""
        if self.frozen:
            self._agenda.after(THAW, self._upload, life, directory, text)
            return
        if self._dead or life != self._life:
            return
        fails = self._random.random() < self.failing
        stored = not fails and self._store(directory, text)
        self.refused += not fails and not stored
        now, reason = self._clock(), "UNEXPECTED" if fails else REJECTED
        failed = self._uploads.failed
        self._do(self._uploads.uploaded(directory, now) if stored else failed(directory, text.blinded, reason, now))

    def _arm(self) -> None:
        """Set the one timer to the next second at which a core wants to look at the clock."""
        dues = [due for due in (self._schedule.due(), self._uploads.due()) if due is not None]
        if dues and min(dues) < self._alarm:
            self._alarm = min(dues)
            self._agenda.after(max(1e-6, self._alarm - self._clock().mono), self._wake, self._alarm)

    def _wake(self, alarm: float) -> None:
        if self.frozen and not self._dead:
            self._agenda.after(THAW, self._wake, alarm)
            return
        if alarm == self._alarm:
            self._alarm = float("inf")
        if not self._dead:
            now = self._clock()
            self._do([*self._uploads.wake(now), *self._schedule.wake(now)])


@lru_cache(maxsize=4096)
def _decoded(inner: bytes) -> InnerLayer:
    return decode_points(inner)[0]
