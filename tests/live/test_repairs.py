"""Each repair, done to a real node: what is reported to a node in this process is what was reported, no more."""

import sys
from typing import Any

from twisted.internet import reactor as global_reactor

from rustbalance.building import Parts
from rustbalance.config import load_config
from rustbalance.files import private_directory
from rustbalance.health.repair import Failure
from rustbalance.life import OrderedServices, deferred, pause
from rustbalance.node import NodeService
from rustbalance.ops.status import NodeStatus
from tests.live.cluster import ClusterTestCase, published_points, publisher

reactor: Any = global_reactor
STARTED_WITHIN = 120.0
#: Seconds until the descriptors are confirmed anew, a restarted Tor serves, another node holds the lease.
REPUBLISHED, RESTARTED, HANDED_OVER = 5.0, 60.0, 5.0


def figure(text: str) -> None:
    """Print a measured figure."""
    print(f"\n    {text}", file=sys.stderr, flush=True)


class RepairTests(ClusterTestCase):
    """The node alpha is in this process, beta is one of its own."""

    async def both(self) -> None:
        """Start both and wait until alpha has published the points of both."""
        await self.prepare()
        config = load_config(self.members["alpha"].config)
        private_directory(config.state_dir)
        node = NodeService(self.members["alpha"].config, config, reactor)
        parts = self.parts = node._parts = Parts(config, node.status, reactor)
        self.status = node.status
        services = OrderedServices(reactor, 20.0)
        for part in parts.services:
            part.setServiceParent(services)
        self.addCleanup(lambda: deferred(self.end(services)))
        services.startService()
        self.members["beta"].start()
        await self.so("six points published", lambda status: self.points(status) == 6, STARTED_WITHIN)

    async def end(self, services: OrderedServices) -> None:
        """Stop the node and wipe its keys."""
        await services.stopService()
        self.parts._key.wipe()
        self.parts._node_key.wipe()

    def points(self, status: NodeStatus) -> int:
        """Return how many points alpha has published."""
        return published_points({"alpha": status})

    async def so(self, what: str, condition: Any, seconds: float) -> float:
        """Wait until alpha's status satisfies C{condition}; return how long it took."""
        began = reactor.seconds()
        while not condition(self.status()):
            self.assertLess(reactor.seconds() - began, seconds, f"{what}: {self.status()}")
            await pause(reactor, 0.05)
        return float(reactor.seconds() - began)

    def pid(self) -> int | None:
        """Return the process id of alpha's primary Tor."""
        return self.status().instances[0].pid

    async def test_each(self) -> None:
        """
        Republish, rejoin a peer, step down, restart an instance: each does what it is for, and says so.

        A tunnel is built anew in tests.live.test_wireguard: that takes network namespaces.
        """
        await self.both()
        await self.republish()
        await self.rejoin()
        await self.step_down()
        await self.restart()

    async def republish(self) -> None:
        """Both descriptors are confirmed with higher counters."""
        before = [one.revision or 0 for one in self.status().descriptors]
        self.parts.repairs.report(Failure.DESCRIPTOR_STALE)

        def anew(status: NodeStatus) -> bool:
            now = [one.revision or 0 for one in status.descriptors if one.published]
            return len(now) == 2 and all(new > old for new, old in zip(now, before, strict=True))

        figure(f"republish: both confirmed anew after {await self.so('published', anew, REPUBLISHED):.1f} s")
        self.assertIn("published again", self.parts.repairs.problems()[0])
        self.parts.repairs.recovered(Failure.DESCRIPTOR_STALE)
        self.assertEqual(self.parts.repairs.problems(), ())

    async def rejoin(self) -> None:
        """The link to the other node is another one, and is up again."""
        talk = self.parts.coordination._conversation
        assert talk is not None
        carrier: Any = talk.carrier
        before = carrier._links["beta"]
        self.parts.repairs.report(Failure.PEER_SILENT, "beta")
        self.assertIsNot(carrier._links["beta"], before)

        def heard(status: NodeStatus) -> bool:
            return bool(carrier._links["beta"].up)

        figure(f"rejoin: the link is up again after {await self.so('link', heard, 20.0):.1f} s")
        self.parts.repairs.recovered(Failure.PEER_SILENT, "beta")

    async def restart(self) -> None:
        """Another process takes the place of the Tor, and the other node publishes its points."""
        before = self.pid()
        self.parts.repairs.report(Failure.NO_POINTS, "primary")
        took = await self.so("another process", lambda status: self.pid() not in (None, before), RESTARTED)
        await self.until("six points", lambda found: published_points({"beta": found["beta"]}) == 6, RESTARTED)
        figure(f"restart: another process after {took:.1f} s")

    async def step_down(self) -> None:
        """When publishing again does not help, the other node has the lease, and the points of both are published."""
        self.parts.repairs.report(Failure.PUBLISHER_UNABLE)
        await pause(reactor, 16.0)
        self.parts.repairs.report(Failure.PUBLISHER_UNABLE)
        self.assertIn("the lease is given away", self.parts.repairs.problems()[0])
        took = await self.so("beta publishes", lambda status: publisher({"alpha": status}) == "beta", HANDED_OVER)
        self.parts.repairs.recovered(Failure.PUBLISHER_UNABLE)
        await self.until("six points", lambda found: published_points({"beta": found["beta"]}) == 6, 20.0)
        figure(f"step down: the other node has the lease after {took:.1f} s")
