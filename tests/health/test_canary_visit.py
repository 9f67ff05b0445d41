"""One visit, through a SOCKS proxy that leads to a canary, elsewhere, or nowhere."""

from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol

from rustbalance.health.canary_page import CanaryPage
from rustbalance.health.canary_visit import Route, visit
from rustbalance.health.proof import token_key
from rustbalance.health.visits import End, Outcome
from rustbalance.proxy.pages import answer_reserved
from rustbalance.proxy.resources import ResourceIntercept
from rustbalance.proxy.socks import SocksAddress
from rustbalance.secrets import Secret
from tests.ops.statuses import node
from tests.proxy.socks_server import SocksServer
from tests.proxy.wire import ProxyCase, reactor

HOST = "a" * 56 + ".onion"
KEY = token_key(Secret.copy_of(b"the key of the cluster"))
NONCE = bytes(16)


class Says(Protocol):
    """Says C{answer} and perhaps hangs up."""

    answer = b""
    hangs_up = True
    transport: Any

    def dataReceived(self, data: bytes) -> None:
        """Answer."""
        self.transport.write(self.answer)
        if self.hangs_up:
            self.transport.loseConnection()


class VisitTests(ProxyCase):
    """What a visit comes to."""

    async def visit(self, way: Any, key: Secret = KEY, patience: float = 5.0) -> Outcome:
        """Visit what is at the end of ``way``."""
        self.server = SocksServer({(HOST, 80): way})
        socks = self.server.listen(reactor)
        self.cleanup(self.server.close)
        return await visit(Route(HOST, "/health", patience), socks, key, NONCE, reactor)

    async def canary(self, key: Secret = KEY, token: Secret | None = None) -> Any:
        """Run a front with a canary, and return the way to it."""
        page = CanaryPage("standby", token, lambda: [key], node, lambda: 0.0)
        front = self.front(self.origin(), intercept=ResourceIntercept(b"/health", page, answer_reserved))
        return TCP4ClientEndpoint(reactor, "127.0.0.1", int(front.address.rpartition(":")[2]))

    def says(self, answer: bytes, *, hangs_up: bool = True) -> Any:
        """Run a server that says this, and return the way to it."""

        def build() -> Says:
            protocol = Says()
            protocol.answer, protocol.hangs_up = answer, hangs_up
            return protocol

        port: Any = reactor.listenTCP(0, Factory.forProtocol(build), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)

    async def test_passed(self) -> None:
        """A canary of the cluster answers, with its name and that of its Tor, on circuits of the visit's own."""
        for token in (None, Secret.copy_of(b"a token of the operator")):
            found = await self.visit(await self.canary(token=token))
            self.assertEqual((found.end, found.node, found.instance), (End.PASSED, "alpha", "standby"))
            self.assertEqual(self.server.isolations, [b"canary-" + NONCE.hex().encode()])

    async def test_not_proved(self) -> None:
        """An answer that proves nothing passes, and is nobody's; so is one that only claims to be somebody's."""
        other = token_key(Secret.copy_of(b"another key"))
        found = await self.visit(await self.canary(other))
        self.assertEqual((found.end, found.node, found.instance), (End.PASSED, None, None))
        claim = b'{"status":"ok","node_id":"beta","instance":"primary"}'
        proof = b"Authentication-Info: " + b"0" * 64
        head = b"HTTP/1.1 200 OK\r\n%b\r\nContent-Length: %d\r\n\r\n" % (proof, len(claim))
        found = await self.visit(self.says(head + claim))
        self.assertEqual((found.end, found.node), (End.PASSED, None))

    async def test_strange(self) -> None:
        """Whatever else comes as an answer is none of a canary's: a page of a target, our own 404, too much."""
        ok = b'{"status":"ok"}'
        for answer in (
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 503 Busy\r\nContent-Length: %d\r\n\r\n%b" % (len(ok), ok),
            b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"status":"bad"}',
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 10000,
        ):
            self.assertEqual((await self.visit(self.says(answer))).end, End.STRANGE, answer)

    async def test_until_close(self) -> None:
        """An answer may end with its connection."""
        self.assertEqual((await self.visit(self.says(b'HTTP/1.1 200 OK\r\n\r\n{"status":"ok"}'))).end, End.PASSED)

    async def test_broken(self) -> None:
        """No answer, half of one, and what is no HTTP."""
        for answer in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", b"HTTP/1.1 200", b"SSH-2.0-x\r\n"):
            self.assertEqual((await self.visit(self.says(answer))).end, End.BROKEN, answer)

    async def test_refused(self) -> None:
        """Tor says where it got stuck."""
        for code, end in (
            (0xF0, End.LOOKUP),
            (0xF2, End.INTRODUCTION),
            (0xF3, End.RENDEZVOUS),
            (0xF7, End.INTRODUCTION),
            (0x06, End.LATE),
            (0x04, End.BROKEN),
            (0x01, End.BROKEN),
        ):
            self.assertEqual((await self.visit(code)).end, end)

    async def test_late(self) -> None:
        """The patience is for the whole visit."""
        self.assertEqual((await self.visit(None, patience=0.2)).end, End.LATE)
        self.assertEqual((await self.visit(self.says(b"H", hangs_up=False), patience=0.2)).end, End.LATE)

    async def test_no_socks(self) -> None:
        """Nobody listens where Tor should."""
        outcome = await visit(Route(HOST, "/health"), SocksAddress(path="/tmp/no-such.sock"), KEY, NONCE, reactor)
        self.assertEqual(outcome.end, End.NO_SOCKS)
