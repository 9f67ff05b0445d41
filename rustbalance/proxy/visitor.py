"""
A visitor's connection.

Owns: the wire from Tor, on which one request after another is read and answered. In: bytes; out: exchanges with the
target, pages of our own, and the end of the connection. Requests that are sent ahead wait their turn, in a small
buffer.
"""

from collections.abc import Callable

from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from rustbalance.proxy.collecting import Collecting
from rustbalance.proxy.exchange import Exchange
from rustbalance.proxy.heads import MalformedMessage
from rustbalance.proxy.pages import PAGES, Intercept, LocalAnswer
from rustbalance.proxy.reading import RequestReader
from rustbalance.proxy.request import RequestHead
from rustbalance.proxy.shared import Shared
from rustbalance.proxy.stream import Stream, limit_send_buffer

#: Bytes that may wait while the target, or an earlier answer, is not done.
MOST_PENDING = 16384
SEND_BUFFER = 131072
#: Seconds that a visitor has for reading the answer to a request of which the rest is thrown away.
LINGER = 5.0


class Visitor(Stream):
    """
    ``left`` is called with it when it is gone; ``intercept`` sees its requests first.

    Its ``deadline`` is watched from the beginning to the end.
    """

    def __init__(self, shared: Shared, left: Callable[["Visitor"], None], intercept: Intercept) -> None:
        self.reader = RequestReader()
        self.deadline = shared.deadlines.now + shared.settings.keep_alive
        self._shared = shared
        self._left = left
        self._intercept = intercept
        self._exchange: Exchange | Collecting | None = None
        self._request: RequestHead | None = None
        self._in_head = False
        self._advancing = False
        self._lingering = False
        self._waits = False

    def connectionMade(self) -> None:
        """Begin to wait for a request."""
        super().connectionMade()
        limit_send_buffer(self.transport, SEND_BUFFER)
        self._shared.deadlines.watch(self)

    def dataReceived(self, data: bytes) -> None:
        """Take what the visitor sends."""
        self._shared.tally.bytes_in += len(data)
        if self._lingering:
            return
        self.reader.feed(data)
        if self._exchange is None:
            self._advance()
        else:
            self._exchange.visitor_said()
        self._bound()

    def send(self, *pieces: bytes) -> None:
        """Write, and count it."""
        self._waits = False
        self._shared.tally.bytes_out += sum(map(len, pieces))
        super().send(*pieces)

    def stuck(self) -> None:
        """Let the target wait."""
        if self._exchange is not None:
            self._exchange.visitor_stuck()

    def drained(self) -> None:
        """Go on where the output was stuck."""
        if self._exchange is None:
            self._advance()
        else:
            self._exchange.visitor_drained()

    def taken(self) -> None:
        """Read again when there is room."""
        if self.reader.pending <= MOST_PENDING:
            self.release()

    def answered(self, *, close: bool) -> None:
        """Go on to the next request, or close."""
        self._exchange = None
        if close or self._shared.stopping:
            self._close()
        else:
            self.reader.restart()
            self._advance()
            self.taken()

    def answer(self, page: LocalAnswer) -> None:
        """Answer with a page; when the rest of the request is still to come, nothing can follow."""
        request = self._request
        close = request is None or not request.keep_alive or not self.reader.complete or self._shared.stopping
        self.send(page.render(close=close, body=request is None or request.method != b"HEAD"))
        self.answered(close=close)

    def drain(self) -> None:
        """End as soon as the request under way is answered, at once when there is none."""
        if self._exchange is None and not self.closing:
            self.finish()

    def turn_away(self) -> None:
        """End the wait for the first word of an answer: the target is down, and would let it last to its deadline."""
        if self._waits and self.reader.complete and isinstance(self._exchange, Exchange):
            self._exchange.expire()

    def expire(self) -> None:
        """End what takes too long; a connection on which nothing is under way just ends."""
        if self._exchange is not None:
            self._exchange.expire()
        else:
            self.abort()

    def finish(self) -> None:
        """Close when everything is written, which must not take for ever."""
        self.deadline = self._shared.deadlines.now + self._shared.settings.idle_timeout
        super().finish()

    def readConnectionLost(self) -> None:
        """Answer what has been asked, then close (D-49)."""
        super().readConnectionLost()
        if self._exchange is not None:
            self._exchange.visitor_ended()
        elif self._lingering or not self.clogged:
            self.finish()

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008  (Twisted's default)
        """Let go of everything."""
        self.lost = True
        self._shared.deadlines.forget(self)
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.visitor_lost()
        self._left(self)

    def _advance(self) -> None:
        """Begin requests until one takes its time; an answer given at once comes back here and finds it under way."""
        if self._advancing:
            return
        self._advancing = True
        try:
            while self._exchange is None and not self.closing and not self.clogged and self._begin():
                pass
        finally:
            self._advancing = False
        if self.read_ended and self._exchange is None and not self.closing and not self.clogged:
            self.finish()

    def _begin(self) -> bool:
        """Begin the next request; False when its head is not whole yet."""
        self._request = None
        try:
            request = self.reader.next_head()
        except MalformedMessage as error:
            self.answer(PAGES[error.status])
            return False
        if request is None:
            self._wait()
            return False
        self._in_head = False
        self._request = request
        self._shared.tally.requests += 1
        self._serve(request)
        return True

    def _serve(self, request: RequestHead) -> None:
        ours = self._intercept(request)
        if isinstance(ours, LocalAnswer):
            self.answer(ours)
            return
        if ours is None and self._shared.health.turns_away:
            self.answer(PAGES[503])
            return
        if ours is None:
            self._waits = True
            self._exchange = Exchange(self, request, self._shared)
        else:
            self._exchange = Collecting(self, request, ours, self._shared)
        self._exchange.start()

    def _wait(self) -> None:
        """Give a head that has begun one deadline that no further byte moves (slow senders), silence another."""
        in_head = self.reader.pending > 0
        if in_head and not self._in_head:
            self.deadline = self._shared.deadlines.now + self._shared.settings.head_timeout
        elif not in_head:
            self.deadline = self._shared.deadlines.now + self._shared.settings.keep_alive
        self._in_head = in_head

    def _bound(self) -> None:
        if self.reader.pending > MOST_PENDING:
            self.hold()

    def _close(self) -> None:
        """
        Close; while more of the request may come, throw it away for some seconds first.

        Closing with bytes unread makes the kernel send a reset, which would overtake the answer. On the way to a stop
        we wait in any case: Tor closes when it has read the whole answer, and must not be ended before.
        """
        nothing_follows = self.reader.complete and not self.reader.pending
        if (nothing_follows and not self._shared.stopping) or self.read_ended:
            self.finish()
            return
        self._lingering = True
        self.reader.take_rest()
        self.end_writing()
        self.release()
        self.deadline = self._shared.deadlines.now + LINGER


class Refusal(Protocol):
    """The answer to one visitor too many."""

    def connectionMade(self) -> None:
        """Say so and close."""
        if self.transport is not None:
            self.transport.write(PAGES[503].render(close=True))
            self.transport.loseConnection()
