"""
One question on a stream of its own, and the whole answer.

Owns: reading an answer to its end within a bound. In: a connected stream; out: an ``Answer``, or ``NoAnswer``. Whoever
asks sends the request and judges the answer.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from rustbalance.proxy.heads import MalformedMessage
from rustbalance.proxy.reading import ResponseReader
from rustbalance.proxy.response import ResponseHead


class NoAnswer(Exception):
    """The stream ended before the answer was complete, or that is none."""


@dataclass(frozen=True)
class Answer:
    """``body`` is read one byte beyond the bound and no further: then it is too long, and its rest was never read."""

    head: ResponseHead
    body: bytes


class Question(Protocol, ABC):
    """
    Sends one request and closes. ``answered`` fires with an ``Answer``, or fails with ``NoAnswer``.

    ``method`` is that of the request, which ``ask`` sends; ``longest`` is the bound of the body in bytes.
    """

    transport: Any

    def __init__(self, method: bytes, longest: int) -> None:
        self.answered: Deferred[Answer] = Deferred(lambda _: self.transport.abortConnection())
        self._reader = ResponseReader(method)
        self._longest = longest
        self._head: ResponseHead | None = None
        self._body = bytearray()

    @abstractmethod
    def ask(self) -> None:
        """Send the request, or ``fail``."""

    def connectionMade(self) -> None:
        """Ask."""
        self.ask()

    def dataReceived(self, data: bytes) -> None:
        """Read the answer as it comes."""
        if self.answered.called:
            return
        try:
            self._reader.feed(data)
            self._read()
        except MalformedMessage as error:
            self.fail(f"the answer is not HTTP: {error}")

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008  (as Twisted declares it)
        """Take the end for the end of the answer if that has no other, else complain."""
        try:
            self._reader.end()
            self._read()
        except MalformedMessage:
            pass
        self.fail("the stream ended before the answer was complete")

    def fail(self, reason: str) -> None:
        """Give up, unless there is an answer."""
        if not self.answered.called:
            self.transport.abortConnection()
            self.answered.errback(NoAnswer(reason))

    def _read(self) -> None:
        while self._head is None and (head := self._reader.next_head()) is not None:
            if not head.interim:
                self._head = head
        while len(self._body) <= self._longest and (content := self._reader.next_content()):
            self._body += content
        if self._head is None or self.answered.called:
            return
        if self._reader.complete or len(self._body) > self._longest:
            self.transport.abortConnection()
            self.answered.callback(Answer(self._head, bytes(self._body[: self._longest + 1])))
