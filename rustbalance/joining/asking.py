"""
One request to join, on one stream.

Owns: the HTTP of it. In: a connected stream, the join secret, the body; out: the body of the answer, or ``NotTaken``.
The secret goes from its page to the kernel; the rest of the request is public or sealed.
"""

import os
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from rustbalance.cluster.envelope import MAX_FRAME
from rustbalance.proxy.framing import Kind
from rustbalance.proxy.heads import MalformedMessage
from rustbalance.proxy.reading import ResponseReader
from rustbalance.secrets import Secret

_START: Final = b"POST /.rb/"


class NotTaken(Exception):
    """The answer is not one that lets us in; the message says what came instead."""


class Asking(Protocol):
    """
    Sends one request and closes. ``answered`` fires with the body of the answer, or fails with ``NotTaken``.

    ``secret`` stays the caller's; ``host`` is the master address.
    """

    transport: Any

    def __init__(self, secret: Secret, host: str, body: bytes) -> None:
        self.answered: Deferred[bytes] = Deferred(lambda _: self.transport.abortConnection())
        self._secret = secret
        self._rest = (
            b" HTTP/1.1\r\nHost: %b\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n"
            b"Connection: close\r\n\r\n%b" % (host.encode("ascii"), len(body), body)
        )
        self._reader = ResponseReader(b"POST")
        self._body = bytearray()
        self._status: int | None = None

    def connectionMade(self) -> None:
        """Send it all in one piece: nothing else was written to the stream, or it has been answered."""
        with self._secret.expose() as view:
            pieces = [memoryview(_START), view, memoryview(self._rest)]
            try:
                sent = os.writev(self.transport.fileno(), pieces)
            except OSError:
                sent = 0
        if sent != len(_START) + len(self._secret) + len(self._rest):
            self._end(NotTaken("the stream did not take the request"))

    def dataReceived(self, data: bytes) -> None:
        """Read the answer as it comes."""
        if self.answered.called:
            return
        try:
            self._reader.feed(data)
            self._read()
        except MalformedMessage as error:
            self._end(NotTaken(f"the answer is not HTTP: {error}"))

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008  (as Twisted declares it)
        """Complain unless all is said."""
        self._end(NotTaken("the stream ended before the answer was complete"))

    def _read(self) -> None:
        while self._status is None and (head := self._reader.next_head()) is not None:
            if not head.interim:
                self._status = head.status
                self._check(head.status, head.framing.kind)
        while not self.answered.called and (content := self._reader.next_content()):
            self._body += content
            if len(self._body) > MAX_FRAME:
                self._end(NotTaken("the answer is too long"))
        if self._reader.complete and not self.answered.called:
            self._end(bytes(self._body))

    def _check(self, status: int, kind: Kind) -> None:
        if status != 200:
            self._end(NotTaken(f"the answer was {status}"))
        elif kind is Kind.UNTIL_CLOSE:
            self._end(NotTaken("the answer has no length"))

    def _end(self, outcome: bytes | NotTaken) -> None:
        if self.answered.called:
            return
        self.transport.abortConnection()
        if isinstance(outcome, bytes):
            self.answered.callback(outcome)
        else:
            self.answered.errback(outcome)
