"""
Streams of bytes cut into messages.

Owns: what has arrived and is not yet understood, on either side. In: bytes in any pieces; out: heads and content when
they are asked for, or ``MalformedMessage``. Pure. What comes out does not depend on how the bytes were cut.
"""

from rustbalance.proxy.bodies import BodyReader, body_reader
from rustbalance.proxy.heads import MalformedMessage, cut_head
from rustbalance.proxy.request import RequestHead, parse_request
from rustbalance.proxy.response import ResponseHead, parse_response

#: More interim answers (1xx) to one request are a flood.
MOST_INTERIM = 16


class _Reader:
    """Bytes, and the body that is being read from them."""

    def __init__(self) -> None:
        self._buffer = b""
        self._body: BodyReader | None = None

    def feed(self, data: bytes) -> None:
        """Take what arrived."""
        self._buffer = self._buffer + data if self._buffer else data

    @property
    def pending(self) -> int:
        """How many bytes wait to be understood."""
        return len(self._buffer)

    @property
    def complete(self) -> bool:
        """Whether the message under way has come to its end."""
        return self._body is not None and self._body.done

    def next_content(self) -> bytes:
        """
        Return the content that is there, empty when there is none (yet, or any more).

        :raises MalformedMessage: the body breaks its framing.
        """
        if self._body is None or self._body.done or not self._buffer:
            return b""
        content, self._buffer = self._body.read(self._buffer)
        return content

    def take_rest(self) -> bytes:
        """Return, and forget, what waits: bytes of another protocol from here on."""
        rest, self._buffer = self._buffer, b""
        return rest

    def _cut_head(self) -> bytes | None:
        cut = cut_head(self._buffer)
        if cut is None:
            return None
        head, self._buffer = cut
        return head


class RequestReader(_Reader):
    """What a visitor sends: one request after another."""

    def next_head(self) -> RequestHead | None:
        """
        Return the next request once its head is whole; ``restart`` after the last one is complete.

        :raises MalformedMessage: with the status to answer with; nothing behind it can be trusted.
        """
        if self._body is not None or not self._buffer:
            return None
        head = self._cut_head()
        if head is None:
            return None
        request = parse_request(head)
        self._body = body_reader(request.framing)
        return request

    def restart(self) -> None:
        """Go on to the next request."""
        self._body = None


class ResponseReader(_Reader):
    """What the target sends back on one request with ``method``."""

    def __init__(self, method: bytes) -> None:
        super().__init__()
        self._method = method
        self._interim = 0

    def next_head(self) -> ResponseHead | None:
        """
        Return the next interim answer, or the final one, once its head is whole.

        :raises MalformedMessage: it is no answer, or one interim answer too many.
        """
        if self._body is not None or not self._buffer:
            return None
        if self._buffer[:7] != b"HTTP/1."[: len(self._buffer)]:
            raise MalformedMessage(502, "no answer begins like this")
        head = self._cut_head()
        if head is None:
            return None
        response = parse_response(head, self._method)
        if response.interim:
            self._count_interim()
        else:
            self._body = body_reader(response.framing)
        return response

    def end(self) -> None:
        """
        Take note that the target closed in good order.

        :raises MalformedMessage: in the middle of its answer.
        """
        if self._body is None:
            raise MalformedMessage(502, "no answer came")
        self._body.end()

    def _count_interim(self) -> None:
        self._interim += 1
        if self._interim > MOST_INTERIM:
            raise MalformedMessage(502, "too many interim answers")
