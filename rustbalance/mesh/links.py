"""
The way to one peer.

Owns: a stream that we dial and keep, with backoff, jitter and deadlines, the streams that the peer dialled, and what
waits for either. In: how to dial, frames, accepted streams; out: frames on the best stream that there is.

Both nodes dial each other. What we dialled is preferred, because its address comes from the peer's own record; what the
peer dialled is the way back when we cannot reach it (its onion service is not known yet, or it sits behind a NAT).
Nobody gains by posing on such a stream: the frames are sealed, and the way that we dialled stays the first choice.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore
from twisted.logger import Logger

from rustbalance.life import Tasks, pause
from rustbalance.mesh.carrier import NodeId
from rustbalance.mesh.outbox import Outbox
from rustbalance.mesh.streams import Timings
from rustbalance.mesh.wire import Stream
from rustbalance.tor.backoff import Backoff

#: Streams that one peer may keep open to us: the one in use and the one that takes its place.
ACCEPTED = 2


@dataclass(frozen=True)
class Attempt:
    """One attempt to dial: its number, never the same twice for any link, and how many seconds it may take."""

    number: int
    seconds: float


#: From an attempt to a stream that is open.
Dial = Callable[[Attempt], Deferred[Stream]]


@dataclass(frozen=True)
class Surroundings:
    """
    What all links of a carrier share.

    ``dialling`` bounds how many dial at the same time; ``opened`` is told when there is a new way to a peer.
    ``numbers`` are for attempts.
    """

    reactor: Any
    seconds: Callable[[], float]
    timings: Timings
    backoff: Backoff
    dialling: DeferredSemaphore
    opened: Callable[[NodeId], None]
    numbers: Iterator[int] = field(default_factory=lambda: count(1))


class Link:
    """The link to ``peer``; without ``dial`` it only answers on streams that the peer has opened."""

    log = Logger()

    def __init__(self, peer: NodeId, dial: Dial | None, around: Surroundings) -> None:
        self.peer = peer
        self.problem: str | None = None
        self._dial = dial
        self._around = around
        self._outbox = Outbox(around.timings.lifetime)
        self._tasks = Tasks(self.log)
        self._stream: Stream | None = None
        self._accepted: list[Stream] = []
        self._current: Stream | None = None
        self._failures = 0
        self._resting = False
        self._ending = False
        self._was_up = False

    @property
    def up(self) -> bool:
        """Whether a frame would reach the peer now."""
        way = self._way()
        return way is not None and not way.doubtful() and (way.confirmed or not way.dialled)

    @property
    def dropped(self) -> int:
        """How many frames were lost here."""
        return self._outbox.dropped

    @property
    def settled(self) -> bool:
        """Whether nothing is under way that might still arrive."""
        way = self._way()
        return not self.up or way is None or (way.settled and not self._outbox)

    def start(self) -> None:
        """Begin to dial."""
        if self._dial is not None:
            self._tasks.spawn(f"the link to {self.peer}", self._keep(self._dial))

    def stop(self, reason: str) -> list[Stream]:
        """Dial no more, and end every stream as soon as what was given to it is written; return them."""
        self._ending = True
        self._tasks.cancel()
        for stream in self._streams():
            stream.close(reason)
        return self._streams()

    def hurry(self) -> None:
        """Dial now, if we only wait to do so: something has changed for the better."""
        if self._resting:
            self._resting = False
            self._failures = 0
            self._tasks.cancel()
            self.start()

    def send(self, frame: bytes, slot: str | None) -> None:
        """Send when there is a way, unless it takes too long."""
        self._outbox.put(frame, slot, self._around.seconds())
        self.pump()

    def pump(self) -> None:
        """Send what waits, as far as the best stream takes it."""
        way = self._way()
        while way is not None and way.has_room:
            frame = self._outbox.take(self._around.seconds())
            if frame is None:
                return
            way.send(frame)

    def prove(self, stream: Stream) -> None:
        """Take a stream on which the peer has just spoken."""
        first = self._way() is None
        self.lose(stream)
        self._accepted.append(stream)
        for old in self._accepted[:-ACCEPTED]:
            old.abort("the peer has opened a newer one")
        if first:
            self._around.opened(self.peer)
            self.pump()

    def lose(self, stream: Stream) -> None:
        """Forget a stream."""
        if stream is self._stream:
            self._stream = None
        if stream in self._accepted:
            self._accepted.remove(stream)

    def tick(self) -> None:
        """Look at the deadlines, and say it once when the link comes up or goes down."""
        for stream in self._streams():
            stream.tick()
        self._outbox.expire(self._around.seconds())
        self.pump()
        if self.up != self._was_up:
            self._was_up = not self._was_up
            self._announce()

    def _announce(self) -> None:
        if self._was_up:
            self.log.info("link to {peer} is up", peer=self.peer)
        else:
            self.log.warn("link to {peer} is down: {problem}", peer=self.peer, problem=self.problem or "no answer")

    def _streams(self) -> list[Stream]:
        return [stream for stream in (self._stream, *self._accepted) if stream is not None]

    def _way(self) -> Stream | None:
        """
        Return the best stream: what we dialled, then what spoke last, and a doubtful one before none.

        What is under way on another one arrives first: a frame that a later one overtakes is refused as a replay.
        """
        current = self._current
        if current is None or current.settled or current.doubtful():
            ways = [stream for stream in (self._stream, *reversed(self._accepted)) if stream is not None]
            current = next((stream for stream in ways if not stream.doubtful()), ways[0] if ways else None)
            self._current = current
        return current

    async def _keep(self, dial: Dial) -> None:
        while not self._ending:
            stream = await self._reached(dial)
            if stream is not None:
                self._around.opened(self.peer)
                self.pump()
                self._ended(stream, await stream.when_closed())
            self._resting = True
            await pause(self._around.reactor, self._around.backoff(max(self._failures, 1)))
            self._resting = False

    async def _reached(self, dial: Dial) -> Stream | None:
        await self._around.dialling.acquire()
        try:
            self._stream = await dial(self._next_attempt())
        except Exception as error:
            if self._ending:  # each kind of endpoint has its own error for being cancelled
                raise CancelledError from None
            self._failed(str(error) or type(error).__name__)
            return None
        finally:
            self._around.dialling.release()
        return self._stream

    def _next_attempt(self) -> Attempt:
        timings, number = self._around.timings, next(self._around.numbers)
        return Attempt(number, min(timings.dial * 2.0 ** min(self._failures, 16), timings.longest_dial))

    def _ended(self, stream: Stream, reason: str) -> None:
        self._failures = 0 if stream.confirmed else self._failures
        self._failed(reason)

    def _failed(self, reason: str) -> None:
        self._failures += 1
        self.problem = reason
        self.log.debug("the stream to {peer} ended: {reason}", peer=self.peer, reason=reason)
