"""
A request that we answer ourselves, once its body is there.

Owns: reading a small body within bounds of size and time. In: what the visitor's reader holds; out: one answer. It
takes the place of an exchange with the target for as long as that lasts.
"""

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from rustbalance.life import deferred
from rustbalance.proxy.heads import MalformedMessage
from rustbalance.proxy.pages import BodyWanted, LocalAnswer
from rustbalance.proxy.request import RequestHead
from rustbalance.proxy.shared import Shared
from rustbalance.proxy.sides import VisitorSide

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Collecting:
    """
    ``start`` it once; afterwards the visitor's side calls it, until it calls ``answer`` or ``abort``.

    The whole body must be there within ``head_timeout`` seconds, however it trickles, and the answer as long after it.
    """

    log = Logger()

    def __init__(self, visitor: VisitorSide, request: RequestHead, wanted: BodyWanted, shared: Shared) -> None:
        self._visitor = visitor
        self._request = request
        self._wanted = wanted
        self._shared = shared
        self._body = bytearray()
        self._over = self._lost = False
        self._answering: Deferred[None] | None = None

    def start(self) -> None:
        """Take what is there already; nobody is asked to send a body that would be too long."""
        self._set_deadline()
        if self._request.framing.length > self._wanted.limit:
            self._answer(None)
            return
        if self._request.expects_continue and not self._visitor.reader.pending:
            self._visitor.send(CONTINUE)
        self.visitor_said()

    def visitor_said(self) -> None:
        """Take what has arrived; answer when it is all, or more than can be."""
        if self._over:
            return
        try:
            self._take()
        except MalformedMessage:
            self._answer(None)
            return
        if len(self._body) > self._wanted.limit:
            self._answer(None)
        elif self._visitor.reader.complete:
            self._answer(bytes(self._body))
        else:
            self._visitor.taken()

    def visitor_ended(self) -> None:
        """Answer without the rest, which can come no more."""
        self.visitor_said()
        if not self._over:
            self._answer(None)

    def visitor_lost(self) -> None:
        """Tell nobody; what an answer is about is done all the same."""
        self._over = self._lost = True

    def visitor_stuck(self) -> None:
        """Do nothing: the answer is written in one piece."""

    def visitor_drained(self) -> None:
        """Do nothing, likewise."""

    def expire(self) -> None:
        """Answer without the rest, which takes too long, or without waiting for what the answer waits for."""
        if self._answering is not None:
            self._answering.cancel()
        elif not self._over:
            self._answer(None)

    def _take(self) -> None:
        while len(self._body) <= self._wanted.limit and (content := self._visitor.reader.next_content()):
            self._body += content[: self._wanted.limit + 1]

    def _set_deadline(self) -> None:
        self._visitor.deadline = self._shared.deadlines.now + self._shared.settings.head_timeout

    def _answer(self, body: bytes | None) -> None:
        self._over = True
        self._set_deadline()
        answering = self._answering = deferred(self._give(body))
        answering.addErrback(self._failed)

    async def _give(self, body: bytes | None) -> None:
        page = self._wanted.answer(body)
        if not isinstance(page, LocalAnswer):
            page = await page
        if not self._lost:
            self._visitor.answer(page)

    def _failed(self, failure: Failure) -> None:
        self.log.failure("a request could not be answered", failure)
        if not self._lost:
            self._visitor.abort()
