"""
What a real Tor says of our descriptors: its parser is that of every directory.

One daemon without a network is enough: HSPOST checks layer, certificate, signature and size before anything is sent.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.onion.descriptor import InnerLayer, encode
from tests.onion.descriptors import BLINDED, MASTER, SIGNING_KEY, SUBCREDENTIAL, point

PATIENCE = 20.0
"""Seconds for Tor to open its control port, and to answer."""


def encoded(count: int, now: int, **more: Any) -> bytes:
    """Return a descriptor with so many points, made at C{now}."""
    inner = InnerLayer(tuple(point(number, now // 3600 + 54) for number in range(count)), flow_control="1-2 31", **more)
    return encode(
        inner,
        BLINDED,
        SUBCREDENTIAL,
        revision=12_345,
        now=now,
        signing_key=SIGNING_KEY,
        random_bytes=os.urandom,
        max_size=10**6,
    )


class ParserTests(SynchronousTestCase):
    """Tor takes what we encode, and would have noticed if it were wrong."""

    def setUp(self) -> None:
        """Start a Tor that talks to nobody."""
        self.directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)
        torrc = self.directory / "torrc"
        torrc.write_text(
            f"DataDirectory {self.directory}/data\nControlPort unix:{self.directory}/control\n"
            f"DisableNetwork 1\nSocksPort 0\nLog notice file {self.directory}/log\n"
        )
        tor = subprocess.Popen(["tor", "-f", torrc], stdout=subprocess.DEVNULL)
        self.addCleanup(tor.wait)
        self.addCleanup(tor.kill)
        self.control = self._connect().makefile("rwb")
        self.addCleanup(self.control.close)
        self.assertEqual(self.ask(b"AUTHENTICATE\r\n"), b"250 OK\r\n")

    def _connect(self) -> socket.socket:
        deadline = time.monotonic() + PATIENCE
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(PATIENCE)
        self.addCleanup(connection.close)
        while connection.connect_ex(f"{self.directory}/control"):
            self.assertLess(time.monotonic(), deadline, "tor did not open its control port")
            time.sleep(0.02)
        return connection

    def ask(self, command: bytes) -> bytes:
        """Return the first line of the answer."""
        self.control.write(command)
        self.control.flush()
        return self.control.readline()

    def post(self, text: bytes) -> bytes:
        """Have a descriptor looked at."""
        head = f"+HSPOST HSADDRESS={MASTER.address.label}\r\n".encode("ascii")
        return self.ask(head + text.replace(b"\n", b"\r\n") + b".\r\n")

    def test_accepted(self) -> None:
        """Descriptors of every size step are taken."""
        now = int(time.time())
        for count in (1, 8, 9, 18, 19, 20):
            self.assertEqual(self.post(encoded(count, now)), b"250 OK\r\n", f"{count} points")

    def test_refused(self) -> None:
        """One that was changed, one that has expired and one that is too large are not: Tor did look."""
        now = int(time.time())
        for text in (
            encoded(3, now).replace(b"revision-counter 12345", b"revision-counter 12346"),
            encoded(3, now - 56 * 3600),
            encoded(3, now, other_lines=tuple(f"new {'x' * 200}" for _ in range(200))),
        ):
            self.assertEqual(self.post(text), b"554 Invalid descriptor\r\n")
