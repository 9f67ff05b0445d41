"""POST /.rb/<join_secret> on a real front, asked by a raw client that says exactly what it is told."""

from collections.abc import Callable
from threading import get_ident
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher

from rustbalance.cluster.join_frames import LARGEST_REQUEST
from rustbalance.files import write_atomically
from rustbalance.joining import records
from rustbalance.joining.intercept import NOT_FOUND, JoinIntercept
from rustbalance.joining.records import JoinFile, Ledger
from rustbalance.life import threads
from rustbalance.proxy.front import Front
from rustbalance.proxy.pages import PAGES
from tests.cluster.samples import NOW
from tests.joining.nodes import HOST, Gate, JoiningCase
from tests.joining.samples import SECRET, Newcomer, ticket
from tests.proxy.wire import eventually, reactor

T = TypeVar("T")
PATH = b"/.rb/" + SECRET


def post(body: bytes, path: bytes = PATH, method: bytes = b"POST", *fields: bytes) -> bytes:
    """Return a request with a body."""
    lines = [b"%b %b HTTP/1.1" % (method, path), b"Host: " + HOST.encode(), *fields, b"Content-Length: %d" % len(body)]
    return b"\r\n".join([*lines, b"", body])


class InterceptTests(JoiningCase):
    """What a member answers."""

    async def whole(self, front: Front, request: bytes) -> bytes:
        """Return every byte of the answer."""
        _, head, body = await self.ask(front, request)
        return head + body

    def gone(self, answer: bytes, *, close: bool = False) -> None:
        """See that an answer is the one page."""
        self.assertEqual(answer, PAGES[404].render(close=close))

    async def test_let_in(self) -> None:
        """A newcomer with secret, token, key and ticket is answered and taken note of; the target hears nothing."""
        gate = self.gate()
        front = self.member(gate)
        newcomer = Newcomer()
        request = newcomer.request()
        status, head, body = await self.ask(front, post(newcomer.seal(request)))
        self.assertEqual(status, 200)
        self.assertIn(b"no-store", head)
        self.assertEqual(newcomer.read(body, request).record.id, "a")
        self.assertEqual(gate.admitted, [newcomer.record()])
        self.assertEqual(self.site.paths, [])

    async def test_on_disk_before_the_answer(self) -> None:
        """A member that is killed right after its answer still knows the ticket and the request."""
        gate = self.gate()
        front = self.member(gate)
        body = Newcomer().body()
        await self.ask(front, post(body))
        gate.intercept = gate.open()
        again = self.member(gate)
        self.gone(await self.whole(again, post(body)))
        self.gone(await self.whole(again, post(Newcomer("other").body())))

    async def test_one_page(self) -> None:
        """Whatever is wrong, the answer is the same to the byte, and the target sees none of it (D-42)."""
        gate = self.gate()
        front = self.member(gate)
        good = Newcomer().body()
        for request in (
            post(good, PATH[:-1]),
            post(good, PATH + b"0"),
            post(good, PATH[:-1] + b"0"),
            post(good, b"/.rb/"),
            post(good, PATH + b"/"),
            post(good, PATH + b"?x"),
            post(good, b"/.RB/" + SECRET),
            post(good, b"//.rb/" + SECRET),
            post(good, b"/%2erb/" + SECRET),
            post(good, b"/x/../.rb/" + SECRET),
            post(good, method=b"PUT"),
            post(b"", method=b"GET"),
            post(b""),
            post(b"x"),
            post(b"x" * LARGEST_REQUEST),
            post(good[:-1]),
            post(good[:-1] + bytes([good[-1] ^ 1])),
            post(Newcomer(shown=ticket(issuer="c")).body()),
            post(Newcomer().body(NOW.later(-400))),
        ):
            self.gone(await self.whole(front, request))
        self.assertEqual((self.site.paths, gate.admitted), ([], []))

    async def test_too_long(self) -> None:
        """A body past the bound, announced or not, is the same page for right and wrong secrets; it is never read."""
        front = self.member(self.gate())
        for path in (PATH, b"/.rb/guess"):
            long = post(b"x" * (LARGEST_REQUEST + 1), path)
            head = long[: long.index(b"\r\n\r\n") + 4]
            self.gone(await self.whole(front, head), close=True)

    async def test_slow(self) -> None:
        """A body that does not come is waited for alike with right and wrong secrets: no answer tells them apart."""
        front = self.member(self.gate(), head_timeout=0.2)
        for path in (PATH, b"/.rb/guess"):
            client = await self.connect(front)
            client.send(post(b"x" * 10, path)[:-5])
            _, head, body = await client.response()
            self.gone(head + body, close=True)

    async def test_chunked(self) -> None:
        """A chunked body is a body."""
        front = self.member(self.gate())
        body = Newcomer().body()
        start = b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % PATH
        status, _, _ = await self.ask(front, start + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        self.assertEqual(status, 200)

    async def test_second_on_a_connection(self) -> None:
        """A request behind another one, in two segments, is found all the same (D-42)."""
        front = self.member(self.gate())
        request = post(Newcomer().body())
        client = await self.connect(front)
        client.send(b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n" + request[:7])
        self.assertEqual((await client.response())[2], b"hello")
        client.send(request[7:])
        self.assertEqual((await client.response())[0], 200)
        self.assertEqual(self.site.paths, ["/page"])

    async def test_cannot_speak(self) -> None:
        """A node that has not joined itself lets nobody in; nor does one whose memory is damaged, and it says so."""
        gate = self.gate()
        gate.view = None
        front = self.member(gate)
        self.gone(await self.whole(front, post(Newcomer().body())))
        gate.view = self.gate().view
        self.assertEqual((await self.ask(front, post(Newcomer().body())))[0], 200)
        gate.store.path.write_bytes(b"{")
        gate.intercept = gate.open()
        assert gate.intercept.problem is not None
        self.assertIn(str(gate.store.path), gate.intercept.problem)
        self.gone(await self.whole(self.member(gate), post(Newcomer().body())))

    async def test_full_disk(self) -> None:
        """What cannot be remembered is not answered, and changes nothing."""
        gate = self.gate()
        front = self.member(gate)
        gate.store.path = gate.path / "gone" / "x"
        self.gone(await self.whole(front, post(Newcomer().body())))
        self.assertEqual(gate.admitted, [])
        gate.store.path = gate.path / "x"
        self.assertEqual((await self.ask(front, post(Newcomer().body())))[0], 200)

    async def test_log(self) -> None:
        """Strangers leave no line; a newcomer with the token that is not let in leaves one, without secrets."""
        lines: list[str] = []

        def note(event: dict[str, Any]) -> None:
            if event.get("log_namespace", "").startswith(JoinIntercept.__module__):
                lines.append((event.get("log_format") or "").format_map(event))

        observer: Any = note
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        front = self.member(self.gate())
        await self.ask(front, post(b"x"))
        await self.ask(front, post(b"x", b"/.rb/guess"))
        await self.ask(front, post(Newcomer(shown=ticket(issuer="c")).body()))
        await self.ask(front, post(Newcomer().body()))
        self.assertEqual(lines, ["Node new was not let in: ticket", "Node new has joined"])

    async def test_others(self) -> None:
        """Everything else is the target's."""
        front = self.member(self.gate())
        for path in (b"/rb/x", b"/.rbx", b"/x/.rb/" + SECRET):
            self.assertEqual((await self.ask(front, post(b"x", path)))[0], 200)
        self.assertEqual(len(self.site.paths), 3)

    def test_ledger_begins_empty(self) -> None:
        """A member that nobody has asked yet has no file."""
        gate: Gate = self.gate()
        self.assertIsNone(gate.store.read())
        self.assertEqual(gate.intercept._ledger, Ledger())


class DiskTests(JoiningCase):
    """What has to be on the disk before it is answered is written where nobody waits for it."""

    def hold(self, gate: Gate) -> list[Deferred[None]]:
        """Let each write wait until its Deferred, in the list, fires; ``mend`` ends that."""
        holds: list[Deferred[None]] = []
        self.hangs = True

        async def in_thread(work: Callable[[], T], /) -> T:
            if self.hangs:
                holds.append(Deferred())
                await holds[-1]
            return work()

        gate.store = JoinFile(gate.store.path, Ledger, in_thread)
        gate.intercept = gate.open()
        return holds

    def mend(self, holds: list[Deferred[None]]) -> None:
        """Have the disk write what it was given."""
        self.hangs = False
        for each in holds:
            each.callback(None)

    async def test_off_the_event_loop(self) -> None:
        """The ledger, with its two fsyncs, is written by another thread."""
        gate, writers = self.gate(), list[int]()
        gate.store = JoinFile(gate.store.path, Ledger, threads(reactor))
        gate.intercept = gate.open()

        def note(*arguments: Any) -> None:
            writers.append(get_ident())
            write_atomically(*arguments)

        self.patch(records, "write_atomically", note)
        self.assertEqual((await self.ask(self.member(gate), post(Newcomer().body())))[0], 200)
        self.assertEqual(len(writers), 1)
        self.assertNotIn(get_ident(), writers)

    async def test_not_before_the_disk(self) -> None:
        """Nothing is answered, and nobody admitted, as long as the disk does not hold it."""
        gate = self.gate()
        holds = self.hold(gate)
        client = await self.connect(self.member(gate))
        client.send(post(Newcomer().body()))
        await eventually(lambda: holds, "a write")
        self.assertEqual((client.data, gate.admitted), (b"", []))
        holds[0].callback(None)
        self.assertEqual((await client.response())[0], 200)
        self.assertEqual([record.id for record in gate.admitted], ["new"])

    async def test_two_in_flight(self) -> None:
        """Two that come at once are both remembered; the same ticket is not good for both."""
        gate = self.gate()
        holds = self.hold(gate)
        front = self.member(gate)
        clients = []
        for newcomer in (Newcomer(), Newcomer("late"), Newcomer("other", ticket("u"))):
            clients.append(await self.connect(front))
            clients[-1].send(post(newcomer.body()))
            await eventually(lambda: holds, "a write")
        self.assertEqual(len(holds), 1)
        holds[0].callback(None)
        await eventually(lambda: len(holds) == 2, "the other write")
        holds[1].callback(None)
        self.assertEqual([(await client.response())[0] for client in clients], [200, 404, 200])
        ledger = gate.store.read()
        assert ledger is not None
        self.assertEqual([used.ticket for used in ledger.used], [ticket().public_key, ticket("u").public_key])

    async def test_disk_that_hangs(self) -> None:
        """Who knows the secret gets the one page after a while, others at once; it goes on when the disk does."""
        gate = self.gate()
        holds = self.hold(gate)
        front = self.member(gate, head_timeout=0.3)
        first, second = await self.connect(front), await self.connect(front)
        for client, newcomer in ((first, Newcomer()), (second, Newcomer("other", ticket("u")))):
            client.send(post(newcomer.body()))
        await eventually(lambda: holds, "a write")
        _, head, body = await self.ask(front, post(Newcomer("x").body(), b"/.rb/guess"))
        self.assertEqual(head + body, NOT_FOUND.render(close=False))
        self.assertEqual(first.data, b"")
        for client in (first, second):
            _, head, body = await client.response()
            self.assertEqual(head + body, NOT_FOUND.render(close=False))
        self.assertEqual((gate.admitted, len(holds)), ([], 1))
        self.mend(holds)
        self.assertEqual((await self.ask(front, post(Newcomer("other", ticket("u")).body())))[0], 200)
        self.assertEqual([record.id for record in gate.admitted], ["other"])
        ledger = gate.store.read()
        assert ledger is not None
        self.assertEqual(ledger, gate.intercept._ledger)
