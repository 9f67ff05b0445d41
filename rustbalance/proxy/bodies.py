"""
Bodies as they arrive, and as they are sent on.

Owns: the reader of each framing and the frames that we write (RFC 9112 sections 6 and 7). In: bytes in any pieces;
out: content, or ``MalformedMessage``. Pure.

Bodies are always framed anew: chunk extensions and trailers are checked and dropped, sizes are written by us. A reader
keeps at most one line of a chunked body, never content.
"""

import re
from collections.abc import Callable
from typing import Protocol

from rustbalance.proxy.framing import Framing, Kind
from rustbalance.proxy.heads import MalformedMessage, is_field_line

LONGEST_CHUNK_LINE = 256
LONGEST_TRAILERS = 8192
LARGEST_CHUNK = 2**62
LAST_CHUNK = b"0\r\n\r\n"
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;[\t\x20-\x7e\x80-\xff]*+)?")
#: What a trailer must not say (RFC 9110 section 6.5.1).
_NO_TRAILER = {b"content-length", b"transfer-encoding", b"host", b"connection", b"trailer", b"content-encoding"}


class BodyReader(Protocol):
    """Takes bytes until the body is ``done``."""

    done: bool

    def read(self, data: bytes) -> tuple[bytes, bytes]:
        """
        Return the content in ``data`` and what is left of it, which is empty as long as the body is not done.

        :raises MalformedMessage: it is no body of this framing.
        """

    def end(self) -> None:
        """
        Take note that the connection has ended in good order.

        :raises MalformedMessage: the body is not done: it was cut off.
        """


def body_reader(framing: Framing) -> BodyReader:
    """Return a reader for one body."""
    if framing.kind is Kind.CHUNKED:
        return ChunkedBody()
    if framing.kind is Kind.UNTIL_CLOSE:
        return OpenBody()
    return MeasuredBody(framing.length)


def _cut_off() -> MalformedMessage:
    return MalformedMessage(400, "the body was cut off")


class MeasuredBody:
    """A body of known length, which may be 0."""

    def __init__(self, length: int) -> None:
        self._left = length
        self.done = not length

    def read(self, data: bytes) -> tuple[bytes, bytes]:
        """Take up to what is left of the length."""
        if len(data) < self._left:
            self._left -= len(data)
            return data, b""
        content, rest = data[: self._left], data[self._left :]
        self._left = 0
        self.done = True
        return content, rest

    def end(self) -> None:
        """Complain when bytes are missing."""
        if not self.done:
            raise _cut_off()


class OpenBody:
    """A body that ends with its connection."""

    done = False

    def read(self, data: bytes) -> tuple[bytes, bytes]:
        """Take everything."""
        return data, b""

    def end(self) -> None:
        """Take it for the proper end."""
        self.done = True


class ChunkedBody:
    """A chunked body."""

    def __init__(self) -> None:
        self.done = False
        self._left = 0
        self._line = b""
        self._trailers = 0
        self._step: Callable[[bytes, int, list[bytes]], int] = self._size

    def read(self, data: bytes) -> tuple[bytes, bytes]:
        """Take chunks."""
        position = 0
        pieces: list[bytes] = []
        while position < len(data) and not self.done:
            position = self._step(data, position, pieces)
        return (pieces[0] if len(pieces) == 1 else b"".join(pieces)), data[position:]

    def end(self) -> None:
        """Complain when the last chunk has not come."""
        if not self.done:
            raise _cut_off()

    def _size(self, data: bytes, position: int, _: list[bytes]) -> int:
        line, position = self._take_line(data, position, LONGEST_CHUNK_LINE)
        if line is not None:
            self._left = _chunk_size(line)
            self._step = self._content if self._left else self._trailer
        return position

    def _content(self, data: bytes, position: int, pieces: list[bytes]) -> int:
        piece = data[position : position + self._left]
        pieces.append(piece)
        self._left -= len(piece)
        if not self._left:
            self._step = self._end_of_chunk
        return position + len(piece)

    def _end_of_chunk(self, data: bytes, position: int, _: list[bytes]) -> int:
        line, position = self._take_line(data, position, 0)
        if line is not None:
            self._step = self._size
        return position

    def _trailer(self, data: bytes, position: int, _: list[bytes]) -> int:
        line, position = self._take_line(data, position, LONGEST_TRAILERS)
        if line == b"":
            self.done = True
        elif line is not None:
            self._check_trailer(line)
        return position

    def _check_trailer(self, line: bytes) -> None:
        self._trailers += len(line)
        if not is_field_line(line) or line.partition(b":")[0].lower() in _NO_TRAILER:
            raise MalformedMessage(400, "a trailer that none may be")
        if self._trailers > LONGEST_TRAILERS:
            raise MalformedMessage(400, "the trailers are too long")

    def _take_line(self, data: bytes, position: int, limit: int) -> tuple[bytes | None, int]:
        """Return the line that ends in ``data``, without its end, or None when more is needed; and where to go on."""
        end = data.find(b"\n", position)
        line = self._line + data[position : end if end >= 0 else len(data)]
        if len(line) > limit + 1:
            raise MalformedMessage(400, "a line of a chunked body is too long")
        if end < 0:
            self._line = line
            return None, len(data)
        self._line = b""
        if not line.endswith(b"\r"):
            raise MalformedMessage(400, "a line of a chunked body has the wrong end")
        return line[:-1], end + 1


def _chunk_size(line: bytes) -> int:
    found = _CHUNK_LINE.fullmatch(line)
    if found is None:
        raise MalformedMessage(400, "a chunk without a proper size")
    size = int(found[1], 16)
    if size > LARGEST_CHUNK:
        raise MalformedMessage(400, "a chunk past any measure")
    return size


def frame(kind: Kind, content: bytes) -> tuple[bytes, ...]:
    """Return what to write for a piece of content that is not empty."""
    return (b"%x\r\n" % len(content), content, b"\r\n") if kind is Kind.CHUNKED else (content,)


def last_frame(kind: Kind) -> tuple[bytes, ...]:
    """Return what to write when the content is complete."""
    return (LAST_CHUNK,) if kind is Kind.CHUNKED else ()
