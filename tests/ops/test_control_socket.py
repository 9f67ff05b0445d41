"""The daemon's side of the control socket, over a real Unix socket."""

import json
import os
import shutil
import socket
import stat
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import reactor  # noqa: TID251  (real sockets need the real one)
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import StringTransport
from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase, TestCase

from rustbalance.ops.control_socket import (
    LONGEST_LINE,
    MOST_CLIENTS,
    PATIENCE,
    ControlConversation,
    ControlSocket,
    answer,
)
from rustbalance.ops.lock import AlreadyRunning
from rustbalance.ops.verbs import NotDone, Verbs


class Weather(msgspec.Struct):
    """Something to answer with."""

    sky: str


def broken() -> Weather:
    """Fail as a verb may."""
    raise RuntimeError("inside")


def move(node: str) -> Weather:
    """Do something about a node, if it can be."""
    raise NotDone(f"{node} does not move")


VERBS: Verbs = {"weather": lambda: Weather("clear"), "broken": broken, "move": move}
LOG = Logger()


class AnswerTests(SynchronousTestCase):
    """One line in, one line out."""

    def test_verb(self) -> None:
        """A verb is answered with its result."""
        self.assertEqual(json.loads(answer(b'{"verb": "weather"}', VERBS, LOG)), {"result": {"sky": "clear"}})

    def test_bad_requests(self) -> None:
        """Whatever is no request, or asks for what there is not, gets an error that helps."""
        for line in (b"", b"{}", b"[]", b"7", b'{"verb": 7}', b'{"verb": "weather", "more": 1}', b"\xff", b"[" * 4000):
            self.assertIn("expected one JSON object", json.loads(answer(line, VERBS, LOG))["error"])
        self.assertIn("known ones are broken, move, weather", json.loads(answer(b'{"verb": "x"}', VERBS, LOG))["error"])

    def test_not_done(self) -> None:
        """What a verb says of itself reaches the client and is no error of ours."""
        told = json.loads(answer(b'{"verb": "move", "node": "b"}', VERBS, LOG))
        self.assertEqual(told, {"error": "b does not move"})

    def test_failing_verb(self) -> None:
        """An error inside is logged; the client learns that there was one and no more."""
        self.assertNotIn(b"inside", answer(b'{"verb": "broken"}', VERBS, LOG))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    @settings(deadline=None)
    @given(st.binary(max_size=200))
    def test_any_line(self, line: bytes) -> None:
        """Any bytes have an answer of one line."""
        text = answer(line, VERBS, LOG)
        self.assertNotIn(b"\n", text)
        json.loads(text)


class ConversationTests(SynchronousTestCase):
    """One client in memory, with a clock of ours."""

    def setUp(self) -> None:
        """Connect."""
        self.clock = Clock()
        self.conversation = ControlConversation(VERBS, self.clock)
        self.transport = StringTransport()
        self.transport.abortConnection = self._aborted  # type: ignore[method-assign]
        self.aborted = False
        self.conversation.makeConnection(self.transport)

    def _aborted(self) -> None:
        self.aborted = True

    def test_byte_by_byte(self) -> None:
        """Requests may come in any pieces, and several in one."""
        for octet in b'{"verb":"weather"}\n':
            self.conversation.dataReceived(bytes([octet]))
        self.conversation.dataReceived(b'{"verb":"weather"}\n{"verb":"weather"}\n')
        self.assertEqual(self.transport.value().count(b"clear"), 3)

    def test_silence(self) -> None:
        """Who sends nothing is dropped in time, not before."""
        self.clock.advance(PATIENCE - 1)
        self.assertFalse(self.aborted)
        self.clock.advance(1)
        self.assertTrue(self.aborted)

    def test_drops_do_not_count(self) -> None:
        """A line that comes drop by drop must still be whole in time."""
        for _ in range(int(PATIENCE)):
            self.conversation.dataReceived(b" ")
            self.clock.advance(1)
        self.assertTrue(self.aborted)

    def test_each_request_renews_the_patience(self) -> None:
        """A client that keeps asking, like --watch, stays."""
        for _ in range(5):
            self.clock.advance(PATIENCE - 1)
            self.conversation.dataReceived(b'{"verb":"weather"}\n')
        self.assertFalse(self.aborted)

    def test_long_line(self) -> None:
        """A request without end is refused."""
        self.conversation.dataReceived(b"x" * (LONGEST_LINE + 1))
        self.assertIn(b"at most", self.transport.value())
        self.assertTrue(self.transport.disconnecting)

    def test_client_that_does_not_read(self) -> None:
        """While answers wait to be taken, no request is looked at; in the end the client is dropped."""
        self.conversation.pauseProducing()  # what the transport does when its buffer is full
        self.conversation.dataReceived(b'{"verb":"weather"}\n' * 100)
        self.assertEqual(self.transport.value(), b"")
        self.conversation.resumeProducing()
        self.assertEqual(self.transport.value().count(b"clear"), 100)
        self.conversation.pauseProducing()
        self.clock.advance(PATIENCE)
        self.assertTrue(self.aborted)

    def test_nothing_is_left(self) -> None:
        """A client that leaves leaves no timer."""
        self.conversation.connectionLost()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class Collector(Protocol):
    """Keeps what it receives; ``closed`` fires with all of it."""

    def __init__(self) -> None:
        self.received = b""
        self.closed: Deferred[bytes] = Deferred()
        self.line: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        """Keep it."""
        self.received += data
        if b"\n" in self.received and not self.line.called:
            self.line.callback(self.received)

    def connectionLost(self, reason: Any = None) -> None:
        """Tell the end."""
        self.closed.callback(self.received)


