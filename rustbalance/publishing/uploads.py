"""
Who has got our descriptors.

Owns: for both descriptors and every responsible directory, what was posted, confirmed, refused or never answered, and
what to do about it. In: publishes, HS_DESC events and the time; out: commands (``Post``, ``Raise``, ``Outcome``, …) and
the next second at which to look again. Pure: the publisher performs the commands.

``HS_DESC UPLOADED`` names the address and the directory but not the descriptor, so a directory that is responsible for
both gets the second one when it has answered for the first. An upload that fails gives no such event at all: it has
failed when its stream ends without one, or after a deadline of our own, and nothing else is posted to the directory as
long as a late answer could be taken for the wrong one (``lanes``). A directory takes a revision only if it is higher
than the one that it holds, and each only once. Source: control-spec, HSPOST and HS_DESC; C tor's hs_cache.c.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace

from rustbalance.moment import Moment
from rustbalance.onion.address import OnionAddress
from rustbalance.onion.plan import Seat
from rustbalance.publishing.commands import Command, Outcome, Post, Raise, Reached, Silence
from rustbalance.publishing.delivery import BROKEN_OFF, HELD, NEVER, NO_ANSWER, REJECTED, Copy
from rustbalance.publishing.lanes import Lane, Lanes
from rustbalance.publishing.settings import PublishSettings
from rustbalance.publishing.track import Progress, Standing, Track
from rustbalance.tor.backoff import Backoff
from rustbalance.tor.events import (
    DescriptorUploaded,
    DescriptorUploadFailed,
    DirectoryStreamEnded,
    Event,
    UploadBegan,
)

LEADS = (0.0, 60.0, 360.0, 2_160.0, 12_960.0, 77_760.0)
"""
Seconds by which the counter runs ahead of the clock at each further refusal of one publish; then we give up until the
next publish. Even the largest is inside Tor's own scheme (262,144 s into a run) at any time of the day.
"""


@dataclass
class Uploads:
    """
    The tracker of both descriptors, each known by its blinded key.

    ``backoff`` says how long a directory is left alone after so many failures. Nothing is posted unless ``connected``.
    """

    settings: PublishSettings
    backoff: Backoff
    _tracks: dict[Seat, Track] = field(default_factory=dict)
    _connected: bool = False

    def __post_init__(self) -> None:
        self._lanes = Lanes(self.settings)

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
        self._lanes.interrupt(gone=gone)
        for track in self._tracks.values():
            track.interrupt()

    def abandon(self) -> None:
        """
        Somebody else publishes from now on: whatever was still to be posted is out of date.

        Directories may yet answer for what is on its way: Tor has it, since a post that was ended before its reply is
        with Tor all the same.
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

    def lost(self, blinded: bytes, floor: int, directories: Collection[str], now: Moment) -> list[Command]:
        """
        These have confirmed the descriptor and turn out not to hold it: they get it again, and nobody else.

        ``floor`` is the one of the ``standing`` they were judged by; what has been published since is on its way.
        """
        track = self._track(blinded)
        if track is not None and track.floor == floor:
            track.lose(directories)
        return self.wake(now)

    def uploaded(self, directory: str, now: Moment) -> list[Command]:
        """``HS_DESC UPLOADED``: the directory took what it was last sent."""
        lane = self._lanes.close(directory)
        copy = self._copy(directory, lane)
        if copy is not None:
            copy.confirm()
        return self.wake(now)

    def began(self, directory: str, stream: str) -> None:
        """Tor uploads something there, by that stream."""
        self._lanes.began(directory, stream)

    def ended(self, directory: str, stream: str, now: Moment) -> list[Command]:
        """That stream is closed; if it was an upload of ours, the answer comes now or never."""
        self._lanes.ended(directory, stream, now.mono)
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
        silences = self._expire(now)
        tracks, least = list(self._tracks.values()), self.settings.min_directories
        posts = [post for track in tracks for post in self._post(track, now)]
        outcomes = [Outcome(track.progress()) for track in tracks if track.judge(least, now)]
        return [*silences, *posts, *(Reached(track.blinded) for track in tracks if track.just_reached()), *outcomes]

    def due(self) -> float | None:
        """Return the monotonic second of the next ``wake``, None when only an input can change anything."""
        if not self._connected:
            return None
        times = self._lanes.due()
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
        if track is None:
            return None
        progress = track.progress()
        return replace(progress, reasons=(*progress.reasons, HELD)) if self._held(track) else progress

    def standing(self, blinded: bytes) -> Standing | None:
        """Return what directories should hold under that key, None when it was never published."""
        track = self._track(blinded)
        return None if track is None else track.standing()

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
        elsewhere = track.unheard(ready)
        for directory in ready:
            track.copies[directory].post()
            self._lanes.open(directory, track.blinded, track.floor, track.revision, now.mono)
        if ready:
            yield Post(track.seat, track.blinded, track.revision, ready, elsewhere)

    def _held(self, track: Track) -> bool:
        """Tell whether a directory is not sent this text since it owes the answer to one before, or owes it long."""
        lanes = (self._lanes.get(directory) for directory, copy in track.responsible() if copy.wanted)
        own = (track.blinded, track.floor)
        return any(
            (lane.blinded == track.blinded or lane.expired) and (lane.blinded, lane.floor) != own
            for lane in lanes
            if lane is not None
        )

    def _expire(self, now: Moment) -> list[Silence]:
        """Give up what has run out of time; return what is worth a word."""
        found: Counter[tuple[Seat, bool, bool]] = Counter()
        for directory, lane in self._lanes.expire(now.mono):
            track, copy = self._track(lane.blinded), self._copy(directory, lane)
            at_once = copy is None or (lane.ended and not copy.failures)
            if copy is not None and at_once:
                copy.repeat()
            elif copy is not None:
                copy.fail(BROKEN_OFF if lane.ended else NO_ANSWER, self._retry_at(copy, now))
            if track is not None and at_once:
                found[track.seat, lane.ended, copy is None] += 1
        return [Silence(seat, number, ended, replaced) for (seat, ended, replaced), number in found.items()]

    def _failure(self, directory: str, lane: Lane, reason: str, now: Moment) -> list[Command]:
        self._lanes.close(directory)
        track, copy = self._track(lane.blinded), self._copy(directory, lane)
        if track is None or copy is None:
            return []
        if reason != REJECTED:
            copy.fail(reason, self._retry_at(copy, now))
            return []
        track.refusals.add(directory)
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


def hear(event: Event, address: OnionAddress, uploads: Uploads, now: Moment) -> list[Command]:
    """Tell ``uploads``, which are of ``address``, what Tor says of them; the rest is nothing to them."""
    match event:
        case DescriptorUploaded(whose, directory) if whose == address:
            return uploads.uploaded(directory, now)
        case DescriptorUploadFailed(whose, directory, _, reason) if whose == address:
            return uploads.failed(directory, event.blinded_public, reason, now)
        case UploadBegan(directory, stream):
            uploads.began(directory, stream)
        case DirectoryStreamEnded(directory, stream):
            return uploads.ended(directory, stream, now)
    return []
