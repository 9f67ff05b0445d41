"""Questions of our own to the target."""

from twisted.internet.defer import CancelledError

from rustbalance.life import deferred
from rustbalance.proxy.asking import Unanswered
from rustbalance.proxy.front import Front
from rustbalance.proxy.settings import OnionTarget, TcpTarget
from tests.proxy.origin import Asked, Talk, hello
from tests.proxy.wire import ProxyCase, eventually, get


class AskTests(ProxyCase):
    """Through a front, to a real origin."""

    async def asked(self, front: Front, seconds: float = 2.0) -> str | int:
        """Return the status of the answer, or why there is none."""
        try:
            return await front.ask("/health?x=1", "master.onion", seconds)
        except Unanswered as error:
            return f"{error} (down: {error.down})"

    async def test_status(self) -> None:
        """It asks as a visitor would, and the connection is kept for the next one."""
        origin = self.origin()
        front = self.front(origin)
        self.assertEqual([await self.asked(front), await self.asked(front)], [200, 200])
        self.assertEqual([(asked.method, asked.path) for asked in origin.asked], [("GET", "/health?x=1")] * 2)
        self.assertEqual(origin.asked[0]["host"], f"127.0.0.1:{origin.target.port}")
        self.assertEqual(len(origin.talks), 1)
        self.assertEqual(front.status().requests_total, 0)
        self.assertEqual((await self.ask(front, get()))[0], 200)
        self.assertEqual(len(origin.talks), 1)

    async def test_preserved_host(self) -> None:
        """A target that wants to see the visitor's Host sees the address."""
        origin = self.origin()
        await self.asked(self.front(origin, host_header="preserve"))
        self.assertEqual(origin.asked[0]["host"], "master.onion")

    async def test_long_answer(self) -> None:
        """The status is enough; an answer that goes on is not waited for, and its connection not used again."""
        origin = self.origin()

        def long(talk: Talk, asked: Asked) -> None:
            talk.transport.write(b"HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 100000\r\n\r\nabc")

        origin.whole["/health"] = long
        front = self.front(origin)
        self.assertEqual(await self.asked(front), 404)
        await eventually(lambda: origin.open == 0, "the end of the connection")

    async def test_stale_connection(self) -> None:
        """One that the target has closed while it waited is no failure of the target."""
        origin = self.origin()
        front = self.front(origin)
        await self.asked(front)
        origin.early["/health"] = lambda talk, asked: talk.cut() if talk is origin.talks[0] else hello(talk, asked)
        self.assertEqual(await self.asked(front), 200)
        self.assertEqual(len(origin.talks), 2)

    async def test_failures(self) -> None:
        """Refused, silent, cut off, nonsense: each is told in words that hold no address, and leaves nothing open."""
        origin = self.origin()
        front = self.front(origin)
        answers = {
            "no answer in time (down: True)": lambda talk: None,
            "it hung up without an answer (down: True)": lambda talk: talk.cut(),
            "its answer is not HTTP (down: True)": lambda talk: talk.transport.write(b"SSH-2.0-x\r\n\r\n"),
        }
        for words, act in answers.items():
            origin.whole["/health"] = lambda talk, asked, act=act: act(talk)  # type: ignore[misc]
            self.assertEqual(await self.asked(front, 0.3), words)
            await eventually(lambda: origin.open == 0, "the end of the connection")
        await origin.close()
        self.assertEqual(await self.asked(front), "connection refused (down: True)")

    async def test_no_tor(self) -> None:
        """Without a Tor nothing is said about an onion target."""
        front = self.front(OnionTarget("a" * 56 + ".onion"))
        self.assertEqual(await self.asked(front), "no Tor is ready (down: False)")

    async def test_nobody_there(self) -> None:
        """A connection that does not come about is given up with the time limit for the answer."""
        front = self.front(TcpTarget("192.0.2.1", 9), connect_timeout=30.0)
        self.assertIn("down: True", str(await self.asked(front, 0.2)))

    async def test_given_up(self) -> None:
        """Whoever stops asking leaves no connection behind."""
        origin = self.origin()
        origin.whole["/"] = lambda talk, asked: None
        front = self.front(origin)
        asking = deferred(front.ask("/", "master.onion", 5.0))
        await eventually(lambda: origin.asked, "the question")
        asking.cancel()
        await self.assertFailure(asking, CancelledError)
        await eventually(lambda: origin.open == 0, "the end of the connection")


class TurnedAwayTests(ProxyCase):
    """Visitors while the target is down."""

    async def test_at_once(self) -> None:
        """They get the page that says so without anybody asking the target, also for an upload; then it is over."""
        origin = self.origin()
        front = self.front(origin)
        front.target.probed = True
        front.target.down("no answer")
        self.assertEqual((await self.ask(front, get()))[0], 503)
        self.assertEqual((await self.ask(front, get("/", "Content-Length: 5", method="POST")))[0], 503)
        self.assertEqual((await self.ask(front, get("/.rb/x")))[0], 404)
        self.assertEqual(origin.asked, [])
        front.target.up()
        self.assertEqual((await self.ask(front, get()))[0], 200)

    async def test_server_errors_say_nothing(self) -> None:
        """A status of 500 and more does not bring a target back that was found down."""
        origin = self.origin()
        origin.whole["/"] = lambda talk, asked: talk.say(500, b"")
        front = self.front(origin)
        self.assertEqual((await self.ask(front, get()))[0], 500)
        self.assertIsNone(front.target.healthy)
