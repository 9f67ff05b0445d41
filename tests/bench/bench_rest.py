"""
The daemon at rest: resident memory and processor time, beside the Tor that it runs and a plain onion service's Tor.

A node publishes on a private network (a consensus every 20 s, where the real one has an hour), then nobody visits it
for a minute. Targets: under 70 MB resident, under 0.5 % of one core.
"""

import os
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.task import react

from rustbalance.lab.network import PrivateNetwork
from rustbalance.lab.node import LabNode
from rustbalance.lab.plain import PlainService
from rustbalance.lab.ports import PortBlock
from rustbalance.lab.site import TargetSite
from rustbalance.life import pause

SETTLE, WATCH = 20.0, 60.0
MOST_MEMORY, MOST_PROCESSOR = 70.0, 0.5
TICKS = os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> float:
    """Return the resident memory of a process in MB (10^6 bytes)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def processor(pid: int) -> float:
    """Return the processor time of a process so far, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def watch(pids: dict[str, int], reactor: Any) -> dict[str, tuple[float, float]]:
    """Return for each process its resident MB and its share of a core in percent, over a minute."""
    before = {name: processor(pid) for name, pid in pids.items()}
    await pause(reactor, WATCH)
    return {name: (resident(pid), (processor(pid) - before[name]) / WATCH * 100) for name, pid in pids.items()}


async def measure(reactor: Any) -> None:
    """Start everything, watch it, print, end with status 1 when a target is missed."""
    directory = Path(tempfile.mkdtemp(prefix="rb-bench-", dir="/tmp"))
    network, site = PrivateNetwork(directory / "network", reactor), TargetSite(reactor)
    ports = PortBlock.reserve(random.Random())
    try:
        await network.start(lambda what: print(what, flush=True))
        target = await site.start()
        port = int(target.rpartition(":")[2])
        plain = PlainService(directory / "plain", network.include_text, port, ports.take(), reactor)
        node = LabNode("node", directory / "node", target, network.include_path, reactor)
        await plain.start()
        child = node.start()
        try:
            status = await node.published()
            await pause(reactor, SETTLE)
            pids = {"daemon": child.pid, "its Tor": status.instances[0].pid, "plain Tor": plain.pid}
            figures = await watch({name: pid for name, pid in pids.items() if pid}, reactor)
        finally:
            await node.stop()
            await plain.stop()
    finally:
        ports.release()
        await site.stop()
        await network.stop()
        shutil.rmtree(directory, ignore_errors=True)
    for name, (memory, share) in figures.items():
        print(f"{name:<10} {memory:6.1f} MB resident, {share:.2f} % of a core")
    memory, share = figures["daemon"]
    print(f"daemon against plain Tor: {memory / figures['plain Tor'][0]:.2f} times the memory")
    print(f"targets: under {MOST_MEMORY:g} MB, under {MOST_PROCESSOR:g} %")
    raise SystemExit(memory >= MOST_MEMORY or share >= MOST_PROCESSOR)


def main() -> None:
    """Measure on a network of its own."""
    react(measure)


if __name__ == "__main__":
    main()
