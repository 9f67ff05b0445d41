"""
A small SOCKS5 server that behaves as Tor's does where it matters.

It knows names (``routes``) instead of resolving them, keeps the isolation names it was given, refuses with any code,
and, as tor 0.4.9 does, loses its answer to the greeting when user name and request come in one segment.
"""

import socket
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import connectProtocol
from twisted.internet.interfaces import IHalfCloseableProtocol, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from zope.interface import implementer

from rustbalance.proxy.socks import SocksAddress

Route = IStreamClientEndpoint | int | None


class SocksServer(Factory):
    """
    ``routes`` maps (host, port) to an endpoint, to a reply code, or to None (never answers).

    ``refusals`` are the codes that the first requests get, wherever they want to go.
    """

    def __init__(self, routes: dict[tuple[str, int], Route], bound: bytes = b"", refusals: Sequence[int] = ()) -> None:
        self.routes = routes
        self._refusals = list(refusals)
        self.bound = bound or b"\x01" + bytes(6)
        self.isolations: list[bytes | None] = []
        self.segments: list[bytes] = []
        self.streams: list[Stream] = []
        self._port: Any = None

    def buildProtocol(self, addr: Any) -> Protocol:
        """Build one for a connection."""
        stream = Stream(self)
        self.streams.append(stream)
        return stream

    def listen(self, reactor: Any) -> SocksAddress:
        """Listen on loopback."""
        self._port = reactor.listenTCP(0, self, interface="127.0.0.1")
        return SocksAddress(port=self._port.getHost().port)

    def route(self, where: tuple[str, int]) -> Route:
        """Return where the next request is led that wants to go there."""
        return self._refusals.pop(0) if self._refusals else self.routes[where]

    async def close(self) -> None:
        """Stop listening and cut every connection."""
        await self._port.stopListening()
        for stream in self.streams:
            stream.cut()


@implementer(IHalfCloseableProtocol)
class Stream(Protocol):
    """One connection of a client."""

    transport: Any

    def __init__(self, server: SocksServer) -> None:
        self.server = server
        self.buffer = b""
        self.stage = "greeting"
        self.isolation: bytes | None = None
        self.other: Other | None = None

    def cut(self) -> None:
        """Abort."""
        if self.transport.connected:
            self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """Negotiate, then pass on."""
        if self.stage == "open" and self.other is not None:
            self.other.transport.write(data)
            return
        self.server.segments.append(data)
        self.buffer += data
        getattr(self, "on_" + self.stage)()

    def on_greeting(self) -> None:
        """Choose the method."""
        isolated = self.buffer[:3] == b"\x05\x01\x02"
        self.buffer = self.buffer[3:]
        self.stage = "login" if isolated else "request"
        if not (isolated and self.buffer):
            self.transport.write(b"\x05\x02" if isolated else b"\x05\x00")
        if self.buffer:
            getattr(self, "on_" + self.stage)()

    def on_login(self) -> None:
        """Read user name and password."""
        length = self.buffer[1]
        self.isolation = self.buffer[2 : 2 + length]
        self.buffer = self.buffer[2 + length + 1 + self.buffer[2 + length] :]
        self.transport.write(b"\x01\x00")
        self.stage = "request"
        if self.buffer:
            self.on_request()

    def on_request(self) -> None:
        """Go where the client wants, or refuse."""
        self.stage = "connecting"
        self.server.isolations.append(self.isolation)
        where = self.server.route(self._where())
        if isinstance(where, int):
            self.transport.write(bytes([5, where, 0]) + self.server.bound)
            self.transport.loseConnection()
        elif where is not None:
            connecting: Deferred[Any] = connectProtocol(where, Other(self))
            connecting.addCallbacks(self._opened, lambda _: self.transport.abortConnection())

    def _where(self) -> tuple[str, int]:
        kind, rest = self.buffer[3], self.buffer[4:]
        if kind == 3:
            host, rest = rest[1 : 1 + rest[0]].decode(), rest[1 + rest[0] :]
        else:
            family, size = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
            host, rest = socket.inet_ntop(family, rest[:size]), rest[size:]
        return host, int.from_bytes(rest[:2], "big")

    def _opened(self, other: "Other") -> None:
        self.stage = "open"
        self.other = other
        self.transport.write(bytes([5, 0, 0]) + self.server.bound + other.early)
        other.early = b""
        self.transport.registerProducer(other.transport, True)
        other.transport.registerProducer(self.transport, True)

    def readConnectionLost(self) -> None:
        """Pass the half close on."""
        if self.other is None:
            self.transport.loseConnection()
        else:
            self.other.transport.unregisterProducer()
            self.other.transport.loseWriteConnection()

    def writeConnectionLost(self) -> None:
        """Our own wish."""

    def connectionLost(self, reason: Any = None) -> None:
        """End the other side as well."""
        if self.other is not None:
            self.other.transport.unregisterProducer()
            self.other.transport.loseConnection()


@implementer(IStreamClientEndpoint)
class Slowly:
    """An endpoint that waits for ``seconds`` before it connects."""

    def __init__(self, reactor: Any, endpoint: Any, seconds: float) -> None:
        self.reactor = reactor
        self.endpoint = endpoint
        self.seconds = seconds

    def connect(self, protocolFactory: Any) -> Deferred[Any]:  # noqa: N803
        """Connect later."""
        return deferLater(self.reactor, self.seconds, self.endpoint.connect, protocolFactory)


@implementer(IHalfCloseableProtocol)
class Other(Protocol):
    """The connection to where the client wanted."""

    transport: Any

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.early = b""

    def dataReceived(self, data: bytes) -> None:
        """Pass on; what comes before the reply is sent goes out in one segment with it."""
        if self.stream.stage == "open":
            self.stream.transport.write(data)
        else:
            self.early += data

    def readConnectionLost(self) -> None:
        """Pass the half close on."""
        self.stream.transport.unregisterProducer()
        self.stream.transport.loseWriteConnection()

    def writeConnectionLost(self) -> None:
        """Our own wish."""

    def connectionLost(self, reason: Any = None) -> None:
        """End the client's side in the same way."""
        self.stream.transport.unregisterProducer()
        if reason.check("twisted.internet.error.ConnectionDone"):
            self.stream.transport.loseConnection()
        else:
            self.stream.transport.abortConnection()
