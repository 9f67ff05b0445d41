"""
Clocks that are wrong: C{libfaketime} makes the whole process of a node, or of its Tor, believe another time.

Nothing of ours sets a clock. What a node can do is to notice, to say so, and to let the others carry on.
"""

import random
import shlex
import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor as global_reactor  # noqa: TID251  (real processes)

from rustbalance.lab.child import spawn
from rustbalance.lab.ports import PortBlock
from rustbalance.ops.status import NodeStatus
from tests.drills.drill import Drill
from tests.drills.test_drill_repairs import TOR, LoneNodeTestCase
from tests.live.cluster import NODES, ClusterTestCase, published_points, publisher

reactor: Any = global_reactor
#: Seconds from the start of the daemon until it says so.
SAID = 60.0
AHEAD, BEHIND = 30, 900
SAYS = "its status and log say so, and nobody else is accused"


def at_another_time(seconds: int) -> tuple[str, ...]:
    """
    Return what leads a command that is to believe the time is so many seconds later.

    The clock that counts from the boot, which deadlines are kept by, stays what it is.
    """
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        raise AssertionError("this drill needs libfaketime: deploy/prepare.sh drills")
    return (
        "env",
        f"LD_PRELOAD={found[0]}",
        f"FAKETIME={seconds:+d}s",
        "FAKETIME_DONT_FAKE_MONOTONIC=1",
        "FAKETIME_FORCE_MONOTONIC_FIX=0",
    )


class ClusterClockDrill(ClusterTestCase):
    """One of three nodes."""

    async def test_ahead(self) -> None:
        """It is the one that says its clock is wrong, not the others; they publish without it."""
        await self.begin()
        ports = PortBlock.reserve(random.Random())
        self.addCleanup(ports.release)
        wrong = NODES[0]
        self.configure({name: f"127.0.0.1:{ports.take()}" for name in NODES}, {wrong: at_another_time(AHEAD)})
        began = reactor.seconds()
        self.start()

        def said(found: dict[str, NodeStatus]) -> bool:
            own = found.get(wrong)
            return own is not None and any(f"{AHEAD} s ahead" in one for one in own.problems)

        await self.until("it says so", said, SAID + 30)
        Drill(60, f"the clock of one of three nodes is {AHEAD} s ahead", SAYS, SAID).mended(self, began)
        rest = [name for name in NODES if name != wrong]

        def served(found: dict[str, NodeStatus]) -> bool:
            others = {name: found[name] for name in rest if name in found}
            return publisher(others) in rest and published_points(others) == 6

        await self.until("the others publish", served)
        for name in rest:
            status = await self.members[name].status()
            assert status is not None
            self.assertEqual([one for one in status.problems if "clock of this machine" in one], [], name)


class TorClockDrill(LoneNodeTestCase):
    """The machine of a node alone: its Tor believes the wrong time as well."""

    async def test_behind(self) -> None:
        """The consensus comes from the future: the node says that the clock is behind, and by how much at least."""
        await self.prepare()
        words = at_another_time(-BEHIND)
        program = self.directory / "tor"
        program.write_text(f'#!/bin/sh\nexec {shlex.join(words)} tor "$@"\n')
        program.chmod(0o755)
        self.configure(f'{TOR}\nbinary = "{program}"')
        daemon = (sys.executable, "-m", "twisted", "rustbalance", "--config", str(self.node.config))
        began = reactor.seconds()
        self.node.child = spawn(reactor, "node", (*words, *daemon), self.directory / "node")
        await self.node.until(lambda now: any("s behind" in one for one in now.problems), SAID + 30)
        Drill(
            61, f"the clock of the machine is {BEHIND} s behind, for Tor too", "its status and log say so", SAID
        ).mended(self, began)
