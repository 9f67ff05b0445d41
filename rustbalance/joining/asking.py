"""
One request to join, on one stream.

Owns: the HTTP of it. In: a connected stream, the join secret, the body; out: the body of the answer, or ``NotTaken``.
The secret goes from its page to the kernel; the rest of the request is public or sealed.
"""

import os
from typing import Final, NoReturn

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from rustbalance.cluster.envelope import MAX_FRAME
from rustbalance.proxy.framing import Kind
from rustbalance.proxy.question import Answer, NoAnswer, Question
from rustbalance.secrets import Secret

_START: Final = b"POST /.rb/"


class NotTaken(Exception):
    """The answer is not one that lets us in; the message says what came instead."""


class Asking(Question):
    """
    Sends one request and closes. ``let_in`` fires with the body of the answer, or fails with ``NotTaken``.

    ``secret`` stays the caller's; ``host`` is the master address.
    """

    def __init__(self, secret: Secret, host: str, body: bytes) -> None:
        super().__init__(b"POST", MAX_FRAME)
        self.let_in: Deferred[bytes] = self.answered.addCallbacks(_body, _not_taken)
        self._secret = secret
        self._rest = (
            b" HTTP/1.1\r\nHost: %b\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n"
            b"Connection: close\r\n\r\n%b" % (host.encode("ascii"), len(body), body)
        )

    def ask(self) -> None:
        """Send it all in one piece: nothing else was written to the stream, or it has been answered."""
        with self._secret.expose() as view:
            pieces = [memoryview(_START), view, memoryview(self._rest)]
            try:
                sent = os.writev(self.transport.fileno(), pieces)
            except OSError:
                sent = 0
        if sent != len(_START) + len(self._secret) + len(self._rest):
            self.fail("the stream did not take the request")


def _body(answer: Answer) -> bytes:
    if answer.head.status != 200:
        raise NotTaken(f"the answer was {answer.head.status}")
    if answer.head.framing.kind is Kind.UNTIL_CLOSE:
        raise NotTaken("the answer has no length")
    if len(answer.body) > MAX_FRAME:
        raise NotTaken("the answer is too long")
    return answer.body


def _not_taken(failure: Failure) -> NoReturn:
    failure.trap(NoAnswer)
    raise NotTaken(str(failure.value))