class SocketTests(TestCase):
    """A real Unix socket."""

    def setUp(self) -> None:
        """Make a private directory with a short path."""
        self.directory = Path(tempfile.mkdtemp(dir="/tmp", prefix="rb-control-"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.path = self.directory / "control.sock"

    def started(self) -> ControlSocket:
        """Start listening, and stop at the end of the test."""
        service = ControlSocket(self.path, VERBS, reactor)
        service.startService()
        self.addCleanup(service.stopService)
        return service

    async def connected(self) -> Collector:
        """Connect to it."""
        client = Collector()
        await connectProtocol(UNIXClientEndpoint(reactor, str(self.path)), client)
        return client

    async def test_asked(self) -> None:
        """A question over the socket is answered; so is the next one."""
        self.started()
        client = await self.connected()
        assert client.transport is not None
        client.transport.write(b'{"verb":"weather"}\n')
        self.assertEqual(json.loads(await client.line), {"result": {"sky": "clear"}})
        client.transport.loseConnection()
        await client.closed

    async def test_private(self) -> None:
        """Nobody else may connect, and the process's own mask for new files is what it was."""
        before = os.umask(0o022)
        self.addCleanup(os.umask, before)
        self.started()
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)
        self.assertEqual(os.umask(0o022), 0o022)

    async def test_half_closed(self) -> None:
        """A client that ends its half at once, like echo into nc, still gets its answer, and then the end."""
        self.started()
        client = socket.socket(socket.AF_UNIX)
        self.addCleanup(client.close)
        client.connect(str(self.path))
        client.sendall(b'{"verb":"weather"}\n')
        client.shutdown(socket.SHUT_WR)
        received = b""
        client.setblocking(False)
        for _ in range(200):
            await deferLater(reactor, 0.01)
            try:
                part = client.recv(4096)
            except BlockingIOError:
                continue
            received += part
            if not part:
                break
        self.assertEqual(json.loads(received), {"result": {"sky": "clear"}})

    async def test_stops(self) -> None:
        """After the stop there is no socket, and who was connected is not any more."""
        service = ControlSocket(self.path, VERBS, reactor)
        service.startService()
        client = await self.connected()
        await service.stopService()
        await client.closed
        self.assertFalse(self.path.exists())

    async def test_starts_again(self) -> None:
        """Stop and start, as a restarted service does."""
        service = ControlSocket(self.path, VERBS, reactor)
        for _ in range(2):
            service.startService()
            client = await self.connected()
            await service.stopService()
            await client.closed

    async def test_replaces_what_a_dead_daemon_left(self) -> None:
        """The socket of a daemon that was killed is in nobody's way."""
        left = socket.socket(socket.AF_UNIX)
        left.bind(str(self.path))
        left.close()
        self.assertTrue(self.path.exists())
        self.started()
        client = await self.connected()
        assert client.transport is not None
        client.transport.loseConnection()
        await client.closed

    async def test_second_daemon(self) -> None:
        """Two daemons cannot share a state directory; the first one goes on undisturbed."""
        self.started()
        second = ControlSocket(self.path, VERBS, reactor)
        self.assertRaises(AlreadyRunning, second.startService)
        await second.stopService()
        client = await self.connected()
        assert client.transport is not None
        client.transport.loseConnection()
        await client.closed

    async def test_strangers_socket(self) -> None:
        """A socket on which something else listens is not taken away from it."""
        other = socket.socket(socket.AF_UNIX)
        self.addCleanup(other.close)
        other.bind(str(self.path))
        other.listen()
        self.assertRaises(AlreadyRunning, ControlSocket(self.path, VERBS, reactor).startService)

    async def test_something_in_the_way(self) -> None:
        """A file that is no socket is left alone."""
        self.path.write_text("precious")
        self.assertRaises(FileExistsError, ControlSocket(self.path, VERBS, reactor).startService)
        self.assertEqual(self.path.read_text(), "precious")

    async def test_too_many_clients(self) -> None:
        """One client too many is turned away at once; the others stay."""
        service = self.started()
        clients = [await self.connected() for _ in range(MOST_CLIENTS)]
        extra = await self.connected()
        self.assertEqual(await extra.closed, b"")
        self.assertFalse(any(client.closed.called for client in clients))
        await service.stopService()
        await gatherResults([client.closed for client in clients])
