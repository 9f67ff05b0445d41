"""Requests that are answered here after their body: on real sockets, in every way that a body can arrive or not."""

from twisted.internet.defer import CancelledError, Deferred

from rustbalance.life import pause
from rustbalance.proxy.pages import PAGES, BodyWanted, LocalAnswer
from rustbalance.proxy.request import RequestHead
from tests.proxy.wire import Client, ProxyCase, get, reactor

LIMIT = 64


class CollectingTests(ProxyCase):
    """An intercept that wants bodies under /here."""

    def setUp(self) -> None:
        """Remember what was collected."""
        self.bodies: list[bytes | None] = []
        self.answer = LocalAnswer(200, b"OK", (), b"taken")

    def intercept(self, request: RequestHead) -> BodyWanted | LocalAnswer | None:
        """Take over what is under /here."""
        if request.target == b"/gone":
            return PAGES[404]
        return BodyWanted(LIMIT, self.take) if request.target == b"/here" else None

    def take(self, body: bytes | None) -> LocalAnswer:
        """Note the body; None is a page that does not exist."""
        self.bodies.append(body)
        return PAGES[404] if body is None else self.answer

    async def visit(self, *pieces: bytes) -> Client:
        """Send the pieces one after the other on a connection of their own."""
        front = self.front(self.origin(), intercept=self.intercept, head_timeout=0.3)
        client = await self.connect(front)
        for piece in pieces:
            client.send(piece)
            await pause(reactor, 0.02)
        return client

    async def test_one_piece_and_many(self) -> None:
        """A body is the same however it arrives; the next request of the connection goes to the target."""
        whole = get("/here", "Content-Length: 6", method="POST") + b"abcdef"
        for pieces in ([whole], [whole[:-4], whole[-4:]], [bytes([octet]) for octet in whole[-8:]]):
            before = [whole[:-8]] if len(pieces) == 8 else []
            client = await self.visit(*before, *pieces)
            status, head, body = await client.response()
            self.assertEqual((status, body), (200, b"taken"))
            self.assertNotIn(b"close", head)
            client.send(get("/page"))
            self.assertEqual((await client.response())[2], b"hello")
        self.assertEqual(self.bodies, [b"abcdef"] * 3)

    async def test_chunks(self) -> None:
        """A chunked body is put together."""
        client = await self.visit(
            get("/here", "Transfer-Encoding: chunked", method="POST"), b"3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n"
        )
        self.assertEqual((await client.response())[0], 200)
        self.assertEqual(self.bodies, [b"abcde"])

    async def test_no_body(self) -> None:
        """A request without one has an empty one; a second one behind it waits its turn."""
        client = await self.visit(get("/here") + get("/here") + get("/gone") + get("/x"))
        self.assertEqual([(await client.response())[0] for _ in range(4)], [200, 200, 404, 200])
        self.assertEqual(self.bodies, [b"", b""])

    async def test_limit(self) -> None:
        """The largest body is taken; one byte more is not, whether it is announced or not, and is never collected."""
        client = await self.visit(get("/here", f"Content-Length: {LIMIT}", method="POST") + bytes(LIMIT))
        self.assertEqual((await client.response())[0], 200)
        client = await self.visit(get("/here", f"Content-Length: {LIMIT + 1}", method="POST"))
        self.assertEqual((await client.response())[0], 404)
        client = await self.visit(
            get("/here", "Transfer-Encoding: chunked", method="POST") + b"fffffff\r\n" + bytes(LIMIT + 1)
        )
        status, head, _ = await client.response()
        self.assertEqual((status, b"Connection: close" in head), (404, True))
        self.assertEqual(self.bodies, [bytes(LIMIT), None, None])

    async def test_absurd_length(self) -> None:
        """A length that nobody could send allocates nothing."""
        client = await self.visit(get("/here", f"Content-Length: {2**62}", method="POST"))
        self.assertEqual((await client.response())[0], 404)

    async def test_slow(self) -> None:
        """A body that trickles has one deadline for all of it."""
        client = await self.visit(get("/here", "Content-Length: 60", method="POST"), *([b"x"] * 30))
        status, head, _ = await client.response()
        self.assertEqual((status, b"Connection: close" in head), (404, True))
        self.assertEqual(self.bodies, [None])

    async def test_malformed(self) -> None:
        """A chunk that is none ends the request and the connection."""
        client = await self.visit(get("/here", "Transfer-Encoding: chunked", method="POST") + b"zz\r\n")
        self.assertEqual((await client.response())[0], 404)
        await client.closed()
        self.assertEqual(self.bodies, [None])

    async def test_half_closed(self) -> None:
        """Who says no more in the middle of the body still gets an answer; who goes away gets none."""
        client = await self.visit(get("/here", "Content-Length: 6", method="POST") + b"abc")
        client.transport.loseWriteConnection()
        self.assertEqual((await client.response())[0], 404)
        self.assertEqual(self.bodies, [None])
        client = await self.visit(get("/here", "Content-Length: 6", method="POST") + b"abc")
        client.transport.abortConnection()
        await pause(reactor, 0.5)
        self.assertEqual(self.bodies, [None])

    async def test_expect_continue(self) -> None:
        """Who waits to be asked for the body is asked."""
        client = await self.visit(get("/here", "Content-Length: 3", "Expect: 100-continue", method="POST"))
        self.assertEqual((await client.response())[0], 100)
        client.send(b"abc")
        self.assertEqual((await client.response())[0], 200)

    async def test_our_own_mistake(self) -> None:
        """An error in what answers ends the connection; nobody waits for ever."""
        self.answer = None  # type: ignore[assignment]
        client = await self.visit(get("/here"))
        await client.closed()
        self.bodies = None  # type: ignore[assignment]
        client = await self.visit(get("/here"))
        await client.closed()
        self.assertEqual(len(self.flushLoggedErrors(AttributeError, TypeError)), 2)

    async def test_answer_that_takes_a_while(self) -> None:
        """Nothing on the connection overtakes an answer that is waited for; the next request follows it."""
        gate, page = Deferred[None](), self.answer

        async def later(body: bytes | None) -> LocalAnswer:
            self.bodies.append(body)
            await gate
            return page

        self.patch(self, "take", later)
        client = await self.visit(get("/here", "Content-Length: 3", method="POST") + b"abc" + get("/page"))
        self.assertEqual(self.bodies, [b"abc"])
        self.assertNoResult(gate)
        gate.callback(None)
        self.assertEqual([(await client.response())[2] for _ in range(2)], [b"taken", b"hello"])

    async def test_answer_that_takes_too_long(self) -> None:
        """What an answer waits for has a deadline: it is told, and answers without; or the connection ends."""

        async def stuck(body: bytes | None) -> LocalAnswer:
            try:
                await Deferred[None]()
            except CancelledError:
                if body == b"abc":
                    return PAGES[404]
                raise
            raise AssertionError

        self.patch(self, "take", stuck)
        client = await self.visit(get("/here", "Content-Length: 3", method="POST") + b"abc")
        self.assertEqual((await client.response())[0], 404)
        client = await self.visit(get("/here", "Content-Length: 3", method="POST") + b"xyz")
        await client.closed()
        self.assertEqual(len(self.flushLoggedErrors(CancelledError)), 1)

    async def test_gone_before_the_answer(self) -> None:
        """Who goes away while it is waited for is told nothing; what it is about is done all the same."""
        gate, done = Deferred[None](), list[bytes | None]()

        async def later(body: bytes | None) -> LocalAnswer:
            await gate
            done.append(body)
            return self.answer

        self.patch(self, "take", later)
        client = await self.visit(get("/here", "Content-Length: 3", method="POST") + b"abc")
        client.transport.abortConnection()
        await client.closed()
        await pause(reactor, 0.02)
        gate.callback(None)
        self.assertEqual(done, [b"abc"])
