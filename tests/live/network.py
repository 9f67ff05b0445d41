"""
The private Tor network that all live tests share.

It is booted when the first test asks for it and ends with the test process (its standard input closes, even after
kill -9). It runs in a process of its own, so that trial's reactor holds none of it. To test against a network that runs
already, name its directory::

    RUSTBALANCE_LAB_NETWORK=DIR python -m twisted.trial tests.live

Without tor, or when the network does not come up, every test that asks for it fails; none is skipped.
"""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from rustbalance.lab.client import LabClient, Visitor
from rustbalance.lab.state import NETWORK_FILE, ClientState, NetworkState, load
from rustbalance.life import deferred
from tests.live.client import OWN

BOOT_SECS = 200.0
ENDING_SECS = 20.0
VARIABLE = "RUSTBALANCE_LAB_NETWORK"


class NetworkFailed(Exception):
    """There is no network to test against."""


class SharedNetwork:
    """One network, booted at most once in the life of this process. Its methods block: call them in a thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outcome: NetworkState | NetworkFailed | None = None

    def state(self) -> NetworkState:
        """
        Return the network; the first call boots it, unless the environment names one that runs.

        :raises NetworkFailed: it does not run and cannot be booted; later calls raise the same at once.
        """
        with self._lock:
            if self._outcome is None:
                self._outcome = named(os.environ[VARIABLE]) if VARIABLE in os.environ else booted()
        if isinstance(self._outcome, NetworkFailed):
            raise self._outcome
        return self._outcome


def named(directory: str) -> NetworkState | NetworkFailed:
    """Return the network that runs in ``directory``."""
    found = load(Path(directory) / NETWORK_FILE, NetworkState)
    return found or NetworkFailed(f"no network runs in {directory}, which {VARIABLE} names")


def booted() -> NetworkState | NetworkFailed:
    """Boot a network that ends with this process."""
    directory = tempfile.mkdtemp(prefix="rb-live-", dir="/tmp")
    child = subprocess.Popen(
        [sys.executable, "-m", "rustbalance.lab.network", "--directory", directory],
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    atexit.register(ended, child, directory)
    said = until_ready(child)
    found = load(Path(directory) / NETWORK_FILE, NetworkState)
    return found or NetworkFailed("the private network did not come up:\n" + said)


def until_ready(child: subprocess.Popen[str]) -> str:
    """Read what ``child`` prints up to the line that says it is ready, or to its end; the deadline ends it."""
    alarm = threading.Timer(BOOT_SECS, child.kill)
    alarm.start()
    said = ""
    for line in child.stdout or ():
        said += line
        if line.startswith("ready "):
            break
    alarm.cancel()
    return said


def ended(child: subprocess.Popen[str], directory: str) -> None:
    """End a network that was booted and remove what it wrote."""
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            pipe.close()
    try:
        child.wait(ENDING_SECS)
    except subprocess.TimeoutExpired:
        child.kill()
    shutil.rmtree(directory, ignore_errors=True)


SHARED = SharedNetwork()


def prepared() -> tuple[NetworkState, ClientState]:
    """Return the network and the client of this process."""
    network = SHARED.state()
    return network, OWN.state(network)


class LiveTestCase(TestCase):
    """
    A test with the network at hand as ``self.network``, and a client of this process as ``self.client_tor``.

    Subclasses that have a setUp call this one first.
    """

    timeout = BOOT_SECS + 100

    def setUp(self) -> Deferred[None]:  # type: ignore[override]
        """Wait for the network and the client."""
        return deferToThread(prepared).addCallback(self._found)

    def _found(self, found: tuple[NetworkState, ClientState]) -> None:
        self.network, self.client_tor = found

    async def visitor(self, deadline: float = 30.0) -> Visitor:
        """Return a visitor that comes through this process's client Tor; it is gone at the end of the test."""
        client = await LabClient(self.client_tor, reactor).connect()
        self.addCleanup(lambda: deferred(client.close()))
        return Visitor(client, reactor, deadline)
