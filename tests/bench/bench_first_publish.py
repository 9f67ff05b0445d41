"""
From the start of a node to its first confirmed publish, beside a plain onion service of Tor's own.

Both start at the same moment, each with a new Tor and nothing cached, on a private network. A descriptor counts when
C{MIN_DIRECTORIES} of its directories have confirmed it. Target: no more than three seconds behind.
"""

import random
import shutil
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from twisted.internet.task import react

from rustbalance.lab.network import PrivateNetwork
from rustbalance.lab.node import LabNode
from rustbalance.lab.plain import PlainService
from rustbalance.lab.ports import PortBlock
from rustbalance.lab.site import TargetSite

ROUNDS = 3
MIN_DIRECTORIES = 4
TARGET = 3.0


async def one_round(number: int, directory: Path, network: PrivateNetwork, site: TargetSite, reactor: Any) -> float:
    """Start both, and return how many seconds ours took longer."""
    ports = PortBlock.reserve(random.Random())
    plain_port = int((site.address or "").rpartition(":")[2])
    plain = PlainService(directory / f"plain{number}", network.include_text, plain_port, ports.take(), reactor)
    node = LabNode("node", directory / f"node{number}", site.address or "", network.include_path, reactor)
    began = reactor.seconds()
    node.start()
    try:
        await plain.start()
        theirs = await plain.published(MIN_DIRECTORIES)
        status = await node.published()
        ages = [one.age_secs for one in status.descriptors if one.age_secs is not None]
        ours = reactor.seconds() - max(ages) - began
        both = reactor.seconds() - min(ages) - began
    finally:
        await node.stop()
        await plain.stop()
        ports.release()
    print(f"round {number}: plain Tor {theirs:.1f} s, ours {ours:.1f} s (both descriptors {both:.1f} s)", flush=True)
    return float(ours - theirs)


async def measure(reactor: Any) -> None:
    """Run the rounds, print the figures, end with status 1 when the target is missed."""
    directory = Path(tempfile.mkdtemp(prefix="rb-bench-", dir="/tmp"))
    network, site = PrivateNetwork(directory / "network", reactor), TargetSite(reactor)
    try:
        await network.start(lambda what: print(what, flush=True))
        await site.start()
        behind = [await one_round(number, directory, network, site, reactor) for number in range(ROUNDS)]
    finally:
        await site.stop()
        await network.stop()
        shutil.rmtree(directory, ignore_errors=True)
    print(f"first confirmed publish: {median(behind):+.1f} s against plain Tor (target: at most {TARGET:+.1f} s)")
    raise SystemExit(median(behind) > TARGET)


def main() -> None:
    """Measure on a network of its own."""
    react(measure)


if __name__ == "__main__":
    main()
