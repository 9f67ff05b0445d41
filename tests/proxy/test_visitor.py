"""A visitor's connection, between real sockets."""

from rustbalance.life import pause
from rustbalance.proxy.pages import PAGES
from tests.proxy.origin import Asked, Talk
from tests.proxy.test_framing import AMBIGUOUS
from tests.proxy.wire import ProxyCase, eventually, get, reactor


class ConversationTests(ProxyCase):
    """One request after another."""

    async def test_pipelined(self) -> None:
        """Requests sent ahead are answered in order, one at a time."""
        origin = self.origin()
        for number in range(20):
            path = f"/{number}"
            origin.whole[path] = lambda talk, asked: talk.say(200, asked.path.encode())
        client = await self.connect(self.front(origin))
        client.send(b"".join(get(f"/{number}") for number in range(20)))
        for number in range(20):
            self.assertEqual((await client.response())[2], b"/%d" % number)
        self.assertEqual(len(origin.talks), 1)

    async def test_sent_ahead_without_end(self) -> None:
        """What is sent ahead waits in a small buffer; the rest is not read."""
        origin = self.origin()
        held: list[Talk] = []
        origin.whole["/"] = lambda talk, asked: held.append(talk)
        front = self.front(origin)
        client = await self.connect(front)
        client.send(get())
        await eventually(lambda: held, "the first request")
        client.send(get("/next") * 400000)
        await pause(reactor, 0.3)
        self.assertLess(front.status().bytes_in, 400000)
        self.assertEqual(len(origin.asked), 1)
        held[0].say(200, b"hello")
        await client.response()
        self.assertEqual((await client.response())[0], 200)

    async def test_byte_by_byte(self) -> None:
        """Segments do not matter."""
        origin = self.origin()
        client = await self.connect(self.front(origin))
        for byte in get("/", "Content-Length: 5", method="POST") + b"hello":
            client.send(bytes([byte]))
            await pause(reactor, 0)
        self.assertEqual((await client.response())[2], b"hello")
        self.assertEqual(origin.asked[0].body, b"hello")

    async def test_close(self) -> None:
        """Whoever says close gets it, after the answer."""
        client = await self.connect(self.front(self.origin()))
        client.send(get("/", "Connection: close"))
        self.assertIn(b"Connection: close", (await client.response())[1])
        self.assertTrue(await client.closed())

    async def test_half_closed_with_more(self) -> None:
        """D-49: everything that was asked before the visitor closed its half is answered."""
        client = await self.connect(self.front(self.origin()))
        client.send(get() * 3)
        client.transport.loseWriteConnection()
        for _ in range(3):
            self.assertEqual((await client.response())[2], b"hello")
        self.assertTrue(await client.closed())

    async def test_half_closed_with_nothing(self) -> None:
        """A visitor that asks nothing and leaves is forgotten."""
        front = self.front(self.origin())
        client = await self.connect(front)
        client.send(b"GET / HT")
        client.transport.loseWriteConnection()
        self.assertTrue(await client.closed())
        await eventually(lambda: front.status().connections_active == 0)


