"""
Frames on a stream.

Owns: the few bytes that a carrier adds, and the account of what has been said and heard on one stream. In: bytes and
seconds of a monotonic clock; out: frames, receipts, headers. Pure.

A stream is a sequence of 32-bit words, most significant byte first. A word below 2^31 is the length of the frame that
follows it; an empty frame is a sign of life. A word from 2^31 on is a receipt: its lower 31 bits say how many frames
(empty ones too) have arrived on this stream so far, modulo 2^31. Nothing in it says who speaks; the frames, which are
sealed, say that to members and to nobody else.
"""

from dataclasses import dataclass

from rustbalance.cluster.envelope import MAX_FRAME

#: Bytes of the word that goes before each frame.
WORD = 4
_RECEIPT = 1 << 31


class MalformedStream(ValueError):
    """The other side does not speak as we do; the message names the rule."""


@dataclass(frozen=True)
class Receipt:
    """So many frames have arrived at the other side, modulo 2^31."""

    count: int


@dataclass(frozen=True)
class Timings:
    """
    How long things may take, in seconds, and how much may be under way.

    ``dial``: until a stream is open, at the first attempt; each failure doubles it up to ``longest_dial``, so that a
    peer that has moved is looked for anew soon, and a slow network is given its time. ``keepalive``: whoever dialled
    says something at least so often. ``doubt``: a stream that has not confirmed for so long is avoided when there is
    another, and given up after ``silence``. ``idle``: an accepted stream that says nothing is closed. ``stranger``: a
    stream on which nobody proves to be a member is closed. ``lifetime``: a frame that could not leave is dropped.
    ``window``: frames that may be unconfirmed.
    """

    dial: float = 12.0
    longest_dial: float = 60.0
    keepalive: float = 4.0
    doubt: float = 3.0
    silence: float = 8.0
    idle: float = 20.0
    stranger: float = 30.0
    lifetime: float = 4.0
    window: int = 16


def header(frame: bytes) -> bytes:
    """Return what goes before ``frame``."""
    return len(frame).to_bytes(WORD, "big")


def receipt(count: int) -> bytes:
    """Return the word that confirms ``count`` frames."""
    return (_RECEIPT | count % _RECEIPT).to_bytes(WORD, "big")


class StreamReader:
    """Cuts a stream into what it says: ``feed`` bytes, then call ``next`` until it returns None."""

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Take bytes as they come."""
        self._buffer += data

    @property
    def partial(self) -> bool:
        """Whether a frame has begun that is not whole yet."""
        return len(self._buffer) > 0

    def next(self) -> bytes | Receipt | None:
        """
        Return the next frame or receipt, or None when there is no whole one.

        :raises MalformedStream: a frame is announced that is longer than the limit.
        """
        if len(self._buffer) < WORD:
            return None
        word = int.from_bytes(self._buffer[:WORD], "big")
        if word >= _RECEIPT:
            del self._buffer[:WORD]
            return Receipt(word - _RECEIPT)
        if word > self._limit:
            raise MalformedStream(f"a frame has at most {self._limit} bytes, not {word}")
        if len(self._buffer) < WORD + word:
            return None
        frame = bytes(memoryview(self._buffer)[WORD : WORD + word])
        del self._buffer[: WORD + word]
        return frame


class Ledger:
    """What has been said and heard on one stream, and how long an answer has been due."""

    def __init__(self, now: float) -> None:
        self.opened_at = self.said_at = self.heard_at = now
        self.sent = self.confirmed = self.arrived = 0
        self._waiting_since = now

    @property
    def outstanding(self) -> int:
        """How many of our frames the other side has not confirmed."""
        return self.sent - self.confirmed

    def said(self, now: float) -> None:
        """Note a frame of ours."""
        if not self.outstanding:
            self._waiting_since = now
        self.sent += 1
        self.said_at = now

    def heard(self, now: float) -> None:
        """Note any sign of the other side: it lives, so what is due may come yet."""
        self.heard_at = self._waiting_since = now

    def confirm(self, count: int) -> None:
        """
        Note a receipt for the first ``count`` frames, modulo 2^31.

        :raises MalformedStream: it confirms what we have not sent.
        """
        more = (count - self.confirmed) % _RECEIPT
        if more > self.outstanding:
            raise MalformedStream("a receipt must not confirm more frames than were sent")
        self.confirmed += more

    def overdue(self, now: float) -> float:
        """Return for how many seconds the other side has owed us an answer; 0 when it owes none."""
        return now - self._waiting_since if self.outstanding else 0.0
