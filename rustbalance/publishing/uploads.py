"""
Who has got our descriptors.

Owns: for both descriptors and every responsible directory, what was posted, confirmed, refused or never answered, and
what to do about it. In: publishes, HS_DESC events and the time; out: commands (``Post``, ``Raise``, ``Outcome``) and
the next second at which to look again. Pure: the publisher performs the commands.

``HS_DESC UPLOADED`` names the address and the directory but not the descriptor, so a directory that is responsible for
both gets the second one when it has answered for the first. An unreachable directory gives no event at all: after a
deadline of our own it counts as failed, and nothing else is posted to it as long as a late answer could be taken for
the wrong one (``delivery.Lane``). A directory takes a revision only if it is higher than the one that it holds, and
each only once. Source: control-spec, HSPOST and HS_DESC; C tor's hs_cache.c.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from rustbalance.moment import Moment
from rustbalance.onion.plan import Seat
from rustbalance.publishing.delivery import NEVER, NO_ANSWER, REJECTED, Copy, Lane
from rustbalance.publishing.settings import PublishSettings
from rustbalance.publishing.track import Progress, Track
from rustbalance.tor.backoff import Backoff

LEADS = (0.0, 60.0, 360.0, 2_160.0, 12_960.0, 77_760.0)
"""
Seconds by which the counter runs ahead of the clock at each further refusal of one publish; then we give up until the
next publish. Even the largest is inside Tor's own scheme (262,144 s into a run) at any time of the day.
"""


@dataclass(frozen=True)
class Post:
    """Upload the text with this revision to these directories."""

    seat: Seat
    blinded: bytes
    revision: int
    directories: tuple[str, ...]


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


Command = Post | Raise | Outcome


@dataclass
class Uploads:
    """
    The tracker of both descriptors, each known by its blinded key.

    ``backoff`` says how long a directory is left alone after so many failures. Nothing is posted unless ``connected``.
    """

    settings: PublishSettings
    backoff: Backoff
    _tracks: dict[Seat, Track] = field(default_factory=dict)
    _lanes: dict[str, Lane] = field(default_factory=dict)
    _connected: bool = False

    def connected(self, now: Moment) -> list[Command]:
        """Tor can be asked to post."""
        self._connected = True
        return self.wake(now)

    def disconnected(self, *, gone: bool) -> None:
        """
        Tor cannot be asked any more.

        When it is ``gone``, what was under way is too. Otherwise answers may still come, over the next connection.
        """
        self._connected = False
        if gone:
            self._lanes.clear()
        for lane in self._lanes.values():
            lane.expired = True
        for track in self._tracks.values():
            track.interrupt()

    def abandon(self) -> None:
        """
        Somebody else publishes from now on: whatever was still to be posted is out of date.

        Directories may yet answer for what is on its way.
        """
        self._connected = False
        self._tracks.clear()

    def publish(
        self, seat: Seat, blinded: bytes, revision: int, directories: tuple[str, ...], now: Moment
    ) -> list[Command]:
        """A new text is to replace what ``directories`` hold under the key ``blinded``."""
        before = self._track(blinded)
        # At a rotation the second descriptor becomes the first: same key, other seat.
        self._tracks = {other: track for other, track in self._tracks.items() if track is not before}
        self._tracks[seat] = Track.begin(seat, blinded, revision, directories, before)
        return self.wake(now)

    def redirect(self, blinded: bytes, directories: tuple[str, ...], now: Moment) -> list[Command]:
        """The ring changed: directories that are new get the text that the others have."""
        track = self._track(blinded)
        if track is not None:
            track.redirect(directories)
        return self.wake(now)

    def withheld(self, blinded: bytes, now: Moment) -> list[Command]:
        """What others have published may be better than the refused text, which is tried again as often as need be."""
        track = self._track(blinded)
        if track is not None and track.raising:
            track.raises -= 1
        return self.not_raised(blinded, now)

    def raised(self, blinded: bytes, revision: int, now: Moment) -> list[Command]:
        """The text exists with a higher counter: those who refused the old one get it."""
        track = self._track(blinded)
        if track is not None and track.raising:
            track.revision, track.raising = revision, False
            track.renew_refused()
        return self.wake(now)

    def not_raised(self, blinded: bytes, now: Moment) -> list[Command]:
        """The text could not be built again; the refused one is tried once more later."""
        track = self._track(blinded)
        if track is not None and track.raising:
            track.raising = False
            for copy in track.copies.values():
                if copy.refused:
                    copy.not_before = self._retry_at(copy, now)
        return self.wake(now)

    def uploaded(self, directory: str, now: Moment) -> list[Command]:
        """``HS_DESC UPLOADED``: the directory took what it was last sent."""
        lane = self._lanes.pop(directory, None)
        copy = self._copy(directory, lane)
        if copy is not None:
            copy.confirm()
        return self.wake(now)

    def failed(self, directory: str, blinded: bytes | None, reason: str, now: Moment) -> list[Command]:
        """``HS_DESC FAILED``: the directory did not take it; ``blinded`` is the key that the event names."""
        lane = self._lanes.get(directory)
        if lane is None or blinded not in (None, lane.blinded):
            return self.wake(now)
        raises = self._failure(directory, lane, reason, now)
        return [*raises, *self.wake(now)]

    def not_posted(self, post: Post, directories: Iterable[str], reason: str, now: Moment) -> list[Command]:
        """Tor did not even try these ``directories`` of ``post``."""
        for directory in directories:
            lane = self._lanes.get(directory)
            if lane is not None and (lane.blinded, lane.revision) == (post.blinded, post.revision):
                self._failure(directory, lane, reason, now)
        return self.wake(now)

    def wake(self, now: Moment) -> list[Command]:
        """Look at the clock: expire what was not answered, post what is due, report what is settled."""
        self._expire(now)
        posts = [post for track in self._tracks.values() for post in self._post(track, now)]
        least = self.settings.min_directories
        return [*posts, *(Outcome(track.progress()) for track in self._tracks.values() if track.judge(least, now))]

    def due(self) -> float | None:
        """Return the monotonic second of the next ``wake``, None when only an input can change anything."""
        if not self._connected:
            return None
        times = [lane.deadline for lane in self._lanes.values() if not lane.expired]
        times += [
            self._ready_at(track, directory, copy)
            for track in self._tracks.values()
            for directory, copy in track.responsible()
            if copy.wanted
        ]
        return min((time for time in times if time < NEVER), default=None)

    def progress(self, blinded: bytes) -> Progress | None:
        """Return how far the descriptor under that key has got, None when it was never published."""
        track = self._track(blinded)
        return None if track is None else track.progress()

    def _track(self, blinded: bytes) -> Track | None:
        return next((track for track in self._tracks.values() if track.blinded == blinded), None)

    def _copy(self, directory: str, lane: Lane | None) -> Copy | None:
        """Return the copy that an answer on ``lane`` is about, None when that text has been replaced."""
        track = None if lane is None else self._track(lane.blinded)
        if lane is None or track is None or lane.floor != track.floor:
            return None
        return track.copies.get(directory)

    def _ready_at(self, track: Track, directory: str, copy: Copy) -> float:
        lane = self._lanes.get(directory)
        return copy.not_before if lane is None else max(copy.not_before, lane.free_at(track.blinded, track.floor))

    def _post(self, track: Track, now: Moment) -> Iterator[Post]:
        if not self._connected:
            return
        ready = tuple(
            directory
            for directory, copy in track.responsible()
            if copy.wanted and self._ready_at(track, directory, copy) <= now.mono
        )
        deadline = now.mono + self.settings.directory_deadline
        for directory in ready:
            track.copies[directory].post()
            quiet_until = deadline + self.settings.directory_quiet
            self._lanes[directory] = Lane(track.blinded, track.floor, track.revision, deadline, quiet_until)
        if ready:
            yield Post(track.seat, track.blinded, track.revision, ready)

    def _expire(self, now: Moment) -> None:
        for directory, lane in list(self._lanes.items()):
            if not lane.expired and lane.deadline <= now.mono:
                lane.expired = True
                copy = self._copy(directory, lane)
                if copy is not None:
                    copy.fail(NO_ANSWER, self._retry_at(copy, now))
            if lane.quiet_until <= now.mono:
                del self._lanes[directory]

    def _failure(self, directory: str, lane: Lane, reason: str, now: Moment) -> list[Command]:
        del self._lanes[directory]
        track, copy = self._track(lane.blinded), self._copy(directory, lane)
        if track is None or copy is None:
            return []
        if reason != REJECTED:
            copy.fail(reason, self._retry_at(copy, now))
            return []
        if lane.revision < track.revision:
            copy.renew()  # a text with a higher counter is there already
            return []
        copy.fail(reason, NEVER)
        return self._raise(track)

    def _raise(self, track: Track) -> list[Command]:
        if track.raising or track.raises == len(LEADS):
            return []
        track.raising = True
        track.raises += 1
        return [Raise(track.seat, track.blinded, LEADS[track.raises - 1])]

    def _retry_at(self, copy: Copy, now: Moment) -> float:
        return now.mono + self.backoff(copy.failures + 1)
