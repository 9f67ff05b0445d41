"""
A simulated node's publishing: the real schedule, offers, merge and upload tracker.

Owns: what a node that publishes does. In: sources, certainty, answers of directories; out: texts at directories.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from random import Random

from rustbalance.cluster.commands import Certainty
from rustbalance.cluster.messages import IntroPoints
from rustbalance.cluster.points import decode_points
from rustbalance.moment import Moment
from rustbalance.onion.inner import InnerLayer
from rustbalance.publishing import schedule as when
from rustbalance.publishing import uploads as where
from rustbalance.publishing.delivery import REJECTED
from rustbalance.publishing.offers import Offers
from rustbalance.publishing.schedule import Publish, Read, Schedule
from rustbalance.publishing.settings import PublishSettings
from rustbalance.publishing.uploads import Post, Raise, Uploads
from rustbalance.tor.backoff import exponential
from tests.sim.directories import PLAN, Text, scheme
from tests.sim.events import Agenda

SETTINGS = PublishSettings(read_quick=2.0, read_slow=30.0, retry_least=1.0, retry_most=8.0, gap_most=8.0)
LIMIT = 20

Store = Callable[[str, Text], bool]
Command = when.Command | where.Command


class Publishing:
    """
    Publishes while ``active`` and certain.

    ``floor`` returns the highest counter known to be used by anybody for a blinded key; ``used`` is told of ours;
    ``store`` is what directories do; ``built`` is told of each text; ``kept`` are our own last counters, on disk.
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
        built: Callable[[Text], None],
        kept: dict[bytes, int],
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
        self._schedule = Schedule(SETTINGS, backoff)
        self._uploads = Uploads(SETTINGS, backoff)
        self._offers = Offers()
        self._sources: Mapping[str, IntroPoints] = {}
        self._certainty = Certainty.UNKNOWN
        self._texts: dict[bytes, Text] = {}
        self._last = kept
        self._alarm = float("inf")
        self._life = 0
        self._at_work = False
        self.active = False
        self.failing = 0.0
        self.refused = 0

    def die(self) -> None:
        """The node is gone, with all that was under way."""
        self._life += 1
        self.active = self._at_work = False

    def become_publisher(self) -> None:
        """The seat is ours: whatever was published meanwhile, publish now."""
        self.active = True
        self._steer()

    def step_down(self) -> None:
        """The seat is not ours any more."""
        self.active = False
        self._steer()

    def sources_changed(self, sources: Mapping[str, IntroPoints], certainty: Certainty) -> None:
        """These are to be published."""
        for gone in set(self._sources) - set(sources):
            self._offers.withdraw(gone)
        for name, points in sources.items():
            self._offers.put(name, _decoded(points.inner))
        self._sources, self._certainty = sources, certainty
        self._steer()

    def _steer(self) -> None:
        """A publisher that is not certain leaves the directories alone, as one whose Tor is gone does."""
        now = self._clock()
        wanted = self.active and self._certainty is Certainty.CERTAIN
        if wanted and not self._at_work:
            self._at_work = True
            started = [*self._uploads.connected(now), *self._schedule.plan(PLAN, now), *self._schedule.connected(now)]
            self._do([*started, *self._schedule.request(now), *self._schedule.points(self._offers.outline(), now)])
        elif wanted:
            self._do(self._schedule.points(self._offers.outline(), now))
        elif self._at_work:
            self._at_work = False
            self._life += 1
            self._uploads.disconnected(gone=True)
            self._do(self._schedule.lost(now))

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
            case Post(_, blinded, revision, directories):
                for directory in directories:
                    delay = 0.1 + 0.9 * self._random.random()
                    self._agenda.after(delay, self._upload, self._life, directory, blinded, revision)
            case Raise(_, blinded, lead):
                self._raise(blinded, lead)

    def _publish(self) -> None:
        now = self._clock()
        keys = frozenset(point.auth_key for point in self._offers.merged(LIMIT, self._random.randbytes).inner.points)
        commands: list[Command] = []
        for seat in PLAN:
            revision = self._next(seat.blinded_public, now.wall)
            self._build(Text(seat.blinded_public, revision, self._name, keys))
            commands += self._uploads.publish(seat.seat, seat.blinded_public, revision, seat.directories, now)
        self._used({blinded.hex(): text.revision for blinded, text in self._texts.items()})
        self._do([*commands, *self._schedule.built(now.wall + 54 * 3600, now)])

    def _raise(self, blinded: bytes, lead: float) -> None:
        now = self._clock()
        revision = self._next(blinded, now.wall + lead)
        self._build(Text(blinded, revision, self._name, self._texts[blinded].keys))
        self._used({blinded.hex(): revision})
        self._do(self._uploads.raised(blinded, revision, now))

    def _next(self, blinded: bytes, wall: float) -> int:
        known = max(self._last.get(blinded, 0), self._floor(blinded.hex()))
        self._last[blinded] = max(known + 1, scheme(wall))
        return self._last[blinded]

    def _build(self, text: Text) -> None:
        self._texts[text.blinded] = text
        self._built(text)

    def _upload(self, life: int, directory: str, blinded: bytes, revision: int) -> None:
        if life != self._life:
            return
        now, text = self._clock(), self._texts[blinded]
        if text.revision != revision or self._random.random() < self.failing:
            self._do(self._uploads.failed(directory, blinded, "UNEXPECTED", now))
        elif self._store(directory, text):
            self._do(self._uploads.uploaded(directory, now))
        else:
            self.refused += 1
            self._do(self._uploads.failed(directory, blinded, REJECTED, now))

    def _arm(self) -> None:
        """Set the one timer to the next second at which a core wants to look at the clock."""
        dues = [due for due in (self._schedule.due(), self._uploads.due()) if due is not None]
        if self._at_work and dues and min(dues) < self._alarm:
            self._alarm = min(dues)
            self._agenda.after(max(1e-6, self._alarm - self._clock().mono), self._wake, self._alarm)

    def _wake(self, alarm: float) -> None:
        if alarm == self._alarm:
            self._alarm = float("inf")
        if self._at_work:
            now = self._clock()
            self._do([*self._uploads.wake(now), *self._schedule.wake(now)])


@lru_cache(maxsize=4096)
def _decoded(inner: bytes) -> InnerLayer:
    return decode_points(inner)[0]
