"""
A cluster whose messages go through WireGuard tunnels, between machines of their own (network namespaces on a bridge).

The nodes are made by C{init} and C{join}; the tools and C{wireguard-go} are the real ones. Nothing but the tunnels' own
packets passes between the machines.
"""

import re
from ipaddress import ip_address, ip_network

from twisted.internet import reactor
from twisted.internet.defer import DeferredList

from rustbalance.life import deferred, pause
from rustbalance.mesh.tunnel_addresses import DEFAULT_NETWORK
from rustbalance.ops.status import Health, NodeStatus
from tests.live.cluster import CROWD, Member, figure, published_points
from tests.live.crowd import Crowd
from tests.live.joined import EVERYBODY, FIRST_VISITOR, OF_ONE, JoinedTestCase
from tests.live.machines import words
from tests.live.namespaces import Machine

THROUGH = 100
PORT, OTHER_PORT = 51820, 51999
#: Seconds from the start of a node at another place to a whole mesh.
MOVED = 60.0


def meshed(found: dict[str, NodeStatus]) -> bool:
    """Does each of three nodes hear both others?"""
    links = [status.cluster.links_up for status in found.values() if status.cluster is not None]
    return links == [2, 2, 2]


def tunnel_ip(status: NodeStatus | None) -> str:
    """Return the node's address inside the tunnel."""
    assert status is not None
    assert status.cluster is not None
    assert status.cluster.listening is not None
    return status.cluster.listening.rpartition("/")[2]


class WireguardClusterTests(JoinedTestCase):
    """Three machines."""

    async def joined(self) -> dict[str, Machine]:
        """Make three nodes; two join the first one. Return the machine of each."""
        await self.begin()
        one, two, three = await self.machines(3)
        first = await self.first("wireguard", words(one), "--endpoint", f"{one.ip}:{PORT}")
        second = await self.another("second", words(two), "--endpoint", f"{two.ip}:{PORT}")
        third = await self.another("third", words(three), "--endpoint", f"{three.ip}:{PORT}")
        took = await self.first_visitor(second)
        figure(f"wireguard: {took:.1f} s from run to the first visitor (target {FIRST_VISITOR:g})")
        third.start()
        await self.until("all points", lambda found: published_points(found) == EVERYBODY)
        await self.until("all are well", lambda found: all(one.health is Health.HEALTHY for one in found.values()))
        await self.until("a mesh", meshed)
        return {first.name: one, second.name: two, third.name: three}

    async def test_three_nodes(self) -> None:
        """
        They join through the master address, get tunnel addresses of their own, hear each other in the tunnel only,
        survive the end of the publisher, and find a node again that comes back at another place.
        """
        machines = await self.joined()
        addresses = [tunnel_ip(await member.status()) for member in self.members.values()]
        self.assertEqual(len(set(addresses)), 3)
        self.assertTrue(all(ip_address(address) in ip_network(DEFAULT_NETWORK) for address in addresses))
        crowd = Crowd(self.visitors, self.address.text, reactor, CROWD)
        self.addCleanup(crowd.abandon)
        crowd.start()
        await pause(reactor, 2)
        began = reactor.seconds()
        killed = self.members[await self.killed(points=EVERYBODY - OF_ONE)]
        await crowd.finish(at_least=THROUGH)
        figure(f"wireguard: through it: {crowd} {crowd.complaints(began)}")
        self.assertEqual(crowd.failed, [], crowd.complaints(began))
        killed.start()
        back = await self.until("all points again", lambda found: published_points(found) == EVERYBODY)
        await self.until("a mesh", meshed)
        figure(f"wireguard: started again, the node's points are published after {back:.1f} s")
        await self.moves(self.members["third"], machines)

    async def moves(self, member: Member, machines: dict[str, Machine]) -> None:
        """Stop a node and start it with another endpoint: the others find it there, at the same tunnel address."""
        assert member.child is not None
        before = tunnel_ip(await member.status())
        await DeferredList([deferred(member.child.stop(15.0))])
        text = member.config.read_text()
        place = f"{machines[member.name].ip}:{OTHER_PORT}"
        text = re.sub(r"^external_endpoint = .*$", f'external_endpoint = "{place}"', text, flags=re.MULTILINE)
        text = re.sub(r"^listen_port = .*$", f"listen_port = {OTHER_PORT}", text, flags=re.MULTILINE)
        member.config.write_text(text)
        began = reactor.seconds()
        member.start()
        await self.until(
            "all points at the new place", lambda found: len(found) == 3 and published_points(found) == EVERYBODY
        )
        await self.until("a mesh with the new place", meshed)
        took = reactor.seconds() - began
        figure(f"wireguard: at another endpoint the node is found after {took:.1f} s (target {MOVED:g})")
        self.assertLess(took, MOVED)
        self.assertEqual(tunnel_ip(await member.status()), before)
        for name, machine in machines.items():
            if name != member.name:
                self.assertIn(place, await machine.run("wg", "show", "wg-rb", "endpoints"))
