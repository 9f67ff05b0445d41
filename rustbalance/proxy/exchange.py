"""
One request on its way to the target, and the answer on its way back.

Owns: the two streams while they belong together. In: what the visitor's and the target's reader hold; out: bytes on
either side, and one end: answered, or broken off. Nothing is collected: what arrives on one side is written to the
other at once, and what cannot be written is not read (D-48).

An answer whose head is out can only be completed or broken off: a visitor must never take half of it for all (D-51).
"""

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from rustbalance.proxy.bodies import frame, last_frame
from rustbalance.proxy.deadlines import NEVER
from rustbalance.proxy.failures import Trouble, trouble
from rustbalance.proxy.framing import Kind
from rustbalance.proxy.heads import MalformedMessage
from rustbalance.proxy.pages import PAGES
from rustbalance.proxy.request import RequestHead
from rustbalance.proxy.request_rules import request_bytes
from rustbalance.proxy.response import ResponseHead
from rustbalance.proxy.response_rules import Answering, outgoing, response_bytes
from rustbalance.proxy.shared import Shared
from rustbalance.proxy.sides import VisitorSide
from rustbalance.proxy.target import TargetConnection
from rustbalance.proxy.tunnel import Tunnel

#: An upload counts as moving with each further so many bytes; a drop now and then does not hold a connection.
STRIDE = 1024


