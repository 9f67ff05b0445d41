"""
Everything at once: network, site, nodes and a visitor.

Owns: starting them in order and ending them in the other one. In: a directory and numbers; out: ``Lab``.
"""

import os
import random
from pathlib import Path
from typing import Any

from rustbalance.files import private_directory
from rustbalance.lab import state
from rustbalance.lab.client import LabClient, Visitor
from rustbalance.lab.network import PrivateNetwork, Progress
from rustbalance.lab.node import LabNode
from rustbalance.lab.plain import PlainService
from rustbalance.lab.ports import PortBlock
from rustbalance.lab.site import TargetSite
from rustbalance.life import deferred

PLAIN_UPLOADS = 12
"""Most of the 16 uploads of a plain service's two descriptors: enough to be found."""


class Lab:
    """A private network with ``nodes`` nodes, each with an address of its own, in front of one site."""

    def __init__(self, directory: Path, reactor: Any, nodes: int = 1) -> None:
        self.directory = directory.absolute()
        self.network = PrivateNetwork(self.directory / "network", reactor)
        self.site = TargetSite(reactor)
        self.nodes: list[LabNode] = []
        self.client: LabClient | None = None
        self._plain: PlainService | None = None
        self._count = nodes
        self._reactor = reactor
        self._lock: int | None = None

    async def start(self, progress: Progress = lambda _: None) -> None:
        """
        Start everything and return when every node has published.

        :raises rustbalance.lab.state.LabRuns: a lab runs in this directory.
        :raises rustbalance.lab.network.TorNotFound: tor is not installed.
        :raises rustbalance.lab.network.NetworkNotUsable: the network did not come up.
        :raises rustbalance.lab.child.ChildEnded: a node ended, with its last words.
        """
        self._lock = state.hold(private_directory(self.directory))
        try:
            await self._start(progress)
        except BaseException:
            await self.stop()
            raise

    async def _start(self, progress: Progress) -> None:
        found = await self.network.start(progress)
        self.client = await LabClient(found.client, self._reactor).connect()
        target = await self.site.start()
        for number in range(1, self._count + 1):
            await self._start_node(f"node{number}", target, progress)
        nodes = tuple(node.describe() for node in self.nodes)
        whole = state.LabState(pid=os.getpid(), network=found, site=target, nodes=nodes)
        state.save(self.directory / state.LAB_FILE, whole)

    async def _start_node(self, name: str, target: str, progress: Progress) -> None:
        progress(f"starting {name}")
        node = LabNode(name, self.directory / name, target, self.network.include_path, self._reactor)
        self.nodes.append(node)
        node.start()
        published = await node.published()
        progress(f"{name} has published after {published.uptime_secs:.1f} s")

    async def start_plain(self) -> str:
        """Start a plain onion service in front of the site, wait until it has published, and return its address."""
        ports = PortBlock.reserve(random.Random())
        try:
            place, port = self.directory / "plain", int((self.site.address or "").rpartition(":")[2])
            plain = PlainService(place, self.network.include_text, port, ports.take(), self._reactor)
            self._plain = plain
            await plain.start()
            await plain.published(PLAIN_UPLOADS)
        finally:
            ports.release()
        return plain.onion

    @property
    def visitor(self) -> Visitor:
        """Return a new visitor."""
        if self.client is None:
            raise RuntimeError("start the lab first")
        return Visitor(self.client, self._reactor)

    async def stop(self) -> None:
        """End everything; may be called at any time, and again."""
        (self.directory / state.LAB_FILE).unlink(missing_ok=True)
        client, self.client = self.client, None
        if client is not None:
            await client.close()
        for ending in [deferred(node.stop()) for node in self.nodes]:
            await ending
        if self._plain is not None:
            await self._plain.stop()
        await self.site.stop()
        await self.network.stop()
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)
