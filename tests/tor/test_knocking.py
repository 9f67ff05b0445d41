"""Tests for L{rustbalance.tor.knocking}, on real sockets."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet import reactor as global_reactor  # noqa: TID251  (real sockets)
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase

from rustbalance.tor.knocking import knock

reactor: Any = global_reactor


class Answering(Protocol):
    """Answers with what its factory has, or hangs up when that is nothing."""

    transport: Any

    def dataReceived(self, data: bytes) -> None:
        """Answer."""
        answer: bytes | None = self.factory.answer
        if answer == b"":
            self.transport.loseConnection()
        elif answer is not None:
            self.transport.write(answer)


class KnockTests(TestCase):
    """What stands behind a socket."""

    async def at(self, answer: bytes | None) -> str | None:
        """Knock at one that answers so; C{None}: never."""
        folder = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, folder)
        factory = Factory.forProtocol(Answering)
        factory.answer = answer  # type: ignore[attr-defined]
        port = reactor.listenUNIX(str(folder / "socks"), factory)
        self.addCleanup(port.stopListening)
        return await knock(folder / "socks", reactor, 0.3)

    async def test_well(self) -> None:
        """A SOCKS 5 proxy that needs no login is well."""
        self.assertIsNone(await self.at(b"\x05\x00"))

    async def test_not_well(self) -> None:
        """Silence, hanging up and another protocol are told apart."""
        self.assertIn("within 0.3 s", str(await self.at(None)))
        self.assertIn("does not speak", str(await self.at(b"")))
        self.assertIn("does not speak", str(await self.at(b"HTTP/1.0 400")))

    async def test_nobody(self) -> None:
        """Nobody there is said at once."""
        self.assertIn("cannot be reached", str(await knock(("127.0.0.1", 1), reactor, 5)))
