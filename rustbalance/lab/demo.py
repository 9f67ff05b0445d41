"""
``rustbalance lab up``: the whole thing on this machine.

Owns: what people see of it. In: how long, whether to check; out: a lab, its address, a live status, an exit status.
"""

import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import TimeoutError as DeadlinePassed

from rustbalance.lab.checks import checks
from rustbalance.lab.child import ChildEnded
from rustbalance.lab.network import NetworkNotUsable, TorNotFound
from rustbalance.lab.running import until_stopped
from rustbalance.lab.state import LabRuns
from rustbalance.lab.takeover import takeover
from rustbalance.lab.visiting import Visiting
from rustbalance.lab.whole import Lab
from rustbalance.life import pause
from rustbalance.ops.status_page import screen

PERIOD = 2.0
ENOUGH = 99.0


async def demo(
    reactor: Any, seconds: float | None, check: bool, nodes: int, directory: Path, carrier: str = "direct"
) -> int:
    """
    Run a lab for ``seconds`` (None: until Ctrl-C) and return the exit status: 0, or 1 when anything was not as it must.

    With ``check``, fetch pages through Tor in the meantime and print a line for each check; of several nodes, the one
    that publishes is killed on the way.
    """
    began = reactor.seconds()
    lab = Lab(directory, reactor, nodes, carrier)

    def say(what: str) -> None:
        print(f"{reactor.seconds() - began:5.1f} s  {what}", flush=True)

    async def work() -> int:
        await lab.start(say)
        print(_welcome(lab), flush=True)
        end = None if seconds is None else reactor.seconds() + seconds
        return await (_checked(reactor, lab, end) if check else _shown(reactor, lab, end))

    try:
        return await until_stopped(reactor, work(), lab.stop) or 0
    except (ChildEnded, LabRuns, NetworkNotUsable, TorNotFound) as error:
        print(f"rustbalance: {error}", file=sys.stderr)
    except DeadlinePassed:
        print(
            "rustbalance: the nodes did not become one service in time; their output is in", directory, file=sys.stderr
        )
    return 1


def _welcome(lab: Lab) -> str:
    socks = lab.client.where.socks_port if lab.client else 0
    nodes = "\n".join(f"  rustbalance status --config {node.config}" for node in lab.nodes)
    return (
        f"\nserving; fetch it through the network's client Tor:\n\n"
        f"  curl --socks5-hostname 127.0.0.1:{socks} http://{lab.onion_address}/\n\n{nodes}\n"
    )


async def _shown(reactor: Any, lab: Lab, end: float | None) -> int:
    with screen() as update:
        while end is None or reactor.seconds() < end:
            update(*(status or "the node does not answer" for status in await lab.statuses()))
            await pause(reactor, PERIOD if end is None else max(0.0, min(PERIOD, end - reactor.seconds())))
    return 0


async def _checked(reactor: Any, lab: Lab, end: float | None) -> int:
    failed = 0
    async for check in checks(lab.nodes, lab.visitor):
        print(check, flush=True)
        failed += not check.ok
    if end is not None or len(lab.nodes) > 1:
        failed += await _visited(reactor, lab, end)
    return 1 if failed else 0


async def _visited(reactor: Any, lab: Lab, end: float | None) -> int:
    """Visit about once a second until ``end``, whatever happens meanwhile; print that, and return what failed."""
    visiting, failed = Visiting(lab.visitor, lab.onion_address, reactor), 0
    visiting.begin()
    if len(lab.nodes) > 1:
        async for check in takeover(lab, visiting.between, reactor):
            print(check, flush=True)
            failed += not check.ok
    if end is not None:
        await pause(reactor, max(0.0, end - reactor.seconds()))
    log = await visiting.end()
    ok = log.percent_ok >= ENOUGH or not log.visits
    print(
        f"{'ok  ' if ok else 'FAIL'}  {log.succeeded} of {log.visits} visits, median {log.percentile(0.5):.2f} s, "
        f"longest {log.percentile(1.0):.2f} s"
    )
    for error in log.errors:
        print(f"      {error}")
    return failed + (not ok)
