"""The command's side of the control socket, against small servers that behave and misbehave."""

import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from twisted.internet import reactor  # noqa: TID251  (real sockets need the real one)
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from rustbalance.ops.control_client import NoAnswer, NoDaemon, ask
from rustbalance.ops.control_socket import ControlSocket


class Weather(msgspec.Struct):
    """Something to be told."""

    sky: str


class _Directory(SynchronousTestCase):
    def setUp(self) -> None:
        """Make a directory with a short path."""
        self.directory = Path(tempfile.mkdtemp(dir="/tmp", prefix="rb-client-"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.path = self.directory / "control.sock"


class NobodyTests(_Directory):
    """There is no daemon."""

    def test_no_socket(self) -> None:
        """The message says how to start one."""
        with self.assertRaises(NoDaemon) as caught:
            ask(self.path, "weather", Weather)
        self.assertIn("rustbalance run", str(caught.exception))

    def test_socket_of_a_dead_daemon(self) -> None:
        """A socket that nobody listens on is no daemon either, nor is a path through a file."""
        left = socket.socket(socket.AF_UNIX)
        left.bind(str(self.path))
        left.close()
        self.assertRaises(NoDaemon, ask, self.path, "weather", Weather)
        (self.directory / "file").touch()
        self.assertRaises(NoDaemon, ask, self.directory / "file" / "x", "weather", Weather)

    def test_path_too_long(self) -> None:
        """A path that no Unix socket can have is told like the rest."""
        self.assertRaises(NoDaemon, ask, self.directory / ("x" * 200), "weather", Weather)


class MisbehavingTests(_Directory):
    """A daemon, but no answer."""

    def served(self, behave: Callable[[socket.socket], None]) -> None:
        """Let ``behave`` have the next connection, in a thread."""
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.path))
        listener.listen()
        self.addCleanup(listener.close)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                behave(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        self.addCleanup(thread.join, 5)

    def test_hangs(self) -> None:
        """The deadline holds when nothing comes."""
        self.served(lambda connection: time.sleep(0.5))
        before = time.monotonic()
        with self.assertRaises(NoAnswer) as caught:
            ask(self.path, "weather", Weather, seconds=0.2)
        self.assertIn("within 0.2 seconds", str(caught.exception))
        self.assertLess(time.monotonic() - before, 0.45)

    def test_drips(self) -> None:
        """The deadline holds when something comes, but never enough."""

        def drip(connection: socket.socket) -> None:
            try:
                for _ in range(20):
                    connection.sendall(b" ")
                    time.sleep(0.05)
            except OSError:
                pass

        self.served(drip)
        before = time.monotonic()
        self.assertRaises(NoAnswer, ask, self.path, "weather", Weather, seconds=0.2)
        self.assertLess(time.monotonic() - before, 0.6)

    def test_strange_answers(self) -> None:
        """The end instead of an answer, no JSON, another shape, or an error: each is NoAnswer."""
        for text in (b"", b"{", b"\n", b"[]\n", b"{}\n", b'{"result": 7}\n', b'{"error": "no such"}\n', b"\xff\n"):
            self.path.unlink(missing_ok=True)

            def reply(connection: socket.socket, text: bytes = text) -> None:
                connection.recv(4096)
                connection.sendall(text)

            self.served(reply)
            with self.assertRaises(NoAnswer):
                ask(self.path, "weather", Weather)


class BothSidesTests(TestCase):
    """Client and server of ours together."""

    async def test_together(self) -> None:
        """What the verb returns is what the caller gets, and an unknown verb is an error with its reason."""
        directory = Path(tempfile.mkdtemp(dir="/tmp", prefix="rb-both-"))
        self.addCleanup(shutil.rmtree, directory)
        service = ControlSocket(directory / "c", {"weather": lambda: Weather("clear " * 50000)}, reactor)
        service.startService()
        self.addCleanup(service.stopService)
        told = await deferToThread(ask, directory / "c", "weather", Weather)
        self.assertEqual(told, Weather("clear " * 50000))
        with self.assertRaisesRegex(NoAnswer, "unknown verb"):
            await deferToThread(ask, directory / "c", "tides", Weather)
