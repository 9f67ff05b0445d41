"""One request on one stream, to a server that answers anything."""

from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol

from rustbalance.cluster.envelope import MAX_FRAME
from rustbalance.joining.asking import Asking, NotTaken
from tests.joining.nodes import HOST
from tests.joining.samples import SECRET, secret
from tests.proxy.wire import ProxyCase, eventually, reactor


class Server(Protocol):
    """Says ``answer`` when the request is there, in the given pieces, and perhaps hangs up."""

    answer: tuple[bytes, ...] = ()
    heard = b""
    hangs_up = False
    transport: Any

    def dataReceived(self, data: bytes) -> None:
        """Answer."""
        self.heard += data
        if self.heard.endswith(b"the body"):
            for piece in self.answer:
                self.transport.write(piece)
            if self.hangs_up:
                self.transport.loseConnection()


class AskingTests(ProxyCase):
    """Answers of all kinds."""

    async def asked(self, *answer: bytes, hangs_up: bool = False) -> tuple[Asking, Server]:
        """Return a request under way, and who was asked."""
        server = Server()
        server.answer, server.hangs_up = answer, hangs_up
        factory = Factory.forProtocol(lambda: server)
        port: Any = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        asking = Asking(secret(), HOST, b"the body")
        await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port), asking)
        return asking, server

    async def outcome(self, *answer: bytes, hangs_up: bool = False) -> bytes | str:
        """Return the body of the answer, or what was wrong."""
        asking, _ = await self.asked(*answer, hangs_up=hangs_up)
        try:
            return await asking.let_in
        except NotTaken as error:
            return str(error)

    async def test_request(self) -> None:
        """What goes out is one plain request."""
        asking, server = await self.asked(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        self.assertEqual(await asking.let_in, b"ok")
        head, _, body = server.heard.partition(b"\r\n\r\n")
        self.assertEqual(body, b"the body")
        lines = head.split(b"\r\n")
        self.assertEqual(lines[0], b"POST /.rb/" + SECRET + b" HTTP/1.1")
        self.assertIn(b"Host: " + HOST.encode(), lines)
        self.assertIn(b"Content-Length: 8", lines)

    async def test_pieces_and_chunks(self) -> None:
        """However it is cut, after an interim answer too."""
        whole = (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
        )
        self.assertEqual(await self.outcome(whole), b"ok")
        self.assertEqual(await self.outcome(*(bytes([octet]) for octet in whole)), b"ok")

    async def test_not_taken(self) -> None:
        """Another status, no HTTP, half an answer, none, one without a length or without an end: one error each."""
        for answer, part in (
            (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "404"),
            (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "503"),
            (b"SSH-2.0-hello\r\n", "not HTTP"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", "complete"),
            (b"", "complete"),
            (b"HTTP/1.1 200 OK\r\n\r\nok", "no length"),
        ):
            self.assertIn(part, str(await self.outcome(answer, hangs_up=True)))

    async def test_too_long(self) -> None:
        """More than a frame is not read to the end."""
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"
        self.assertIn("too long", str(await self.outcome(head, bytes(MAX_FRAME + 1))))

    async def test_cancel(self) -> None:
        """Whoever gives up waiting ends the stream."""
        asking, server = await self.asked()
        await eventually(lambda: server.heard)
        asking.let_in.cancel()
        with self.assertRaises(CancelledError):
            await asking.let_in
        await eventually(lambda: not server.transport.connected)
