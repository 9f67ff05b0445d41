"""
A client Tor for each test process.

What one visitor makes its Tor forget (C{NEWNYM}), another one may just be using: who loses the descriptor while its
introduction points turn out to be dead gets "general failure". Several tests run at a time, so each process has a
client of its own. It is started when it is first asked for, and ends with the process, even after kill -9.
"""

import atexit
import os
import random
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

from rustbalance.lab import torrc
from rustbalance.lab.ports import PortBlock
from rustbalance.lab.state import ClientState, NetworkState

BOOT_SECS = 60.0
READY = b"Bootstrapped 100%"


class ClientFailed(Exception):
    """The client does not come up; its last words."""


class OwnClient:
    """One client, started at most once in the life of this process. Its method blocks: call it in a thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state: ClientState | None = None

    def state(self, network: NetworkState) -> ClientState:
        """
        Return the client; the first call starts it.

        @raise ClientFailed: it does not get into the network.
        """
        with self._lock:
            self._state = self._state or started(network)
        return self._state


def started(network: NetworkState) -> ClientState:
    """Start a client and wait until it is in the network."""
    directory = Path(tempfile.mkdtemp(prefix="rb-client-", dir="/tmp"))
    ports = PortBlock.reserve(random.Random())
    control, socks = ports.take(), ports.take()
    include = Path(network.include_path).read_text()
    (directory / "torrc").write_text(torrc.process(directory, os.getpid()) + include + torrc.visitor(control, socks))
    child = subprocess.Popen(("tor", "-f", directory / "torrc", "--hush"), stdout=subprocess.PIPE)
    atexit.register(ended, child, directory, ports)
    until_ready(child)
    return ClientState(directory=str(directory), control_port=control, socks_port=socks)


def until_ready(child: subprocess.Popen[bytes]) -> None:
    """Read what C{child} says up to the line that says it is ready, and leave the rest to a thread."""
    out = child.stdout
    assert out is not None
    alarm = threading.Timer(BOOT_SECS, child.kill)
    alarm.start()
    said = b""
    for line in out:
        said += line
        if READY in line:
            break
    alarm.cancel()
    if READY not in said:
        raise ClientFailed(said.decode(errors="replace")[-2000:])
    threading.Thread(target=out.read, daemon=True).start()


def ended(child: subprocess.Popen[bytes], directory: Path, ports: PortBlock) -> None:
    """End it, remove what it wrote, and give its ports back."""
    child.kill()
    child.wait()
    shutil.rmtree(directory, ignore_errors=True)
    ports.release()


OWN = OwnClient()
