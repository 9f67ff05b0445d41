"""Real sockets for the tests of the proxy: a client that says exactly what it is told, and a front to say it to."""

import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor  # noqa: TID251  (real sockets need the real one)
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, UNIXClientEndpoint, connectProtocol
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from rustbalance.life import deferred, pause, within
from rustbalance.proxy.front import Front
from rustbalance.proxy.pages import Intercept, answer_reserved
from rustbalance.proxy.settings import ProxySettings, Target
from rustbalance.proxy.socks import SocksAddress
from tests.proxy.origin import Origin

#: The one reactor that trial runs.
reactor: Any = _reactor
PATIENCE = 10.0


class Ways:
    """Says where SOCKS proxies are, in order, and notes those that failed."""

    def __init__(self, *addresses: SocksAddress | None) -> None:
        self.addresses = tuple(address for address in addresses if address is not None)
        self.failed: list[SocksAddress] = []

    def socks_addresses(self) -> tuple[SocksAddress, ...]:
        """Return them."""
        return self.addresses

    def socks_failed(self, address: SocksAddress, reason: str) -> None:
        """Note it."""
        self.failed.append(address)


async def eventually(condition: Callable[[], object], what: str = "it") -> None:
    """Wait until ``condition`` holds; fail when it takes too long."""

    async def wait() -> None:
        while not condition():
            await pause(reactor, 0.005)

    try:
        await within(PATIENCE, reactor, wait())
    except Exception as error:
        raise AssertionError(f"{what} did not come about") from error


@implementer(IHalfCloseableProtocol)
class Client(Protocol):
    """A raw client. ``data`` is what came; ``ended``: the other side said no more; ``lost``: why it is over."""

    transport: Any

    def __init__(self) -> None:
        self.data = b""
        self.count = 0
        self.keep = True
        self.ended = False
        self.lost: type[BaseException] | None = None

    def dataReceived(self, data: bytes) -> None:
        """Take."""
        self.count += len(data)
        if self.keep:
            self.data += data

    def readConnectionLost(self) -> None:
        """Note the end."""
        self.ended = True
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Our own wish."""

    def connectionLost(self, reason: Any = None) -> None:
        """Note why."""
        self.lost = reason.type

    def send(self, data: bytes) -> None:
        """Say."""
        self.transport.write(data)

    async def until(self, ending: bytes) -> bytes:
        """Return what came, up to the first occurrence of ``ending``, and forget it."""
        await eventually(lambda: ending in self.data or self.lost, f"{ending!r} in {self.data[:2000]!r}")
        if ending not in self.data:
            raise AssertionError(f"no {ending!r} but {self.lost} after {self.data[:2000]!r}")
        found, _, self.data = self.data.partition(ending)
        return found + ending

    async def response(self, *, head: bool = False) -> tuple[int, bytes, bytes]:
        """Return status, head and body of the next answer, which must be framed by a length or by chunks."""
        lines = await self.until(b"\r\n\r\n")
        status = int(lines.split(b" ", 2)[1])
        fields = lines.lower()
        if head or status < 200 or status in (204, 304):
            return status, lines, b""
        if b"transfer-encoding: chunked" in fields:
            return status, lines, await self._chunks()
        length = int(fields.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await eventually(lambda: len(self.data) >= length, "the body")
        body, self.data = self.data[:length], self.data[length:]
        return status, lines, body

    async def _chunks(self) -> bytes:
        body = b""
        while size := int((await self.until(b"\r\n"))[:-2], 16):
            await eventually(lambda want=size + 2: len(self.data) >= want, "a chunk")  # type: ignore[misc]
            body, self.data = body + self.data[:size], self.data[size + 2 :]
        assert await self.until(b"\r\n") == b"\r\n"
        return body

    async def closed(self) -> bool:
        """Wait for the end; say whether it was a clean one."""
        await eventually(lambda: self.lost, "the end of the connection")
        return self.lost is ConnectionDone


class ProxyCase(TestCase):
    """Runs fronts, origins and clients, and puts them away."""

    timeout = 60

    def folder(self) -> Path:
        """Return a directory with a path short enough for Unix sockets."""
        path = tempfile.mkdtemp(dir="/tmp")
        self.addCleanup(shutil.rmtree, path, ignore_errors=True)
        return Path(path)

    def cleanup(self, close: Callable[[], Awaitable[object]]) -> None:
        """Await ``close()`` at the end."""

        async def run() -> None:
            await close()

        self.addCleanup(lambda: deferred(run()))

    def origin(self) -> Origin:
        """Run an origin on a port of loopback."""
        origin = Origin()
        origin.listen(reactor)
        self.cleanup(origin.close)
        return origin

    def front(
        self,
        target: Target | Origin,
        listen: Path | int = 0,
        socks: Any = None,
        intercept: Intercept = answer_reserved,
        **settings: Any,
    ) -> Front:
        """Run a front before ``target``; times are short."""
        where = target.target if isinstance(target, Origin) else target
        chosen: dict[str, Any] = {"tick": 0.05, "drain_timeout": 0.2, "connect_timeout": 2.0} | settings
        front = Front(ProxySettings(listen, where, **chosen), Ways(socks), reactor, intercept)
        front.startService()
        self.cleanup(lambda: front.stopService() if front.running else pause(reactor, 0))
        return front

    async def connect(self, front: Front) -> Client:
        """Return a client of ``front``."""
        return await self.connect_to(front.address)

    async def connect_to(self, address: str) -> Client:
        """Return a client of ``address``."""
        if address.startswith("unix:"):
            endpoint: Any = UNIXClientEndpoint(reactor, address.removeprefix("unix:"))
        else:
            endpoint = TCP4ClientEndpoint(reactor, *_split(address))
        connecting: Deferred[Any] = connectProtocol(endpoint, Client())
        client: Client = await connecting
        self.addCleanup(client.transport.abortConnection)
        return client

    async def ask(self, front: Front, request: bytes, *, head: bool = False) -> tuple[int, bytes, bytes]:
        """Send one request on a connection of its own and return the answer."""
        client = await self.connect(front)
        client.send(request)
        return await client.response(head=head)


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


def get(path: str = "/", *fields: str, method: str = "GET", host: str = "master.onion", version: str = "1.1") -> bytes:
    """Return a request without a body."""
    lines = [f"{method} {path} HTTP/{version}", f"Host: {host}", *fields]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
