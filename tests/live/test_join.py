"""Joining, as people do it: a bundle, one command on the other machine, and the node that it made is run."""

import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.threads import deferToThread

from rustbalance.config import find_places
from rustbalance.lab.bundles import write_passphrase
from rustbalance.lab.child import Child, spawn
from rustbalance.life import deferred, pause, within
from rustbalance.ops.control_client import NoAnswer, NoDaemon, ask
from rustbalance.ops.status import Health, NodeStatus
from tests.live.commands import COMMAND, rustbalance
from tests.live.nodes import NodeTestCase

reactor: Any = global_reactor
LONGEST = 60.0


class JoinTests(NodeTestCase):
    """Two nodes of one address; the second knows nothing of the first but what is in its bundle."""

    timeout = 400

    async def joined(self) -> Path:
        """Make a bundle on the first node, carry it over, join; return the new node's configuration."""
        phrase, bundle = write_passphrase(self.directory), self.directory / "node2.bundle"
        given = ("--passphrase-file", phrase)
        await rustbalance("bundle", "--dir", self.directory / "node", "--out", bundle, *given)
        place = self.directory / "node2"
        said = await rustbalance("join", bundle, "--dir", place, "--lab-include", self.network.include_path, *given)
        self.assertIn(self.node.onion_address, said)
        return place / "config.toml"

    def run_it(self, config: Path) -> Child:
        """Start the daemon of the second node."""
        child = spawn(reactor, "node2", (sys.executable, "-c", COMMAND, "run", "--config", str(config)), config.parent)
        self.addCleanup(lambda: deferred(child.stop(20.0)))
        return child

    async def status(self, config: Path) -> NodeStatus | None:
        """Return what the second node says of itself."""
        try:
            return await deferToThread(ask, find_places(config).control_socket, "status", NodeStatus)
        except (NoDaemon, NoAnswer):
            return None

    async def first_visitor(self, config: Path, child: Child) -> NodeStatus:
        """Visit the address until the second node has served somebody; no visit may fail meanwhile."""
        while True:
            child.raise_if_ended()
            fresh = self.visitors.client.may_forget
            visit = await self.visitors.fetch(self.node.onion_address, fresh_descriptor=fresh)
            self.assertTrue(visit.ok, (visit, child.tail))
            status = await self.status(config)
            if status is not None and status.proxy.requests_total:
                return status
            await pause(reactor, 0.2)

    async def test_second_node(self) -> None:
        """It joins by itself through the master address, and soon serves visitors; the first one publishes for both."""
        await self.prepare()
        await self.serving()
        config = await self.joined()
        began = reactor.seconds()
        child = self.run_it(config)
        serving = await within(LONGEST, reactor, self.first_visitor(config, child))
        took = reactor.seconds() - began
        print(f"\njoin: the first visitor is served by the new node {took:.1f} s after run")
        self.assertEqual(serving.onion_address, self.node.onion_address)
        first = await self.node.until(lambda status: status.health is Health.HEALTHY, 30)
        assert first.cluster is not None
        assert serving.cluster is not None
        self.assertEqual({one.id for one in first.cluster.members}, {self.node.name, serving.node_id})
        self.assertEqual(first.cluster.publisher, self.node.name)
        self.assertEqual(serving.cluster.publisher, self.node.name)
        self.assertEqual(serving.problems, ())
        self.assertEqual(serving.descriptors, ())
        again = await self.rerun(config, child)
        print(f"join: started again it is a member {again:.1f} s after run")

    async def rerun(self, config: Path, child: Child) -> float:
        """Stop the second node and start it again: it joins no more, it is a member; return when it was well."""
        await child.stop(20.0)
        began = reactor.seconds()
        self.run_it(config)
        await within(LONGEST, reactor, self._well(config))
        log = (config.parent / "output.log").read_text()
        self.assertEqual(log.count("has let us in"), 1, log)
        return float(reactor.seconds() - began)

    async def _well(self, config: Path) -> None:
        while (status := await self.status(config)) is None or status.health is not Health.HEALTHY:
            await pause(reactor, 0.2)
