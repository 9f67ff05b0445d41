"""
Everything at once: network, site, nodes and a visitor.

Owns: starting them in order and ending them in the other one. In: a directory and numbers; out: ``Lab``.
"""

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool

from rustbalance.files import private_directory
from rustbalance.lab import state
from rustbalance.lab.bundles import invite, write_passphrase
from rustbalance.lab.client import LabClient, Visitor
from rustbalance.lab.network import PrivateNetwork, Progress
from rustbalance.lab.node import LabNode
from rustbalance.lab.plain import PlainService
from rustbalance.lab.ports import PortBlock
from rustbalance.lab.site import TargetSite
from rustbalance.lab.union import publisher_of, whole
from rustbalance.life import deferred, pause, within
from rustbalance.ops.status import NodeStatus

PLAIN_UPLOADS = 12
"""Most of the 16 uploads of a plain service's two descriptors: enough to be found."""
JOINING = 180.0
"""Seconds that nodes have for joining and for their points to be published."""
POLL = 0.25


class Lab:
    """A private network with ``nodes`` nodes that serve one address, in front of one site."""

    def __init__(self, directory: Path, reactor: Any, nodes: int = 1, carrier: str = "direct") -> None:
        self.directory = directory.absolute()
        self.network = PrivateNetwork(self.directory / "network", reactor)
        self.site = TargetSite(reactor)
        self.nodes: list[LabNode] = []
        self.client: LabClient | None = None
        self._plain: PlainService | None = None
        self._count = nodes
        self._carrier = carrier
        self._reactor = reactor
        self._lock: int | None = None

    @property
    def onion_address(self) -> str:
        """
        The address that all nodes serve.

        :raises IndexError: there is no node (yet).
        """
        return self.nodes[0].onion_address

    async def start(self, progress: Progress = lambda _: None) -> None:
        """
        Start everything and return when the points of all nodes are published.

        :raises rustbalance.lab.state.LabRuns: a lab runs in this directory.
        :raises rustbalance.lab.network.TorNotFound: tor is not installed.
        :raises rustbalance.lab.network.NetworkNotUsable: the network did not come up.
        :raises rustbalance.lab.child.ChildEnded: a node ended, with its last words.
        :raises twisted.internet.defer.TimeoutError: nodes did not become one service in time.
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
        if self._count:
            await self._start_nodes(target, progress)
        nodes = tuple(node.describe() for node in self.nodes)
        whole = state.LabState(pid=os.getpid(), network=found, site=target, nodes=nodes)
        state.save(self.directory / state.LAB_FILE, whole)

    async def _start_nodes(self, target: str, progress: Progress) -> None:
        """Start one node, and when it has published all others, which join it."""
        progress("starting node1")
        place, include = self.directory / "node1", self.network.include_path
        first = LabNode("node1", place, target, include, self._reactor, carrier=self._carrier)
        self.nodes.append(first)
        first.start()
        published = await first.published()
        progress(f"node1 has published after {published.uptime_secs:.1f} s")
        if self._count > 1:
            await self._join_others(first, progress)

    async def _join_others(self, first: LabNode, progress: Progress) -> None:
        phrase = write_passphrase(self.directory)
        for number in range(2, self._count + 1):
            name = f"node{number}"
            progress(f"{name} joins")
            joining = await self._in_thread(self._make_joining, name, first.config, phrase)
            self.nodes.append(joining)
            joining.start()
        began = self._reactor.seconds()
        await self.united()
        progress(f"the points of all {self._count} nodes are published, {self._reactor.seconds() - began:.1f} s later")

    def _make_joining(self, name: str, first: Path, phrase: Path) -> LabNode:
        bundle = invite(first, phrase, self.directory / f"{name}.bundle")
        place, include = self.directory / name, self.network.include_path
        return LabNode(name, place, "", include, self._reactor, bundle=bundle)

    def _in_thread(self, work: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), work, *arguments)

    async def statuses(self) -> list[NodeStatus | None]:
        """Return what each node says about itself, None for one that does not answer."""
        asked = [deferred(node.status()) for node in self.nodes]
        return [await answer for answer in asked]

    async def publisher(self) -> LabNode | None:
        """Return the node that publishes; None while that is none, or more than one."""
        publisher = publisher_of(await self.statuses())
        return next((node for node in self.nodes if node.name == publisher), None)

    async def united(self, deadline: float = JOINING) -> None:
        """
        Wait until all nodes agree who publishes, and what is published has the points of each.

        :raises rustbalance.lab.child.ChildEnded: one ended.
        :raises twisted.internet.defer.TimeoutError: it took longer than ``deadline`` seconds.
        """
        await within(deadline, self._reactor, self._united())

    async def _united(self) -> None:
        everybody = {node.name for node in self.nodes}
        while not whole(await self.statuses(), everybody):
            for node in self.nodes:
                if node.child is not None:
                    node.child.raise_if_ended()
            await pause(self._reactor, POLL)

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