class RefusalTests(ProxyCase):
    """What never reaches the target."""

    async def test_strictness(self) -> None:
        """D-52, D-53, D-54: every row of the table is refused with its status, and nothing behind it is read."""
        origin = self.origin()
        front = self.front(origin)
        start = b"POST / HTTP/1.1\r\nHost: master.onion\r\n"
        rows = {start + text.replace(b"|", b"\r\n") + b"\r\n\r\n": status for text, status in AMBIGUOUS.items()}
        rows |= {
            b"GET / HTTP/1.1\r\n\r\n": 400,
            b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n": 400,
            b"GET / HTTP/1.1\nHost: a\n\n": 400,
            b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n": 400,
            b"GET / HTTP/2.0\r\nHost: a\r\n\r\n": 400,
            b"\x16\x03\x01\x02\x00": 400,
            start + b"Transfer-Encoding:\r\n chunked\r\n\r\n": 400,
            start + b"Transfer-Encoding : chunked\r\n\r\n": 400,
            start + b"Transfer-Encoding: chunked\x0b\r\n\r\n": 400,
            b"CONNECT master.onion:80 HTTP/1.1\r\nHost: master.onion:80\r\n\r\n": 501,
            b"TRACE / HTTP/1.1\r\nHost: master.onion\r\n\r\n": 501,
            b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n": 414,
            start + b"A: " + b"x" * 40000 + b"\r\n\r\n": 431,
            start + b"A: b\r\n" * 101 + b"\r\n": 431,
        }
        for request, status in rows.items():
            client = await self.connect(front)
            client.send(request + get("/smuggled"))
            found, head, body = await client.response()
            self.assertEqual(found, status, request[:100])
            self.assertEqual(body, PAGES[status].body)
            self.assertIn(b"Connection: close", head)
            await client.closed()
            self.assertEqual(client.data, b"", request[:100])
        self.assertEqual(origin.asked, [])

    async def test_reserved(self) -> None:
        """D-42: the reserved prefix is answered here, on any method, spelling and place in the conversation."""
        origin = self.origin()
        client = await self.connect(self.front(origin))
        upgrade = ("Connection: Upgrade", "Upgrade: websocket")
        for request in (
            get("/.rb/secret"),
            get("//.rb/secret"),
            get("/x/../.rb/secret"),
            get("/%2e%72b/secret"),
            get("http://master.onion/.rb/secret"),
            get("/.rb/secret", *upgrade),
            get("/.rb/secret", method="PROPFIND"),
        ):
            client.send(request + get("/after"))
            self.assertEqual((await client.response())[0], 404)
            self.assertEqual((await client.response())[0], 200)
        self.assertEqual(set(origin.paths), {"/after"})

    async def test_reserved_in_two_segments(self) -> None:
        """D-42: nor does it matter how the bytes are cut, or that there is a body."""
        origin = self.origin()
        client = await self.connect(self.front(origin))
        client.send(b"POST /.r")
        await pause(reactor, 0.05)
        client.send(b"b/secret HTTP/1.1\r\nHost: m\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        self.assertEqual((await client.response())[0], 404)
        client.send(b"token")
        await client.closed()
        self.assertEqual(origin.asked, [])

    async def test_head_of_a_page(self) -> None:
        """HEAD gets no body from us either."""
        client = await self.connect(self.front(self.origin()))
        client.send(get("/.rb/x", method="HEAD") + get())
        self.assertEqual((await client.response(head=True))[0], 404)
        self.assertEqual((await client.response())[2], b"hello")

    async def test_page_survives_an_upload(self) -> None:
        """A page in answer to the beginning of a large upload is not lost to a reset."""
        client = await self.connect(self.front(self.origin()))
        client.send(get("/.rb/x", "Content-Length: 3000000", method="POST"))
        client.send(bytes(3000000))
        self.assertEqual((await client.response())[0], 404)
        await client.closed()


class PatienceTests(ProxyCase):
    """D-55: what takes too long ends, and what does not, does not."""

    async def test_slow_head(self) -> None:
        """A head has one deadline, which its bytes do not move."""
        client = await self.connect(self.front(self.origin(), head_timeout=0.4))
        for byte in get()[:-4]:
            client.send(bytes([byte]))
            await pause(reactor, 0.05)
            if client.lost:
                break
        self.assertTrue(client.lost)
        self.assertEqual(client.data, b"")

    async def test_idle(self) -> None:
        """Silence between requests ends the connection."""
        client = await self.connect(self.front(self.origin(), keep_alive=0.3))
        client.send(get())
        await client.response()
        await client.closed()

    async def test_slow_upload(self) -> None:
        """An upload that stops ends without a word, and the target is not blamed."""
        origin = self.origin()
        front = self.front(origin, idle_timeout=0.3)
        client = await self.connect(front)
        client.send(get("/", "Content-Length: 9", method="POST") + b"x")
        await client.closed()
        self.assertEqual(client.data, b"")
        self.assertIsNone(front.status().target_healthy)
        await eventually(lambda: origin.open == 0, "the end at the target")

    async def test_dripping_upload(self) -> None:
        """Drops do not keep an upload going; so many bytes in the idle time do."""
        origin = self.origin()
        front = self.front(origin, idle_timeout=0.4)
        drip, flow = await self.connect(front), await self.connect(front)
        for client in (drip, flow):
            client.send(get("/", "Content-Length: 100000", method="POST"))
        for _ in range(16):
            drip.send(b"x")
            flow.send(bytes(2000))
            await pause(reactor, 0.05)
        self.assertTrue(drip.lost)
        self.assertFalse(flow.lost)

    async def test_does_not_read(self) -> None:
        """A visitor that never takes its answer is broken off, and the target is free again."""
        origin = self.origin()
        origin.whole["/"] = lambda talk, asked: talk.say(200, bytes(8_000_000))
        front = self.front(origin, idle_timeout=0.4)
        client = await self.connect(front)
        client.transport.pauseProducing()
        client.send(get())
        await eventually(lambda: front.status().requests_total, "the request")
        await eventually(lambda: front.status().connections_active == 0, "the end")
        await eventually(lambda: origin.open == 0, "the end at the target")


class DifferenceTests(ProxyCase):
    """D-52: what reaches the target is what the visitor said, in one reading only."""

    async def test_unambiguous(self) -> None:
        """Odd but proper requests arrive in the plainest form, at an origin that complains about any other."""
        origin = self.origin()

        def mirror(talk: Talk, asked: Asked) -> None:
            talk.say(200, asked.body)

        for path in ("/a", "/b", "/c", "/d"):
            origin.whole[path] = mirror
        client = await self.connect(self.front(origin))
        for request, body in (
            (b"POST /a HTTP/1.1\r\nhOST:master.onion\r\ncontent-LENGTH:\t005 \r\n\r\nhello", b"hello"),
            (
                b"POST /b HTTP/1.1\r\nHost: m\r\nTRANSFER-encoding: ChUnKeD\r\nTrailer: X\r\n\r\n"
                b"003;a=b\r\nabc\r\n2\r\nde\r\n000;z\r\nX: y\r\n\r\n",
                b"abcde",
            ),
            (b"GET http://M/c HTTP/1.1\r\nHost: m\r\nContent-Length: 1\r\nConnection: te, x\r\nX: 1\r\n\r\nz", b"z"),
            (b"DELETE /d HTTP/1.1\r\nHost: m\r\nTransfer_Encoding: chunked\r\nContent-Length: 0\r\n\r\n", b""),
        ):
            client.send(request)
            status, _, received = await client.response()
            self.assertEqual((status, received), (200, body), request)
        self.assertEqual(origin.complaints, [])
        self.assertEqual(origin.paths, ["/a", "/b", "/c", "/d"])
