"""
Connections through a SOCKS proxy, as an endpoint.

Owns: the wire to Tor's SOCKS port until the other side is reached. In: where the proxy listens, where to go; out: the
caller's protocol on that stream, or ``SocksFailure``. Once connected, bytes pass through untouched and at once.
"""

from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, UNIXClientEndpoint
from twisted.internet.error import ConnectError, ConnectionDone
from twisted.internet.interfaces import (
    IDelayedCall,
    IHalfCloseableProtocol,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from rustbalance.proxy.socks5 import SocksConnect, SocksFailure, SocksMalformed, SocksRefused
from rustbalance.proxy.stream import QuietFactory

__all__ = [
    "SocksAddress",
    "SocksEndpoint",
    "SocksFailure",
    "SocksMalformed",
    "SocksRefused",
    "SocksSilent",
    "SocksUnreachable",
]

#: Seconds in which a SOCKS proxy on this machine must have answered the greeting; one that hangs accepts and is silent.
SILENCE = 2.0


class SocksUnreachable(SocksFailure):
    """Nothing listens where the SOCKS proxy should be."""


class SocksSilent(SocksFailure):
    """The SOCKS proxy hangs: it has not said anything in time."""


@dataclass(frozen=True)
class SocksAddress:
    """Where a SOCKS proxy listens: a Unix socket (``path``), or ``host`` (an IP address) and ``port``."""

    path: str | None = None
    host: str = "127.0.0.1"
    port: int = 9050

    def __str__(self) -> str:
        return f"{self.host}:{self.port}" if self.path is None else f"unix:{self.path}"

    def endpoint(self, reactor: Any, timeout: float) -> IStreamClientEndpoint:
        """Return the endpoint of the proxy itself; connecting to it takes at most ``timeout`` seconds."""
        if self.path is not None:
            return UNIXClientEndpoint(reactor, self.path, timeout=timeout)
        kind = TCP6ClientEndpoint if ":" in self.host else TCP4ClientEndpoint
        return kind(reactor, self.host, self.port, timeout=timeout)


@implementer(IStreamClientEndpoint)
class SocksEndpoint:
    """
    Connects to ``host:port`` through the SOCKS proxy at ``proxy``.

    :param isolation: streams with the same text may share circuits; None leaves it to Tor's default.
    :param timeout: seconds until the stream must be open (greeting, circuits and all). :param silence: seconds until
        the proxy must have answered the greeting.
    """

    def __init__(
        self,
        reactor: Any,
        proxy: SocksAddress,
        host: str,
        port: int,
        isolation: str | None = None,
        timeout: float = 120.0,
        silence: float = SILENCE,
    ) -> None:
        self._reactor = reactor
        self._proxy = proxy
        self._where = (host, port, isolation)
        self._timeout = timeout
        self._silence = silence

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:  # noqa: N803  (the name is Twisted's)
        """
        Return a Deferred of the factory's protocol, connected.

        It fails with :class:`SocksFailure`, or ``twisted.internet.defer.TimeoutError``.
        """
        opening = _Opening(SocksConnect(*self._where), protocolFactory)
        connecting = self._proxy.endpoint(self._reactor, self._timeout).connect(QuietFactory(lambda: opening))
        connecting.addErrback(_unreachable)
        connecting.addCallback(lambda _: opening.opened)
        patience = self._reactor.callLater(self._silence, _give_up, opening, connecting)
        connecting.addBoth(_in_time, opening, patience)
        return connecting.addTimeout(self._timeout, self._reactor)


def _unreachable(failure: Failure) -> None:
    failure.trap(ConnectError)
    raise SocksUnreachable("the SOCKS proxy cannot be reached") from None


def _give_up(opening: "_Opening", connecting: Deferred[IProtocol]) -> None:
    """End an attempt on which the proxy has not said a word."""
    if not opening.heard:
        opening.silent = True
        connecting.cancel()


def _in_time(result: IProtocol | Failure, opening: "_Opening", patience: IDelayedCall) -> IProtocol | Failure:
    if patience.active():
        patience.cancel()
    if opening.silent and isinstance(result, Failure):
        raise SocksSilent("the SOCKS proxy is silent")
    return result


@implementer(IHalfCloseableProtocol)
class _Opening(Protocol):
    """
    Asks for the stream; afterwards only passes on what happens to it.

    ``heard``: the proxy has said something. ``silent``: it had not when it should have.
    """

    transport: Any

    def __init__(self, request: SocksConnect, factory: IProtocolFactory) -> None:
        self.opened: Deferred[IProtocol] = Deferred(lambda _: self.transport.abortConnection())
        self._request = request
        self._factory = factory
        self._inner: Any = None
        self._failed = False
        self.heard = self.silent = False

    def connectionMade(self) -> None:
        """Send the greeting."""
        self.transport.write(self._request.begin())

    def dataReceived(self, data: bytes) -> None:
        """Pass on, or go on asking."""
        self.heard = True
        if self._inner is not None:
            self._inner.dataReceived(data)
        elif not self._failed:
            self._negotiate(data)

    def _negotiate(self, data: bytes) -> None:
        try:
            answer = self._request.receive(data)
        except SocksFailure as failure:
            self._fail(failure)
            return
        if answer:
            self.transport.write(answer)
        if self._request.done:
            self._hand_over()

    def _hand_over(self) -> None:
        """Give the stream to the caller's protocol, with what the other side has said already."""
        inner: Any = self._factory.buildProtocol(self.transport.getPeer())
        if inner is None:
            self._fail(SocksMalformed("no protocol was built"))
            return
        self._inner = inner
        inner.makeConnection(self.transport)
        self.opened.callback(inner)
        rest = self._request.rest()
        if rest:
            inner.dataReceived(rest)

    def _fail(self, reason: Exception) -> None:
        self._failed = True
        self.transport.abortConnection()
        self.opened.errback(reason)

    def readConnectionLost(self) -> None:
        """The other side says no more; a protocol that cannot half-close is closed, as on any transport."""
        half = IHalfCloseableProtocol(self._inner, None)
        if half is None:
            self.transport.loseConnection()
        else:
            half.readConnectionLost()

    def writeConnectionLost(self) -> None:
        """Our own half is closed."""
        half = IHalfCloseableProtocol(self._inner, None)
        if half is not None:
            half.writeConnectionLost()

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008  (as Twisted declares it)
        """Tell whoever is concerned."""
        if self._inner is not None:
            self._inner.connectionLost(reason)
        elif not self._failed:
            self._failed = True
            if not self.opened.called:
                self.opened.errback(SocksMalformed("the SOCKS proxy hung up"))
