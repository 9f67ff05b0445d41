"""
A connection to the target.

Owns: the wire on which one request after another is sent, and what comes back. In: bytes; out: calls to the exchange
that uses it. Without an exchange it is idle, and anything the target says then ends it.
"""

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHandshakeListener
from twisted.python.failure import Failure
from zope.interface import implementer

from rustbalance.proxy.deadlines import NEVER
from rustbalance.proxy.reading import ResponseReader
from rustbalance.proxy.stream import Stream


class Listener(Protocol):
    """What an exchange hears of its connection."""

    def target_said(self) -> None:
        """There is something new in the connection's ``reader``."""

    def target_ended(self, clean: bool) -> None:
        """The target says no more; ``clean`` means in good order, with FIN or TLS's close_notify."""

    def target_drained(self) -> None:
        """Writing can go on."""


class TargetConnection(Stream):
    """
    ``ready`` fires with the connection once a request may be sent.

    ``uses`` counts its requests; ``heard`` says whether a byte came back on the present one.
    """

    def __init__(self) -> None:
        self.ready: Deferred[TargetConnection] = Deferred(lambda _: self._give_up())
        self.gone: Callable[[TargetConnection], None] | None = None
        self.reader = ResponseReader(b"")
        self.uses = 0
        self.heard = False
        self.deadline = NEVER
        self._listener: Listener | None = None

    def connectionMade(self) -> None:
        """Be ready at once."""
        super().connectionMade()
        self.ready.callback(self)

    def begin(self, listener: Listener, method: bytes) -> None:
        """Be used for a request with ``method``."""
        self._listener = listener
        self.reader = ResponseReader(method)
        self.heard = False
        self.uses += 1

    def detach(self) -> None:
        """Be used no more; what the exchange did not take is not for the next one."""
        self._listener = None

    def dataReceived(self, data: bytes) -> None:
        """Pass on; nobody asked an idle connection."""
        if self._listener is None:
            self.abort()
            return
        self.heard = True
        self.reader.feed(data)
        self._listener.target_said()

    def stuck(self) -> None:
        """Leave it to the exchange to look at ``clogged``."""

    def drained(self) -> None:
        """Let the exchange write again."""
        if self._listener is not None:
            self._listener.target_drained()

    def readConnectionLost(self) -> None:
        """Take the end of what the target says for the end, unless a tunnel wants to go on."""
        super().readConnectionLost()
        if self._listener is None:
            self.finish()
        else:
            self._listener.target_ended(clean=True)

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008  (Twisted's default)
        """Tell the exchange and the pool."""
        self.lost = True
        listener, self._listener = self._listener, None
        if self.gone is not None:
            self.gone(self)
        if not self.ready.called:
            self.ready.errback(reason)
        if listener is not None:
            listener.target_ended(clean=reason.check(ConnectionDone) is not None)

    def _give_up(self) -> None:
        if self.transport is not None:
            self.abort()


@implementer(IHandshakeListener)
class SecureTargetConnection(TargetConnection):
    """
    The same over TLS: ready after the handshake and ``check``, which is given the transport and raises.

    A class of its own, because Twisted's endpoints forget all but one of the interfaces that they look for, and would
    not tell a plain connection that it was half closed.
    """

    def __init__(self, check: Callable[[Any], None] | None = None) -> None:
        super().__init__()
        self._check = check

    def connectionMade(self) -> None:
        """Wait for the handshake."""
        Stream.connectionMade(self)

    def handshakeCompleted(self) -> None:  # noqa: N802  (the name is Twisted's)
        """Be ready when the certificate is the right one."""
        if self.ready.called:
            return
        try:
            if self._check is not None:
                self._check(self.transport)
        except Exception:
            self.abort()
            self.ready.errback(Failure())
        else:
            self.ready.callback(self)