class Exchange:
    """``start`` it once; afterwards both sides call it, until it calls ``answered``, ``answer`` or ``abort``."""

    log = Logger()

    def __init__(self, visitor: VisitorSide, request: RequestHead, shared: Shared) -> None:
        self._visitor = visitor
        self._request = request
        self._shared = shared
        self._opening: Deferred[None] | None = None
        self._target: TargetConnection | None = None
        self._response: ResponseHead | None = None
        self._tunnel: Tunnel | None = None
        self._sent = False
        self._continued = False
        self._retried = False
        self._over = False
        self._close = False
        self._credit = 0

    def start(self, *, fresh: bool = False) -> None:
        """Get a connection to the target; the way there has a deadline of its own."""
        self._visitor.deadline = NEVER
        opening = self._shared.pool.take(fresh=fresh).addCallbacks(self._opened, self._not_opened)
        self._opening = opening.addErrback(self._confused)

    def _opened(self, target: TargetConnection) -> None:
        self._opening = None
        if self._over:
            self._shared.pool.retire(target)
            return
        self._target = target
        target.begin(self, self._request.method)
        target.send(request_bytes(self._request, self._shared.place))
        self._touch()
        self.visitor_said()

    def _not_opened(self, failure: Failure) -> None:
        self._opening = None
        if not self._over and not failure.check(CancelledError):
            self._fail(trouble(failure))

    def _confused(self, failure: Failure) -> None:
        """An error of ours must not leave the visitor waiting for ever."""
        self.log.failure("a request could not be passed on", failure)
        self._break_off()

    # from the visitor's side

    def visitor_said(self) -> None:
        """Pass on what is in the visitor's reader, as far as the target takes it."""
        if self._target is None or self._over:
            return
        if self._tunnel is not None:
            self._touch()
            self._tunnel.run()
            return
        try:
            self._pass_upload(self._target)
        except MalformedMessage as error:
            self._fail(Trouble(error.status, "", down=False))

    def visitor_drained(self) -> None:
        """Read from the target again."""
        self._touch()
        if self._target is not None:
            self._target.release()

    def visitor_stuck(self) -> None:
        """Stop reading from the target."""
        if self._target is not None:
            self._target.hold()

    def visitor_ended(self) -> None:
        """Take note that the visitor says no more; its answer still comes if the request is whole (D-49)."""
        if self._tunnel is not None:
            self._tunnel.run()
        elif not self._over:
            self._check_visitor()

    def _check_visitor(self) -> None:
        """Break off when the rest of the request can come no more; what waits in the reader is not lost yet."""
        reader = self._visitor.reader
        if self._visitor.read_ended and not reader.complete and not reader.pending:
            self._break_off()

    def visitor_lost(self) -> None:
        """Leave the target alone at once: nobody waits for its answer."""
        self._over = True
        if self._opening is not None:
            self._opening.cancel()
        if self._target is not None:
            self._drop_target(self._target)

    def expire(self) -> None:
        """End what has been silent for too long: with a 504 when it was the target and nothing of its answer is out."""
        if self._tunnel is not None or self._response is not None:
            self._break_off()
        elif self._visitor.reader.complete or (self._target is not None and self._target.clogged):
            self._fail(Trouble(504, "no answer in time"))
        else:
            self._break_off()

    # from the target's side

    def target_said(self) -> None:
        """Pass on what is in the target's reader."""
        target = self._target
        if target is None or self._over:
            return
        self._touch()
        try:
            while self._response is None and (head := target.reader.next_head()) is not None:
                self._take_head(head)
            if self._tunnel is not None:
                self._tunnel.run()
            elif self._response is not None:
                self._pass_answer(target, self._response)
        except MalformedMessage:
            self._fail(Trouble(502, "its answer is not HTTP"))

    def target_drained(self) -> None:
        """Write to the target again."""
        self._touch()
        self.visitor_said()

    def target_ended(self, clean: bool) -> None:
        """Take note that the target says no more: its answer may be complete by that, or cut off."""
        target = self._target
        if target is None or self._over:
            return
        if self._tunnel is not None:
            self._tunnel.target_ended(clean)
        elif self._may_retry(target):
            self._retry(target)
        elif clean and self._response is not None and self._response.framing.kind is Kind.UNTIL_CLOSE:
            target.reader.end()
            self._pass_answer(target, self._response)
        else:
            self._fail(Trouble(502, "it hung up in the middle"))

    def _may_retry(self, target: TargetConnection) -> bool:
        """A pooled connection may have been closed while the request was on its way: once more, if that is safe."""
        return target.uses > 1 and not target.heard and self._request.repeatable and not self._retried

    def _retry(self, target: TargetConnection) -> None:
        self._retried = True
        self._target = None
        self._drop_target(target)
        self._sent = False
        self.start(fresh=True)

    # the work

    def _pass_upload(self, target: TargetConnection) -> None:
        reader, kind = self._visitor.reader, self._request.framing.kind
        while not target.clogged and (content := reader.next_content()):
            target.send(*frame(kind, content))
            self._move(len(content))
        if reader.complete and not self._sent:
            self._sent = True
            target.send(*last_frame(kind))
            self._touch()
        self._visitor.taken()
        self._check_visitor()

    def _take_head(self, head: ResponseHead) -> None:
        if head.interim:
            self._pass_interim(head)
            return
        if head.status == 101:
            self._switch(head)
        self._response = head
        if head.status < 500:
            self._shared.health.up()
        self._close = (
            not self._request.keep_alive
            or head.framing.kind is Kind.UNTIL_CLOSE
            or not self._sent
            or self._shared.stopping
        )
        self._visitor.send(response_bytes(head, self._answering, close=self._close))

    def _pass_interim(self, head: ResponseHead) -> None:
        """Pass on 103, and 100 to whoever waits for it, once; an HTTP/1.0 visitor knows neither."""
        wanted = head.status == 103 or (head.status == 100 and self._request.expects_continue and not self._continued)
        if wanted and self._request.minor:
            self._continued = self._continued or head.status == 100
            self._visitor.send(response_bytes(head, self._answering, close=False))

    def _switch(self, head: ResponseHead) -> None:
        if not self._request.websocket or not head.websocket or self._target is None:
            raise MalformedMessage(502, "a switch of protocols that nobody asked for")
        self._tunnel = Tunnel(self._visitor, self._target, self._end_tunnel)

    def _pass_answer(self, target: TargetConnection, response: ResponseHead) -> None:
        kind = outgoing(response, self._request)
        while content := target.reader.next_content():
            self._visitor.send(*frame(kind, content))
        if target.reader.complete:
            self._visitor.send(*last_frame(kind))
            self._complete(target, response)

    def _complete(self, target: TargetConnection, response: ResponseHead) -> None:
        self._over = True
        self._target = None
        reusable = response.keep_alive and self._sent and not target.reader.pending and not target.clogged
        if reusable and response.framing.kind is not Kind.UNTIL_CLOSE:
            self._shared.pool.give_back(target)
        elif self._sent:
            self._shared.pool.retire(target)
        else:
            self._drop_target(target)
        self._visitor.answered(close=self._close or not self._sent)

    def _end_tunnel(self, clean: bool) -> None:
        """Both directions are over, or the connection broke."""
        target = self._target
        if not clean or target is None:
            self._break_off()
            return
        self._over = True
        self._target = None
        self._shared.pool.retire(target)
        self._visitor.answered(close=True)

    def _fail(self, what: Trouble) -> None:
        """Answer with a page while that is possible, break off when it is not."""
        if what.down:
            self._shared.health.failed(what.reason)
        if self._response is not None:
            self._break_off()
            return
        self._over = True
        if self._target is not None:
            self._drop_target(self._target)
        self._visitor.answer(PAGES[what.status])

    def _break_off(self) -> None:
        self._over = True
        if self._target is not None:
            self._drop_target(self._target)
        self._visitor.abort()

    @staticmethod
    def _drop_target(target: TargetConnection) -> None:
        target.detach()
        target.abort()

    @property
    def _answering(self) -> Answering:
        return Answering(self._request, self._shared.place)

    def _move(self, size: int) -> None:
        self._credit += size
        if self._credit >= STRIDE:
            self._touch()

    def _touch(self) -> None:
        self._credit = 0
        if not self._over:
            self._visitor.deadline = self._shared.deadlines.now + self._shared.settings.idle_timeout
