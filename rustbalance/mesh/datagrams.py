"""
Frames in datagrams.

Owns: splitting a frame of up to 1 MiB into datagrams that fit the tunnel, putting them together again, and asking for
those that got lost. In: frames, datagrams, seconds of a monotonic clock; out: the other. Pure.

A datagram is one byte for its kind, 8 bytes for the number of the frame, and

- ``PIECE``: two bytes each for the index of this piece and of the last one, then the piece: all but the last have
  exactly ``PIECE_SIZE`` bytes, so that a piece belongs to one place only;
- ``ASK``: one bit for each piece of the frame, the first in the lowest bit, that is set when the piece is missing.

Whoever sent a frame of several pieces keeps it for ``KEPT_SECS`` and sends again what is asked for. A frame of which
no piece arrives is lost, as is one that stays incomplete; none arrives in part. Everything that a peer can make us
keep is bounded, per peer and in all.
"""

import struct
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from rustbalance.cluster.envelope import MAX_FRAME

DATAGRAM_SIZE = 1232
"""What fits a link with an MTU of 1280, the least that IPv6 allows, after the headers of IPv6 and UDP."""
_HEAD = struct.Struct(">BQ")
_PLACE = struct.Struct(">HH")
PIECE_SIZE = DATAGRAM_SIZE - _HEAD.size - _PLACE.size
MOST_PIECES = -(-MAX_FRAME // PIECE_SIZE)
PIECE, ASK = 1, 2

QUIET_SECS = 0.25
"""Without a new piece for this long the missing ones are asked for; twice as long before each further time."""
LONGEST_QUIET_SECS = 2.0
LIFETIME_SECS = 20.0
"""After this an incomplete frame is given up: what is in it would be stale."""
KEPT_SECS = 20.0
KEPT_SIZE = 16 * MAX_FRAME
MOST_PARTIAL = 8
"""Incomplete frames per peer; the oldest is given up for a further one."""
PARTIAL_SIZE = 16 * MAX_FRAME
"""Bytes of incomplete frames in all; the peer with the most loses its oldest first."""
REMEMBERED = 64
"""Complete frames per peer whose late pieces are known to be late."""
RESENT_SHARE = 4
"""A frame is sent again at most this often, counted in pieces."""


def pieces(number: int, frame: bytes) -> Iterator[bytes]:
    """
    Yield the datagrams of a frame.

    :raises ValueError: the frame is empty or longer than ``MAX_FRAME``.
    """
    if not 1 <= len(frame) <= MAX_FRAME:
        raise ValueError(f"a frame must have 1 to {MAX_FRAME} bytes, not {len(frame)}")
    last = (len(frame) - 1) // PIECE_SIZE
    return (piece(number, frame, index, last) for index in range(last + 1))


def piece(number: int, frame: bytes, index: int, last: int) -> bytes:
    """Return the datagram with the piece ``index`` of a frame."""
    content = frame[index * PIECE_SIZE : (index + 1) * PIECE_SIZE]
    return _HEAD.pack(PIECE, number) + _PLACE.pack(index, last) + content


@dataclass
class _Kept:
    to: str
    frame: bytes
    until: float
    left: int


class Outgoing:
    """
    Frames on their way, kept for those who ask for a piece again.

    ``first_number`` is random, so that the numbers of a process that was restarted are new ones.
    """

    def __init__(self, first_number: int) -> None:
        self._number = first_number
        self._kept: OrderedDict[int, _Kept] = OrderedDict()
        self._size = 0

    def split(self, to: str, frame: bytes, now: float) -> list[bytes]:
        """
        Return the datagrams that carry ``frame`` to the peer at ``to``.

        :raises ValueError: the frame is empty or longer than ``MAX_FRAME``.
        """
        self._number = (self._number + 1) % 2**64
        datagrams = list(pieces(self._number, frame))
        if len(datagrams) > 1:
            self._kept[self._number] = _Kept(to, frame, now + KEPT_SECS, RESENT_SHARE * len(datagrams))
            self._size += len(frame)
        self._forget(now)
        return datagrams

    def asked(self, by: str, datagram: bytes, now: float) -> list[bytes]:
        """Return the datagrams that the peer at ``by`` asks for again, as far as it may have them."""
        self._forget(now)
        number, wanted = _read_ask(datagram)
        kept = self._kept.get(number)
        if kept is None or kept.to != by:
            return []
        last = (len(kept.frame) - 1) // PIECE_SIZE
        indexes = [index for index in range(last + 1) if wanted >> index & 1][: kept.left]
        kept.left -= len(indexes)
        return [piece(number, kept.frame, index, last) for index in indexes]

    def _forget(self, now: float) -> None:
        while self._kept:
            number, oldest = next(iter(self._kept.items()))
            if oldest.until > now and self._size <= KEPT_SIZE:
                return
            del self._kept[number]
            self._size -= len(oldest.frame)


def _read_ask(datagram: bytes) -> tuple[int, int]:
    if len(datagram) < _HEAD.size or datagram[0] != ASK or len(datagram) > DATAGRAM_SIZE:
        return 0, 0
    return _HEAD.unpack_from(datagram)[1], int.from_bytes(datagram[_HEAD.size :], "little")


@dataclass(frozen=True)
class Arrived:
    """A frame is complete."""

    source: str
    frame: bytes


@dataclass(frozen=True)
class Ask:
    """``datagram`` is to be sent to ``to``: pieces are missing."""

    to: str
    datagram: bytes


@dataclass
class _Partial:
    """A frame that is not complete. ``ask_at`` and ``until`` are seconds of a monotonic clock."""

    number: int
    last: int
    until: float
    ask_at: float = 0.0
    quiet: float = QUIET_SECS
    pieces: dict[int, bytes] = field(default_factory=dict)
    size: int = 0

    def add(self, index: int, content: bytes, now: float) -> None:
        self.pieces[index] = content
        self.size += len(content)
        self.quiet = QUIET_SECS
        self.ask_at = now + self.quiet

    def ask(self, now: float) -> bytes:
        """Return the question for what is missing, and put off the next."""
        self.quiet = min(2 * self.quiet, LONGEST_QUIET_SECS)
        self.ask_at = now + self.quiet
        missing = sum(1 << index for index in range(self.last + 1) if index not in self.pieces)
        return _HEAD.pack(ASK, self.number) + missing.to_bytes(self.last // 8 + 1, "little")


@dataclass
class _Source:
    partial: OrderedDict[int, _Partial] = field(default_factory=OrderedDict)
    complete: deque[int] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    size: int = 0


class Incoming:
    """
    Frames that arrive in pieces. ``refused`` counts datagrams that are none, ``lost`` frames that stayed incomplete.

    A source is where datagrams come from: inside the tunnel a peer can only use the address that is its own.
    """

    def __init__(self) -> None:
        self.refused = 0
        self.lost = 0
        self._sources: dict[str, _Source] = {}
        self._size = 0

    def receive(self, source: str, datagram: bytes, now: float) -> Arrived | None:
        """Take a datagram with a piece; return the frame that it completes."""
        place = _read_piece(datagram)
        if place is None:
            self.refused += 1
            return None
        number, index, last, content = place
        if last == 0:
            return Arrived(source, content)
        return self._add(source, number, index, last, content, now)

    def due(self) -> float | None:
        """Return when ``wake`` has something to do."""
        return min((partial.ask_at for partial in self._partials()), default=None)

    def wake(self, now: float) -> list[Ask]:
        """Give up what is too old and ask for what is missing."""
        asks = []
        for name, source in list(self._sources.items()):
            for partial in list(source.partial.values()):
                if partial.until <= now:
                    self._give_up(source, partial)
                elif partial.ask_at <= now:
                    asks.append(Ask(name, partial.ask(now)))
        return asks

    def forget(self, source: str) -> None:
        """Drop everything of a source that is no peer any longer."""
        gone = self._sources.pop(source, None)
        if gone is not None:
            self._size -= gone.size

    def _partials(self) -> Iterator[_Partial]:
        return (partial for source in self._sources.values() for partial in source.partial.values())

    def _add(self, name: str, number: int, index: int, last: int, content: bytes, now: float) -> Arrived | None:
        source = self._sources.setdefault(name, _Source())
        if number in source.complete:
            return None
        partial = source.partial.get(number)
        if partial is None:
            partial = self._begin(source, number, last, now)
        if partial.last != last:
            self.refused += 1
            return None
        if index not in partial.pieces:
            self._account(source, len(content))
            partial.add(index, content, now)
        if len(partial.pieces) <= last:
            self._make_room()
            return None
        self._remove(source, partial)
        source.complete.append(number)
        return Arrived(name, b"".join(partial.pieces[each] for each in range(last + 1)))

    def _begin(self, source: _Source, number: int, last: int, now: float) -> _Partial:
        if len(source.partial) >= MOST_PARTIAL:
            self._give_up(source, next(iter(source.partial.values())))
        partial = source.partial[number] = _Partial(number, last, now + LIFETIME_SECS)
        return partial

    def _make_room(self) -> None:
        while self._size > PARTIAL_SIZE:
            largest = max(self._sources.values(), key=lambda source: source.size)
            self._give_up(largest, next(iter(largest.partial.values())))

    def _give_up(self, source: _Source, partial: _Partial) -> None:
        self.lost += 1
        self._remove(source, partial)

    def _remove(self, source: _Source, partial: _Partial) -> None:
        del source.partial[partial.number]
        self._account(source, -partial.size)

    def _account(self, source: _Source, size: int) -> None:
        source.size += size
        self._size += size


def _read_piece(datagram: bytes) -> tuple[int, int, int, bytes] | None:
    """Return frame number, index, last index and content, or None when the datagram is no piece of a frame."""
    if not _HEAD.size + _PLACE.size < len(datagram) <= DATAGRAM_SIZE or datagram[0] != PIECE:
        return None
    number = _HEAD.unpack_from(datagram)[1]
    index, last = _PLACE.unpack_from(datagram, _HEAD.size)
    content = datagram[_HEAD.size + _PLACE.size :]
    whole = index == last or len(content) == PIECE_SIZE
    fits = index <= last < MOST_PIECES and last * PIECE_SIZE + (len(content) if index == last else 1) <= MAX_FRAME
    return (number, index, last, content) if whole and fits else None
