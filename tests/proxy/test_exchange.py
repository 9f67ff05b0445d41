"""One request and its answer, as streams, between real sockets."""

import os
from pathlib import Path

from twisted.internet.endpoints import TCP4ClientEndpoint

from rustbalance.life import pause
from rustbalance.proxy.settings import OnionTarget
from tests.proxy.origin import Asked, Origin, Talk, hello
from tests.proxy.socks_server import Slowly, SocksServer
from tests.proxy.wire import Client, ProxyCase, eventually, get, reactor

MIB = 2**20


def memory() -> int:
    """Return how many bytes of memory this process has resident."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


class Flood:
    """A producer of ``size`` bytes behind a head; knows how much the other side has let it write."""

    def __init__(self, talk: Talk, size: int, head: bytes) -> None:
        self.talk = talk
        self.left = size
        self.written = 0
        talk.transport.write(head)
        talk.transport.registerProducer(self, False)

    def resumeProducing(self) -> None:
        """Write a piece; at the end close, as HTTP/1.0 servers do."""
        if not self.left:
            self.talk.transport.unregisterProducer()
            self.talk.transport.loseConnection()
            return
        size = min(65536, self.left)
        self.left -= size
        self.written += size
        self.talk.transport.write(bytes(size))

    def pauseProducing(self) -> None:
        """Never asked of a pull producer."""

    def stopProducing(self) -> None:
        """The connection is gone."""
        self.left = 0


def flooding(origin: Origin, size: int, head: bytes = b"") -> list[Flood]:
    """Make the origin answer / with a flood; return the floods that were begun."""
    floods: list[Flood] = []
    line = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
    origin.whole["/"] = lambda talk, asked: floods.append(Flood(talk, size, head or line))
    return floods


class StreamingTests(ProxyCase):
    """D-48: bodies pass through and are never collected."""

    async def test_download(self) -> None:
        """64 MiB come down while the process grows by little."""
        origin = self.origin()
        flooding(origin, 64 * MIB)
        client = await self.connect(self.front(origin))
        before = memory()
        client.keep = False
        client.send(get())
        await eventually(lambda: client.count > 64 * MIB, "the whole body")
        self.assertLess(memory() - before, 12 * MIB)

    async def test_upload(self) -> None:
        """64 MiB go up, chunked or by length, while the process grows by little."""
        origin = self.origin()
        front = self.front(origin)
        before = memory()
        piece = bytes(65536)
        for line, framed in (
            (f"Content-Length: {64 * MIB}", piece),
            ("Transfer-Encoding: chunked", b"10000\r\n" + piece + b"\r\n"),
        ):
            client = await self.connect(front)
            client.send(get("/", line, method="POST"))
            for _ in range(64 * MIB // len(piece)):
                client.send(framed)
                await eventually(lambda client=client: not client.transport.dataBuffer, "room")  # type: ignore[misc]
            client.send(b"0\r\n\r\n" if len(framed) > len(piece) else b"")
            self.assertEqual((await client.response())[2], b"hello")
            self.assertEqual(origin.asked[-1].size, 64 * MIB)
        self.assertLess(memory() - before, 16 * MIB)
        self.assertEqual(origin.complaints, [])

    async def test_upload_begins_at_once(self) -> None:
        """The target gets the beginning of an upload before its end is sent."""
        origin = self.origin()
        client = await self.connect(self.front(origin))
        client.send(get("/", "Content-Length: 10", method="POST") + b"hello")
        await eventually(lambda: origin.talks and origin.talks[0].request and origin.talks[0].request.size == 5)
        client.send(b"world")
        await client.response()
        self.assertEqual(origin.asked[0].body, b"helloworld")

    async def test_absurd_length(self) -> None:
        """D-48: a length of a terabyte costs nothing, one past any measure is refused, and the node lives on."""
        origin = self.origin()
        front = self.front(origin)
        before = memory()
        huge = await self.connect(front)
        huge.send(get("/", "Content-Length: 1099511627776", method="POST") + b"x")
        await eventually(lambda: origin.asked, "the request")
        absurd = get("/", "Content-Length: 18446744073709551615", method="POST")
        self.assertEqual((await self.ask(front, absurd))[0], 413)
        self.assertEqual((await self.ask(front, get()))[0], 200)
        self.assertLess(memory() - before, 4 * MIB)

    async def test_slow_reader(self) -> None:
        """A visitor who does not read stops the target; when it reads, all of it arrives."""
        origin = self.origin()
        floods = flooding(origin, 32 * MIB)
        client = await self.connect(self.front(origin))
        client.keep = False
        client.transport.pauseProducing()
        client.send(get())
        await eventually(lambda: floods, "the answer")
        await self._settled(lambda: floods[0].written)
        self.assertLess(floods[0].written, 16 * MIB)
        client.transport.resumeProducing()
        await eventually(lambda: client.count > 32 * MIB, "all of it")

    async def test_slow_target(self) -> None:
        """A target that does not read stops the visitor; when it reads, all of it arrives."""
        origin = self.origin()
        origin.early["/"] = lambda talk, asked: talk.transport.pauseProducing()
        client = await self.connect(self.front(origin))
        size = 32 * MIB
        client.send(get("/", f"Content-Length: {size}", method="POST"))
        client.transport.write(bytes(size))
        await eventually(lambda: origin.asked, "the request")
        left = await self._settled(lambda: len(client.transport.dataBuffer) - client.transport.offset)
        self.assertGreater(left, size // 4)
        origin.talks[0].transport.resumeProducing()
        await eventually(lambda: origin.asked[0].size == size, "all of it")

    async def _settled(self, figure: object) -> int:
        assert callable(figure)
        last, now = -1, int(figure())
        while now != last:
            await pause(reactor, 0.1)
            last, now = now, int(figure())
        return now


class EndTests(ProxyCase):
    """D-51: an end is the end, and a break is a break."""

    async def test_visitor_gone(self) -> None:
        """When the visitor leaves in the middle of an answer, the target's connection goes at once."""
        origin = self.origin()
        floods = flooding(origin, 1024 * MIB)
        client = await self.connect(self.front(origin))
        client.send(get())
        await client.until(b"\r\n\r\n")
        client.transport.abortConnection()
        await eventually(lambda: origin.open == 0, "the end at the target")
        self.assertLess(floods[0].written, 64 * MIB)

    async def test_visitor_gone_while_uploading(self) -> None:
        """When the visitor leaves in the middle of its request, the target does not take half of it for all."""
        origin = self.origin()
        front = self.front(origin)
        for count, leave in enumerate(("abortConnection", "loseConnection"), 1):
            client = await self.connect(front)
            client.send(get("/", "Transfer-Encoding: chunked", method="POST") + b"5\r\nhello\r\n")
            await eventually(lambda count=count: len(origin.asked) == count, "the request")  # type: ignore[misc]
            getattr(client.transport, leave)()
            await eventually(lambda: origin.open == 0, "the end at the target")
        self.assertTrue(all(talk.request is not None for talk in origin.talks))
        self.assertIsNot(front.status().target_healthy, False)

    async def test_target_gone(self) -> None:
        """When the target leaves in the middle, in whatever way, the visitor's connection breaks off."""
        origin = self.origin()
        front = self.front(origin)
        for head in (b"Content-Length: 99", b"Transfer-Encoding: chunked"):
            for leave in ("abortConnection", "loseConnection"):

                def answer(talk: Talk, asked: Asked, head: bytes = head, leave: str = leave) -> None:
                    talk.transport.write(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n4\r\nhalf\r\n")
                    reactor.callLater(0.05, getattr(talk.transport, leave))

                origin.whole["/"] = answer
                client = await self.connect(front)
                client.send(get())
                await client.until(b"half")
                self.assertFalse(await client.closed(), (head, leave))
                self.assertNotIn(b"0\r\n\r\n", client.data)

    async def test_until_close(self) -> None:
        """D-51: binary data without a length arrives whole, in chunks that tell its end from a break."""
        origin = self.origin()
        body = bytes(range(256)) * 1000

        def answer(talk: Talk, asked: Asked) -> None:
            talk.transport.write(b"HTTP/1.1 200 OK\r\n\r\n" + body)
            talk.transport.loseConnection()

        origin.whole["/"] = answer
        client = await self.connect(self.front(origin))
        client.send(get())
        _, head, received = await client.response()
        self.assertEqual(received, body)
        self.assertIn(b"Connection: close", head)
        self.assertTrue(await client.closed())

    async def test_until_close_broken(self) -> None:
        """D-51: when such a connection is reset the visitor's is as well."""
        origin = self.origin()

        def answer(talk: Talk, asked: Asked) -> None:
            talk.transport.write(b"HTTP/1.1 200 OK\r\n\r\nhalf")
            reactor.callLater(0.05, talk.transport.abortConnection)

        origin.whole["/"] = answer
        client = await self.connect(self.front(origin))
        client.send(get())
        await client.until(b"half")
        self.assertFalse(await client.closed())
        self.assertNotIn(b"0\r\n\r\n", client.data)

    async def test_old_visitor(self) -> None:
        """HTTP/1.0 gets the content of chunks without them, and the end of the connection as the end."""
        origin = self.origin()
        origin.whole["/"] = lambda talk, asked: talk.transport.write(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        )
        client = await self.connect(self.front(origin))
        client.send(get(version="1.0"))
        self.assertTrue(await client.closed())
        self.assertTrue(client.data.endswith(b"\r\n\r\nhello"), client.data)

    async def test_half_close(self) -> None:
        """D-49: a visitor that has said all may close its half and still gets its whole answer."""
        origin = self.origin()
        body = bytes(4 * MIB)
        origin.whole["/"] = lambda talk, asked: reactor.callLater(0.1, talk.say, 200, body)
        client = await self.connect(self.front(origin))
        client.send(get())
        client.transport.loseWriteConnection()
        self.assertEqual(len((await client.response())[2]), len(body))
        self.assertTrue(await client.closed())

    async def test_half_close_while_connecting(self) -> None:
        """D-49: nor does it matter that the way to the target opens after that end."""
        origin = self.origin()
        way = Slowly(reactor, TCP4ClientEndpoint(reactor, "127.0.0.1", origin.target.port), 0.2)
        server = SocksServer({("a.onion", 80): way})
        front = self.front(OnionTarget("a.onion"), socks=server.listen(reactor))
        self.cleanup(server.close)
        for length, status in ((5, 200), (6, None)):
            client = await self.connect(front)
            client.send(get("/", f"Content-Length: {length}", "Connection: close", method="POST") + b"hello")
            client.transport.loseWriteConnection()
            if status is not None:
                self.assertEqual((await client.response())[0], status)
            self.assertIs(await client.closed(), status is not None)
        self.assertIsNot(front.status().target_healthy, False)

    async def test_stuck_answer(self) -> None:
        """D-55: silence in the middle of an answer ends it, after the idle time and not before; time alone does not."""
        origin = self.origin()

        def drip(talk: Talk, asked: Asked) -> None:
            talk.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
            for turn in range(8):
                reactor.callLater(0.15 * turn, talk.transport.write, b"%d" % turn)

        origin.whole["/"] = drip
        client = await self.connect(self.front(origin, idle_timeout=0.5))
        client.send(get())
        await client.until(b"01234567")
        self.assertFalse(await client.closed())


class AnswerTests(ProxyCase):
    """Answers of all sorts, also hostile ones."""

    async def reply(self, *answers: bytes, request: bytes = b"") -> Client:
        """Return a client that has asked a target that answers as given."""
        origin = self.origin()
        origin.whole["/"] = lambda talk, asked: talk.transport.writeSequence(answers)
        client = await self.connect(self.front(origin, idle_timeout=1.0))
        client.send(request or get())
        return client

    async def test_no_body(self) -> None:
        """D-50: HEAD, 204 and 304 with a length do not hang and do not eat the next answer."""
        for method, line in (("HEAD", b"200 OK"), ("GET", b"304 Not Modified"), ("GET", b"204 No Content")):
            client = await self.reply(
                b"HTTP/1.1 " + line + b"\r\nContent-Length: 100\r\n\r\n", request=get(method=method)
            )
            self.assertEqual((await client.response(head=True))[0], int(line[:3]))
            client.send(get("/next"))
            self.assertEqual((await client.response())[2], b"hello")

    async def test_hostile(self) -> None:
        """D-52: an answer that two parsers might read differently is a 502."""
        for answer in (
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: a\nSet-Cookie: b\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: a\r\n folded\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: \x00\r\n\r\n",
            b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n",
            b"HTTP/1.1 103 E\r\n\r\n" * 40,
            b"SSH-2.0-OpenSSH\r\n",
            b"HTTP/1.1 200 OK\r\nX: " + b"x" * 40000,
        ):
            client = await self.reply(answer)
            while (found := await client.response())[0] == 103:
                pass
            self.assertEqual(found[0], 502, answer[:80])

    async def test_broken_chunks(self) -> None:
        """Chunks that break in the middle break the visitor's connection off."""
        origin = self.origin()

        def answer(talk: Talk, asked: Asked) -> None:
            talk.transport.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
            reactor.callLater(0.05, talk.transport.write, b"zz\r\nevil")

        origin.whole["/"] = answer
        client = await self.connect(self.front(origin))
        client.send(get())
        await client.until(b"abc")
        self.assertFalse(await client.closed())

    async def test_more_than_promised(self) -> None:
        """Bytes behind an answer are not taken for the next one: that connection is not used again."""
        origin = self.origin()
        surplus = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfakeHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
        origin.whole["/"] = lambda talk, asked: talk.transport.write(surplus)
        client = await self.connect(self.front(origin))
        client.send(get())
        self.assertEqual((await client.response())[2], b"fake")
        client.send(get("/next"))
        self.assertEqual((await client.response())[2], b"hello")
        self.assertEqual(len(origin.talks), 2)

    async def test_continue(self) -> None:
        """Expect goes to the target, its 100 comes back once, and only to whoever waits for it."""
        origin = self.origin()
        origin.early["/"] = lambda talk, asked: talk.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 2)
        front = self.front(origin)

        def complete(talk: Talk) -> None:
            talk.say(200, b"hello")

        for fields, statuses in ((("Expect: 100-continue",), [100, 200]), ((), [200])):
            client = await self.connect(front)
            client.send(get("/", "Content-Length: 5", *fields, method="PUT"))
            found = [(await client.response())[0]] if fields else []
            client.send(b"hello")
            await eventually(lambda: origin.asked[-1].size == 5, "the body")
            complete(origin.talks[-1])
            found.append((await client.response())[0])
            self.assertEqual(found, statuses)

    async def test_early_answer(self) -> None:
        """An answer that comes before the request is whole arrives, and both connections end with it."""
        origin = self.origin()
        origin.early["/"] = lambda talk, asked: talk.say(413, b"too large")
        client = await self.connect(self.front(origin))
        client.send(get("/", "Content-Length: 1000000", method="POST") + bytes(1000))
        status, head, body = await client.response()
        self.assertEqual((status, body), (413, b"too large"))
        self.assertIn(b"Connection: close", head)
        await client.closed()
        await eventually(lambda: origin.open == 0, "the end at the target")

    async def test_refused_upload(self) -> None:
        """A body that breaks its framing is a 400, and the target never sees its end."""
        origin = self.origin()
        done: list[Asked] = []
        origin.whole["/"] = lambda talk, asked: done.append(asked)
        client = await self.connect(self.front(origin))
        client.send(get("/", "Transfer-Encoding: chunked", method="POST") + b"5\r\nhello\r\n")
        await eventually(lambda: origin.asked and origin.asked[0].size == 5, "the beginning")
        client.send(b"zz\r\n0\r\n\r\n")
        self.assertEqual((await client.response())[0], 400)
        await client.closed()
        await eventually(lambda: origin.open == 0, "the end at the target")
        self.assertEqual((done, origin.asked[0].size), ([], 5))


