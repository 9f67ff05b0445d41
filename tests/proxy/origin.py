"""
A site for the proxy to stand before: small, real, and able to misbehave.

It reads requests with a parser of its own, which believes exactly what RFC 9112 says and refuses all else, so that a
request that the proxy passes on in an ambiguous form is noticed (``complaints``).
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol
from zope.interface import implementer

from rustbalance.proxy.settings import TcpTarget, UnixTarget

HEAD = re.compile(
    rb"([!#-'*+.0-9A-Z^-z|~-]+) ([!-~]+) HTTP/1\.1\r\n((?:[!#-'*+.0-9A-Z^-z|~-]+:[\t -~\x80-\xff]*\r\n)*)\r\n"
)
KEPT = 65536


class Asked:
    """One request as the origin has read it. ``size`` counts its body, of which ``body`` is the beginning."""

    def __init__(self, method: str, path: str, lines: list[bytes], head: bytes) -> None:
        self.method = method
        self.path = path
        self.head = head
        self.fields = [(name.lower().decode(), value.strip().decode("latin-1")) for name, _, value in map(_cut, lines)]
        self.body = b""
        self.size = 0

    def __getitem__(self, key: str) -> str | None:
        found = self.all(key)
        return found[0] if found else None

    def all(self, key: str) -> list[str]:
        """Return every value of that name."""
        return [value for name, value in self.fields if name == key]


def _cut(line: bytes) -> tuple[bytes, bytes, bytes]:
    return line.partition(b":")


Answer = Callable[["Talk", Asked], None]


def hello(talk: "Talk", asked: Asked) -> None:
    """Answer with five bytes."""
    talk.say(200, b"hello")


class Origin(Factory):
    """``whole`` maps a path to what is done when a request is complete, ``early`` to what is done at its head."""

    noisy = False

    def __init__(self) -> None:
        self.whole: dict[str, Answer] = {}
        self.early: dict[str, Answer] = {}
        self.asked: list[Asked] = []
        self.talks: list[Talk] = []
        self.complaints: list[str] = []
        self._port: Any = None
        self.target: Any = None

    def buildProtocol(self, addr: Any) -> Protocol:
        """Build one for a connection."""
        talk = Talk(self)
        self.talks.append(talk)
        return talk

    def listen(self, reactor: Any, path: Path | None = None) -> None:
        """Listen on loopback, or on a Unix socket."""
        if path is None:
            self._port = reactor.listenTCP(0, self, interface="127.0.0.1")
            self.target = TcpTarget("127.0.0.1", self._port.getHost().port)
        else:
            self._port = reactor.listenUNIX(str(path), self)
            self.target = UnixTarget(path)

    async def close(self) -> None:
        """Stop listening and cut every connection."""
        if self._port is not None:
            port, self._port = self._port, None
            await port.stopListening()
        for talk in self.talks:
            talk.cut()

    @property
    def paths(self) -> list[str]:
        """The paths asked for, in order."""
        return [asked.path for asked in self.asked]

    @property
    def open(self) -> int:
        """How many connections are open."""
        return sum(not talk.gone for talk in self.talks)


@implementer(IHalfCloseableProtocol)
class Talk(Protocol):
    """One connection from the proxy."""

    transport: Any

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.buffer = b""
        self.request: Asked | None = None
        self.left: int | None = None
        self.chunked = False
        self.raw: Callable[[bytes], None] | None = None
        self.ended = False
        self.gone: type[BaseException] | None = None

    def cut(self) -> None:
        """Abort."""
        if self.gone is None:
            self.transport.abortConnection()

    def say(self, status: int, body: bytes, *fields: bytes) -> None:
        """Answer with a body of known length."""
        self.transport.write(
            b"\r\n".join([b"HTTP/1.1 %d Fine" % status, *fields, b"Content-Length: %d" % len(body), b"", body])
        )

    def dataReceived(self, data: bytes) -> None:
        """Read."""
        if self.raw is not None:
            self.raw(data)
            return
        self.buffer += data
        while self.buffer and self.raw is None and self._step():
            pass
        if self.raw is not None and self.buffer:
            rest, self.buffer = self.buffer, b""
            self.raw(rest)

    def readConnectionLost(self) -> None:
        """Note the end; close unless a tunnel is open."""
        self.ended = True
        if self.raw is None:
            self.transport.loseConnection()
        else:
            self.raw(b"")

    def writeConnectionLost(self) -> None:
        """Our own wish."""

    def connectionLost(self, reason: Any = None) -> None:
        """Note it."""
        self.gone = reason.type

    def _step(self) -> bool:
        if self.request is None:
            return self._head()
        return self._chunk(self.request) if self.chunked else self._measured(self.request)

    def _head(self) -> bool:
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head, self.buffer = self.buffer[: end + 4], self.buffer[end + 4 :]
        found = HEAD.fullmatch(head)
        if found is None:
            return self._complain(f"no head: {head!r}")
        self.request = Asked(found[1].decode(), found[2].decode(), found[3].split(b"\r\n")[:-1], head)
        self.origin.asked.append(self.request)
        self._frame(self.request)
        early = self.origin.early.get(self.request.path.partition("?")[0])
        if early is not None:
            early(self, self.request)
        if not self.chunked and not self.left:
            self._done()
        return True

    def _frame(self, asked: Asked) -> None:
        lengths, codings = asked.all("content-length"), asked.all("transfer-encoding")
        if len(lengths) + len(codings) > 1 or codings not in ([], ["chunked"]) or len(asked.all("host")) != 1:
            self._complain(f"ambiguous: {asked.head!r}")
        if lengths and not re.fullmatch("[0-9]{1,18}", lengths[0]):
            self._complain(f"length: {asked.head!r}")
        self.chunked = bool(codings)
        self.left = int(lengths[0]) if lengths else None

    def _measured(self, asked: Asked) -> bool:
        assert self.left is not None
        part, self.buffer = self.buffer[: self.left], self.buffer[self.left :]
        self._keep(asked, part)
        self.left -= len(part)
        if not self.left:
            self._done()
        return True

    def _chunk(self, asked: Asked) -> bool:
        end = self.buffer.find(b"\r\n")
        if end < 0:
            return False
        if not re.fullmatch(b"[0-9a-f]+", self.buffer[:end]):
            return self._complain(f"chunk: {self.buffer[:80]!r}")
        size = int(self.buffer[:end], 16)
        if len(self.buffer) < end + 4 + size:
            return False
        if self.buffer[end + 2 + size : end + 4 + size] != b"\r\n":
            return self._complain(f"end of chunk, or a trailer: {self.buffer[:80]!r}")
        self._keep(asked, self.buffer[end + 2 : end + 2 + size])
        self.buffer = self.buffer[end + 4 + size :]
        if not size:
            self._done()
        return True

    def _keep(self, asked: Asked, part: bytes) -> None:
        asked.size += len(part)
        asked.body += part[: KEPT - len(asked.body)]

    def _done(self) -> None:
        asked, self.request, self.left, self.chunked = self.request, None, None, False
        assert asked is not None
        path = asked.path.partition("?")[0]
        if path not in self.origin.early:
            self.origin.whole.get(path, hello)(self, asked)

    def _complain(self, what: str) -> bool:
        self.origin.complaints.append(what)
        self.transport.abortConnection()
        return False
