"""
Three nodes' onion carriers on the private network, with frames sealed as they are in a cluster.

What it prints are figures of this run, for docs/scaling.md.
"""

import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from rustbalance.life import deferred, pause
from rustbalance.mesh.onion import OnionCarrier
from rustbalance.tor.managed import ManagedSettings, ManagedTor
from tests.live.network import LiveTestCase
from tests.mesh.sealed import Member, large_message, members

NAMES = ("a", "b", "c")
#: Seconds from starting three Tors to all links, and from killing one Tor to the same.
FULL_MESH = 90.0
#: Seconds for a message of 500 kB.
LARGE = 60.0


class OnionNode:
    """A node's scout Tor and its carrier."""

    def __init__(self, member: Member, folder: Path, include: Path) -> None:
        self.member = member
        self.tor = ManagedTor("scout", ManagedSettings(folder / "scout", torrc_include=include), None, reactor)
        self.carrier = OnionCarrier(self.tor, folder / "mesh", reactor)
        self.heartbeats = member.beating(reactor)
        member.on(self.carrier)

    def start(self) -> None:
        """Start everything."""
        self.carrier.startService()
        self.tor.startService()
        self.heartbeats.startService()

    async def stop(self) -> None:
        """Stop everything, the Tor last."""
        self.heartbeats.stopService()
        await self.carrier.stopService()
        await self.tor.stopService()

    @property
    def meshed(self) -> bool:
        """Whether all links are up."""
        return self.carrier.status().links_up == len(NAMES) - 1

    def hears(self, *others: "OnionNode") -> bool:
        """Say whether heartbeats have come from all ``others``."""
        return all(self.member.beats[other.member.name] for other in others)


class OnionMeshTests(LiveTestCase):
    """Frames between onion services."""

    timeout = 400

    def setUp(self) -> Deferred[None]:  # type: ignore[override]
        self.folder = Path(tempfile.mkdtemp(prefix="rb-mesh-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        return super().setUp()

    def mesh(self) -> list[OnionNode]:
        """Start three nodes that know each other."""
        include = Path(self.network.include_path)
        nodes = []
        for member in members(NAMES):
            (self.folder / member.name).mkdir(mode=0o700)
            node = OnionNode(member, self.folder / member.name, include)
            node.start()
            self.addCleanup(self.stop, node)
            nodes.append(node)
        for node in nodes:
            node.carrier.set_peers([o.member.record(str(o.carrier.address)) for o in nodes if o is not node])
        return nodes

    def stop(self, node: OnionNode) -> Deferred[None]:
        """Stop a node."""
        return deferred(node.stop())

    async def until(self, condition: Callable[[], bool], seconds: float) -> float:
        """Wait for something to become true; return how long it took."""
        began = reactor.seconds()
        while not condition():
            if reactor.seconds() - began > seconds:
                self.fail(f"it has not happened within {seconds} s")
            await pause(reactor, 0.1)
        return float(reactor.seconds() - began)

    async def test_mesh(self) -> None:
        """All links come up in time, a large frame arrives whole, and those of a killed Tor come back."""
        nodes = a, b, c = self.mesh()
        took = await self.until(lambda: all(node.meshed for node in nodes), FULL_MESH)
        print(f"\nfull mesh of 3 over onion services: {took:.1f} s from the start of their Tors")
        await self.until(lambda: a.hears(b, c) and b.hears(a, c) and c.hears(a, b), 10)
        await self.large(a, b)
        print(f"a killed Tor is heard again after {await self.killed(c, a, b):.1f} s")
        await self.until(lambda: all(node.carrier.status().problem is None for node in nodes), FULL_MESH)
        for node in nodes:
            self.assertEqual(node.member.opener.rejected, {})

    async def test_dialled_again(self) -> None:
        """A node that dials nobody is found again by the others when its Tor was killed: under a new descriptor."""
        a, b, c = self.mesh()
        c.carrier.set_peers([a.member.record(), b.member.record()])
        await self.until(lambda: all(node.meshed for node in (a, b, c)), FULL_MESH)
        took = await self.killed(c, a, b)
        print(f"\na killed Tor that is only dialled is heard again after {took:.1f} s")

    async def large(self, a: OnionNode, b: OnionNode) -> None:
        """Send 500 kB from one to the other."""
        b.member.opener.skew = LARGE
        message = large_message(500_000)
        size = a.member.say("b", message)
        self.assertGreater(size, 500_000)
        took = await self.until(lambda: bool(b.member.heard), LARGE)
        self.assertEqual(b.member.heard, [("a", message)])
        print(f"a frame of {size} bytes: {took:.1f} s")

    async def killed(self, node: OnionNode, *others: OnionNode) -> float:
        """Kill the Tor of ``node``; return how long it takes until it is heard by all, and hears all, again."""
        pid = node.tor.pid
        assert pid is not None
        began = reactor.seconds()
        os.kill(pid, signal.SIGKILL)
        await self.until(lambda: node.tor.pid not in (pid, None), 30)
        for one in (node, *others):
            one.member.beats.clear()
        await self.until(lambda: node.hears(*others) and all(other.hears(node) for other in others), FULL_MESH)
        return float(reactor.seconds() - began)
