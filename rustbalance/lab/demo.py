"""
``rustbalance lab up``: the whole thing on this machine.

Owns: what people see of it. In: how long, whether to check; out: a lab, its address, a live status, an exit status.
"""

import sys
from pathlib import Path
from typing import Any

from rustbalance.cli.status_page import screen
from rustbalance.lab.checks import checks
from rustbalance.lab.child import ChildEnded
from rustbalance.lab.network import NetworkNotUsable, TorNotFound
from rustbalance.lab.running import until_stopped
from rustbalance.lab.state import LabRuns
from rustbalance.lab.visits import VisitLog
from rustbalance.lab.whole import Lab
from rustbalance.life import pause

PERIOD = 2.0
ENOUGH = 99.0


async def demo(reactor: Any, seconds: float | None, check: bool, nodes: int, directory: Path) -> int:
    """
    Run a lab for ``seconds`` (None: until Ctrl-C) and return the exit status: 0, or 1 when anything was not as it must.

    With ``check``, fetch pages through Tor in the meantime and print a line for each check.
    """
    began = reactor.seconds()
    lab = Lab(directory, reactor, nodes)

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
        return 1


def _welcome(lab: Lab) -> str:
    socks = lab.client.where.socks_port if lab.client else 0
    pages = "\n".join(f"  curl --socks5-hostname 127.0.0.1:{socks} http://{node.onion_address}/" for node in lab.nodes)
    return f"\nserving; fetch it through the network's client Tor:\n\n{pages}\n"


async def _shown(reactor: Any, lab: Lab, end: float | None) -> int:
    with screen() as update:
        while end is None or reactor.seconds() < end:
            for node in lab.nodes:
                update(await node.status() or "the node does not answer")
            await pause(reactor, PERIOD if end is None else max(0.0, min(PERIOD, end - reactor.seconds())))
    return 0


async def _checked(reactor: Any, lab: Lab, end: float | None) -> int:
    failed = 0
    for node in lab.nodes:
        async for check in checks(node, lab.visitor):
            print(check, flush=True)
            failed += not check.ok
    if end is not None:
        failed += not await _visited(reactor, lab, end)
    return 1 if failed else 0


async def _visited(reactor: Any, lab: Lab, end: float) -> bool:
    """Visit every node about once a second until ``end``, and print how that went."""
    log, visitor = VisitLog(reactor.seconds()), lab.visitor
    while reactor.seconds() < end:
        due = reactor.seconds() + 1.0
        for node in lab.nodes:
            visit = await visitor.fetch(node.onion_address)
            log.record(reactor.seconds(), visit)
        await pause(reactor, max(0.0, due - reactor.seconds()))
    ok = log.percent_ok >= ENOUGH
    print(f"{'ok  ' if ok else 'FAIL'}  {log.succeeded} of {log.visits} visits, median {log.percentile(0.5):.2f} s")
    return ok or not log.visits
