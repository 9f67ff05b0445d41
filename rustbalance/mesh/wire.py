"""
One open stream.

Owns: a connection that carries frames both ways, whoever dialled. In: what the transport brings, frames to send, the
time; out: frames for the owner, and the end of the stream with its reason. Frames wait at the owner's, not here: a
stream takes one only while the transport has room and the other side confirms.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from twisted.internet import protocol
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPushProducer, ITCPTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from rustbalance.mesh.carrier import NOBODY, NodeId
from rustbalance.mesh.streams import Ledger, MalformedStream, Receipt, StreamReader, Timings, header, receipt

#: Seconds between two receipts while one long frame arrives.
PROGRESS = 1.0


class Owner(Protocol):
    """Who has streams."""

    def opened(self, stream: "Stream") -> None:
        """It has just come up."""

    def arrived(self, stream: "Stream", frame: bytes) -> None:
        """A frame has come."""

    def writable(self, stream: "Stream") -> None:
        """There may be room for more, or something was confirmed."""

    def closed(self, stream: "Stream") -> None:
        """It is gone."""


@implementer(IPushProducer)
class Stream(protocol.Protocol):
    """
    A stream to ``peer``, which for one that we accepted is ``NOBODY`` until the owner knows better.

    Nothing at all is said to a stranger, so that nobody learns what listens here by asking.
    """

    transport: Any

    def __init__(self, owner: Owner, timings: Timings, seconds: Callable[[], float], peer: NodeId = NOBODY) -> None:
        self.peer = peer
        self.dialled = peer != NOBODY
        self._owner = owner
        self._timings = timings
        self._seconds = seconds
        self._reader = StreamReader()
        self._ledger = Ledger(seconds())
        self._paused = False
        self._reported = seconds()
        self._open = False
        self._reason: str | None = None
        self._waiting: list[Deferred[str]] = []
        self._over = False

    @property
    def confirmed(self) -> bool:
        """Whether the other side has ever confirmed a frame on it, which it only does for members."""
        return self._ledger.confirmed > 0

    @property
    def settled(self) -> bool:
        """Whether everything that was sent on it is confirmed."""
        return not self._ledger.outstanding

    @property
    def has_room(self) -> bool:
        """Whether ``send`` may be called."""
        return self._open and not self._paused and self._ledger.outstanding < self._timings.window

    def doubtful(self) -> bool:
        """Say whether an answer has been due for so long that another stream is better."""
        return not self._open or self._ledger.overdue(self._seconds()) > self._timings.doubt

    def when_closed(self) -> Deferred[str]:
        """Return a Deferred of the reason for which it ended."""
        waiting: Deferred[str] = Deferred()
        self._waiting.append(waiting)
        if self._over:
            self._tell()
        return waiting

    def send(self, frame: bytes) -> None:
        """Send one frame; an empty one is a sign of life."""
        self.transport.writeSequence([header(frame), frame])
        self._ledger.said(self._seconds())

    def abort(self, reason: str) -> None:
        """Break it off at once."""
        if self._open:
            self._reason = self._reason or reason
            self.transport.abortConnection()

    def close(self, reason: str) -> None:
        """End it when everything is written."""
        if self._open:
            self._reason = self._reason or reason
            self.transport.loseConnection()

    def tick(self) -> None:
        """Keep it alive, or end it because a deadline has passed."""
        now, ledger, timings = self._seconds(), self._ledger, self._timings
        if ledger.overdue(now) > timings.silence:
            self.abort(f"no answer for {timings.silence:g} s")
        elif self.peer == NOBODY:
            if now - ledger.opened_at > timings.stranger:
                self.abort(f"nobody we know spoke for {timings.stranger:g} s")
        elif not self.dialled:
            if now - ledger.heard_at > timings.idle:
                self.abort(f"silent for {timings.idle:g} s")
        elif self.has_room and now - ledger.said_at >= timings.keepalive:
            self.send(b"")

    def connectionMade(self) -> None:
        """Begin."""
        self._open = True
        self._ledger = Ledger(self._seconds())
        with suppress(TypeError):
            tcp = ITCPTransport(self.transport)
            tcp.setTcpNoDelay(True)
            tcp.setTcpKeepAlive(True)
        self.transport.registerProducer(self, True)
        self._owner.opened(self)

    def dataReceived(self, data: bytes) -> None:
        """Cut into frames and receipts."""
        arrived = self._ledger.arrived
        self._ledger.heard(self._seconds())
        self._reader.feed(data)
        try:
            while self._open and self._reason is None and (item := self._reader.next()) is not None:
                self._take(item)
        except MalformedStream as error:
            self.abort(str(error))
            return
        self._acknowledge(self._ledger.arrived > arrived)

    def _take(self, item: bytes | Receipt) -> None:
        if isinstance(item, Receipt):
            self._ledger.confirm(item.count)
            self._owner.writable(self)
            return
        self._ledger.arrived += 1
        if item:
            self._owner.arrived(self, item)

    def _acknowledge(self, whole: bool) -> None:
        """Confirm whole frames at once, and now and then that a long one makes progress; never to a stranger."""
        now = self._seconds()
        if self.peer == NOBODY or not self._open or not (whole or now - self._reported >= PROGRESS):
            return
        if whole or self._reader.partial:
            self._reported = now
            self.transport.write(receipt(self._ledger.arrived))

    def pauseProducing(self) -> None:
        """Take no more: the transport is full."""
        self._paused = True

    def resumeProducing(self) -> None:
        """Take more."""
        self._paused = False
        self._owner.writable(self)

    def stopProducing(self) -> None:
        """Take no more: the transport is gone."""
        self._paused = True

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008  (as Twisted declares it)
        """Tell whoever is concerned."""
        self._open, self._over = False, True
        self._reason = self._reason or reason.getErrorMessage()
        self._owner.closed(self)
        self._tell()

    def _tell(self) -> None:
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(self._reason or "")
