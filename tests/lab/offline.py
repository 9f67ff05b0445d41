"""A single Tor without a network, for tests that need a real one."""

import random
from pathlib import Path
from typing import Any

from rustbalance.lab import torrc
from rustbalance.lab.ports import PortBlock
from rustbalance.lab.tor import LabTor


def offline_tor(directory: Path, reactor: Any) -> LabTor:
    """Return a Tor, not yet started, that has a control port and never opens a connection."""
    block = PortBlock.reserve(random.Random())
    port = block.take()
    block.release()
    return LabTor("tor", directory.absolute(), torrc.client(port, 0) + "DisableNetwork 1\n", reactor, port)
