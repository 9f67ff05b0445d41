"""
A connection whose two directions are held back separately.

Owns: one transport, its back-pressure and the ways to end it. In: Twisted's calls; out: ``drained`` and friends for
the visitor's and the target's side, which build on it. One producer is registered once, for the whole connection.
"""

import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer, ISSLTransport, ITCPTransport
from twisted.internet.protocol import Factory, Protocol
from zope.interface import implementer


@implementer(IPushProducer, IHalfCloseableProtocol)
class Stream(Protocol, ABC):
    """
    ``clogged``: so much is waiting to be written that nothing should be added.

    ``read_ended``: the other side says no more. ``closing``: we write no more. ``lost``: it is over.
    """

    transport: Any
    clogged = False
    held = False
    read_ended = False
    closing = False
    lost = False

    def connectionMade(self) -> None:
        """Ask to be told when to stop and go on writing."""
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
        self.transport.registerProducer(self, True)

    def pauseProducing(self) -> None:
        """Take note that the transport's buffer is full."""
        self.clogged = True
        self.stuck()

    def resumeProducing(self) -> None:
        """Take note that it is empty."""
        self.clogged = False
        self.drained()

    def stopProducing(self) -> None:
        """Do nothing: ``connectionLost`` follows."""

    @abstractmethod
    def stuck(self) -> None:
        """Writing has come to a halt."""

    @abstractmethod
    def drained(self) -> None:
        """Writing can go on."""

    def send(self, *pieces: bytes) -> None:
        """Write, unless nobody would read it."""
        if not self.closing and not self.lost:
            self.transport.writeSequence(pieces)

    def hold(self) -> None:
        """Read no more until ``release``."""
        if not self.held and not self.lost and not self.read_ended:
            self.held = True
            self.transport.pauseProducing()

    def release(self) -> None:
        """Read again; never after the end was read, which would be read again and again."""
        if self.held and not self.lost and not self.read_ended:
            self.held = False
            self.transport.resumeProducing()

    def finish(self) -> None:
        """Close when everything is written; Twisted waits for a registered producer, so it has to go first."""
        self._stop_writing()
        if not self.lost:
            self.transport.loseConnection()

    def end_writing(self) -> None:
        """Say that we write no more, and go on reading; TLS has no such thing in Twisted, so that ends there."""
        self._stop_writing()
        if self.lost:
            return
        if ISSLTransport.providedBy(self.transport):
            self.transport.loseConnection()
        else:
            self.transport.loseWriteConnection()

    def abort(self) -> None:
        """End at once, in a way that the other side cannot take for a proper end."""
        self.closing = True
        if not self.lost:
            self.transport.abortConnection()

    def _stop_writing(self) -> None:
        if not self.closing and not self.lost:
            self.closing = True
            self.clogged = False
            self.transport.unregisterProducer()

    def readConnectionLost(self) -> None:
        """Take note that the other side says no more."""
        self.read_ended = True

    def writeConnectionLost(self) -> None:
        """Do nothing: it was our own wish."""


def limit_send_buffer(transport: Any, size: int) -> None:
    """Keep the kernel from buffering more than about twice ``size`` bytes for a reader that does not read."""
    handle = transport.getHandle()
    if isinstance(handle, socket.socket):
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)


class QuietFactory(Factory):
    """Builds what ``build`` returns and leaves no line in the log for it."""

    noisy = False

    def __init__(self, build: Callable[[], Protocol]) -> None:
        self._build = build

    def buildProtocol(self, addr: Any) -> Protocol:
        """Build one for a connection."""
        return self._build()
