"""
What waits for a link.

Owns: which frames are kept while they cannot be sent, and for how long. In: frames and seconds of a monotonic clock;
out: frames in the order they were put. Pure. Nothing here grows without bound, and nothing stale is sent: a frame
carries a time, and its receiver would refuse it.
"""

from dataclasses import dataclass

from rustbalance.cluster.envelope import MAX_FRAME


@dataclass(frozen=True)
class _Waiting:
    frame: bytes
    until: float


class Outbox:
    """
    A queue of at most ``frames`` frames and ``size`` bytes (one frame always fits), each for ``lifetime`` seconds.

    ``dropped`` counts those that were lost for want of room or of time; one that a newer one replaces is not lost.
    """

    def __init__(self, lifetime: float, frames: int = 64, size: int = 4 * MAX_FRAME) -> None:
        self._lifetime = lifetime
        self._frames = frames
        self._size = size
        self._waiting: dict[str | int, _Waiting] = {}
        self._bytes = 0
        self._number = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, frame: bytes, slot: str | None, now: float) -> None:
        """Add ``frame`` at the end; what waits in the same slot is replaced."""
        self._number += 1
        if slot in self._waiting:
            self._remove(slot)
        self._waiting[self._number if slot is None else slot] = _Waiting(frame, now + self._lifetime)
        self._bytes += len(frame)
        while len(self._waiting) > self._frames or self._bytes > self._size:
            self._drop_first()

    def take(self, now: float) -> bytes | None:
        """Remove and return the first frame that is still worth sending, or None."""
        self.expire(now)
        for key in self._waiting:
            return self._remove(key)
        return None

    def expire(self, now: float) -> None:
        """Drop what has waited too long."""
        while self._waiting and next(iter(self._waiting.values())).until <= now:
            self._drop_first()

    def _drop_first(self) -> None:
        self._remove(next(iter(self._waiting)))
        self.dropped += 1

    def _remove(self, key: str | int | None) -> bytes:
        frame = self._waiting.pop(key).frame  # type: ignore[arg-type]
        self._bytes -= len(frame)
        return frame