class ReuseTests(ProxyCase):
    """Connections to the target that carry one request after another."""

    async def test_reused(self) -> None:
        """Keep-alive on both sides: one connection for all."""
        origin = self.origin()
        client = await self.connect(self.front(origin))
        for _ in range(5):
            client.send(get())
            self.assertEqual((await client.response())[2], b"hello")
        self.assertEqual((len(origin.talks), len(origin.asked)), (1, 5))

    async def test_reused_after_being_held(self) -> None:
        """A connection that was held back by a slow visitor reads again for the next one."""
        origin = self.origin()
        body = bytes(8 * MIB)
        origin.whole["/big"] = lambda talk, asked: talk.say(200, body)
        front = self.front(origin)
        slow = await self.connect(front)
        slow.keep = False
        slow.transport.pauseProducing()
        slow.send(get("/big", "Connection: close"))
        await pause(reactor, 0.2)
        slow.transport.resumeProducing()
        await slow.closed()
        self.assertGreater(slow.count, len(body))
        self.assertEqual((await self.ask(front, get()))[2], b"hello")
        self.assertEqual(len(origin.talks), 1)

    async def test_stale(self) -> None:
        """D-58: a pooled connection that dies with the next request is tried once more, if that request may be."""
        origin = self.origin()
        seen: list[str] = []

        def die_when_old(talk: Talk, asked: Asked) -> None:
            seen.append(asked.method)
            if len(origin.talks) == 1:
                talk.transport.loseConnection()
            else:
                hello(talk, asked)

        origin.whole["/"] = die_when_old
        front = self.front(origin)
        client = await self.connect(front)
        client.send(get("/first"))
        await client.response()
        client.send(get())
        self.assertEqual((await client.response())[0], 200)
        self.assertEqual(seen, ["GET", "GET"])

    async def test_not_repeated(self) -> None:
        """A POST, or a request that a fresh connection failed on, is never sent twice."""
        origin = self.origin()
        origin.whole["/die"] = lambda talk, asked: talk.transport.loseConnection()
        front = self.front(origin)
        self.assertEqual((await self.ask(front, get("/die")))[0], 502)
        client = await self.connect(front)
        client.send(get("/first"))
        await client.response()
        client.send(get("/die", "Content-Length: 1", method="POST") + b"x")
        self.assertEqual((await client.response())[0], 502)
        self.assertEqual(origin.paths, ["/die", "/first", "/die"])
