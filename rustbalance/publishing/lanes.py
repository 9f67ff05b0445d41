"""
Which answers are still due.

Owns: for each directory the upload that it has not answered yet, and until when nothing else may go there. In: posts,
the streams that Tor makes and closes for them, and the time; out: lanes that are answered or given up. Pure; part of
``uploads``.

C tor says of an upload only what the directory said. It closes the stream without a word when the way there fails, and
also when its own service comes to the point of uploading a descriptor under the same key: it then ends all uploads of
that key that are under way (``hs_service.c``, ``close_directory_connections``), ours as well, although it uploads
nothing itself with ``PublishHidServDescriptors 0``. That is every time its introduction points have come up or the ring
has changed, so about when we publish. ``STREAM`` events tell: the stream's end comes just before the answer, or is all.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from rustbalance.publishing.settings import PublishSettings


@dataclass
class Lane:
    """
    The upload that a directory has not answered yet; ``HS_DESC UPLOADED`` can only mean this one.

    ``floor`` tells the publish it belongs to (see ``track.Track``), ``revision`` the text, ``stream`` Tor's stream for
    it, once that is known. Until ``deadline`` nothing else goes to that directory. From then, or when the control
    connection broke (``expired``), to ``quiet_until`` the answer may still come, so only another text of the same
    publish may go there: whichever is confirmed, the directory has what it should have. An upload that has been
    repeated is taken for dead, and one whose stream has ended (``ended``) is. Both times are monotonic seconds.
    """

    blinded: bytes
    floor: int
    revision: int
    deadline: float
    quiet_until: float
    expired: bool = False
    stream: str | None = None
    ended: bool = False

    def free_at(self, blinded: bytes, floor: int) -> float:
        """Return the monotonic second from which a text of that publish may be posted to the directory."""
        if not self.expired:
            return self.deadline
        return 0.0 if (blinded, floor) == (self.blinded, self.floor) else self.quiet_until


@dataclass
class Lanes:
    """At most one for each directory."""

    settings: PublishSettings
    _lanes: dict[str, Lane] = field(default_factory=dict)

    def get(self, directory: str) -> Lane | None:
        """Return what the directory owes, None when that is nothing."""
        return self._lanes.get(directory)

    def open(self, directory: str, blinded: bytes, floor: int, revision: int, now: float) -> None:
        """A text is posted there."""
        deadline = now + self.settings.directory_deadline
        self._lanes[directory] = Lane(blinded, floor, revision, deadline, deadline + self.settings.directory_quiet)

    def began(self, directory: str, stream: str) -> None:
        """Tor has a stream to upload something there: our text, when that has none yet."""
        lane = self._lanes.get(directory)
        if lane is not None and lane.stream is None:
            lane.stream = stream

    def ended(self, directory: str, stream: str, now: float) -> None:
        """That stream is closed: the answer comes right now or never."""
        lane = self._lanes.get(directory)
        if lane is not None and lane.stream == stream:
            lane.ended = True
            lane.quiet_until = min(lane.quiet_until, now + self.settings.answer_grace)
            lane.deadline = min(lane.deadline, lane.quiet_until)

    def close(self, directory: str) -> Lane | None:
        """Return what the directory has answered, which it owes no longer; None: nothing that we know of."""
        return self._lanes.pop(directory, None)

    def expire(self, now: float) -> Iterator[tuple[str, Lane]]:
        """Yield what has run out of time, each once, and forget what cannot be answered any more."""
        for directory, lane in list(self._lanes.items()):
            if not lane.expired and lane.deadline <= now:
                lane.expired = True
                yield directory, lane
            if lane.quiet_until <= now:
                del self._lanes[directory]

    def interrupt(self, *, gone: bool) -> None:
        """Tor cannot be asked any more; when it is ``gone`` it does not answer either."""
        if gone:
            self._lanes.clear()
        for lane in self._lanes.values():
            lane.expired = True

    def due(self) -> list[float]:
        """Return the monotonic seconds at which one runs out of time."""
        return [lane.deadline for lane in self._lanes.values() if not lane.expired]
