"""Joining put together: a newcomer's door and a member's, with a real front and a SOCKS server between them."""

import os
import shutil
from collections.abc import Callable, Iterable

from rustbalance.cluster.keys import NodeKey
from rustbalance.cluster.messages import NodeRecord
from rustbalance.cluster.records import bind, sign_record
from rustbalance.joining.making import Door, JoinSettings, remembered
from rustbalance.joining.records import JOINING, JoinFile, Joining, StateDamaged
from rustbalance.life import now
from rustbalance.mesh.tunnel_addresses import DEFAULT_NETWORK, TunnelNetwork
from rustbalance.proxy.socks import SocksAddress
from tests.cluster.samples import KEYS, RING, node_key, ticket_key
from tests.joining.nodes import HOST, JoiningCase
from tests.joining.samples import WG_KEY, folder, secret, ticket
from tests.proxy.wire import eventually, reactor


class Cluster:
    """What a node knows of its cluster."""

    def __init__(self, name: str, key: NodeKey, bundle: bool = False, address: str | None = None) -> None:
        self.name, self.key = name, key
        self.came_with = (ticket().public_key, bind(ticket_key(), key.public)) if bundle else (b"", b"")
        self.records: tuple[NodeRecord, ...] = ()
        self.former: tuple[NodeRecord, ...] = ()
        self.address = address
        self.settled: list[str] = []
        self.settle: Callable[[str], None] = self._settle

    @property
    def record(self) -> NodeRecord:
        """Our own record."""
        addresses = () if self.address is None else (self.address,)
        return sign_record(NodeRecord(self.name, bytes(32), 1, 100, addresses, b"", *self.came_with), self.key)

    def learn(self, records: Iterable[NodeRecord]) -> None:
        """Note who is a member, besides us."""
        self.records = tuple(record for record in records if record.id != self.name)

    def admit(self, record: NodeRecord) -> None:
        """Note who has joined, besides the others."""
        self.learn([*self.records, record])

    def _settle(self, tunnel_ip: str) -> None:
        self.settled.append(tunnel_ip)
        self.address = f"wireguard:{WG_KEY}@/{tunnel_ip}"


class DoorTests(JoiningCase):
    """Node a is a member, node new has a bundle of it."""

    def door(self, cluster: Cluster, socks: SocksAddress | None, network: TunnelNetwork | None = None) -> Door:
        """Return the door of a node; who has a bundle finds it in its directory."""
        self.directory = folder()
        self.addCleanup(shutil.rmtree, self.directory)
        bundle, binding = cluster.came_with
        if bundle:
            joining = Joining(ticket=ticket(expires=now().wall + 3600), binding=binding)
            JoinFile(self.directory / JOINING, Joining).write(joining)
        settings = JoinSettings(cluster.name, HOST, self.directory, secret(), network, network is not None)
        door = Door(settings, RING, cluster.key, cluster, lambda: socks, reactor, os.urandom)
        self.addCleanup(door.joiner.stopService)
        return door

    def pair(self, network: TunnelNetwork | None = None) -> tuple[Cluster, Cluster, Door]:
        """Return what a and new know, and the door of new, which leads to a."""
        there = Cluster("a", KEYS["a"], address="direct:127.0.0.1:1")
        front = self.front(self.origin(), intercept=self.door(there, None, network).intercept)
        _, socks = self.way_to(front)
        here = Cluster("new", node_key("new"), True, address="direct:127.0.0.1:2")
        return there, here, self.door(here, socks, network)

    async def test_joins(self) -> None:
        """Both sides know each other afterwards; until then the newcomer is outside, and says so."""
        there, here, door = self.pair()
        self.assertTrue(door.outside)
        door.joiner.startService()
        await eventually(lambda: door.joiner.done, "the join")
        self.assertFalse(door.outside)
        self.assertEqual((here.records, there.records), ((there.record,), (here.record,)))
        self.assertEqual(door.problems(), ())

    async def test_no_address_yet(self) -> None:
        """Nobody is asked before others could reach us; what is missing is told."""
        there, here, door = self.pair()
        here.address = None
        door.joiner.startService()
        await eventually(door.problems, "a problem")
        self.assertIn("own address", door.problems()[0])
        self.assertEqual(there.records, ())
        here.address = "direct:127.0.0.1:2"
        door.on_ready(None)  # type: ignore[arg-type]
        await eventually(lambda: door.joiner.done, "the join")

    async def test_tunnel(self) -> None:
        """The address inside the tunnel that is kept for us becomes ours before we are let in."""
        there, here, door = self.pair(DEFAULT_NETWORK)
        here.address = f"wireguard:{WG_KEY}@/10.200.200.250"
        door.joiner.startService()
        await eventually(lambda: bool(here.settled), "an address")
        door.on_ready(None)  # type: ignore[arg-type]
        await eventually(lambda: door.joiner.done, "the join")
        given = remembered(self.directory, here.key.public)
        assert given is not None
        self.assertEqual(here.settled, [given.tunnel_ip])
        self.assertEqual(there.records[0].addresses, (f"wireguard:{WG_KEY}@/{given.tunnel_ip}",))

    async def test_outside_lets_nobody_in(self) -> None:
        """Who is no member itself cannot speak for the cluster."""
        outside = self.door(Cluster("c", KEYS["c"], True, address="direct:127.0.0.1:3"), None)
        front = self.front(self.origin(), intercept=outside.intercept)
        _, socks = self.way_to(front)
        door = self.door(Cluster("new", node_key("new"), True, address="direct:127.0.0.1:2"), socks)
        door.joiner.startService()
        await eventually(door.problems, "a problem")
        self.assertIn("404", door.problems()[0])

    def test_remembered(self) -> None:
        """The first node remembers nothing, another one its bundle; what cannot be read is no reason to begin anew."""
        self.door(Cluster("a", KEYS["a"]), None)
        self.assertIsNone(remembered(self.directory, KEYS["a"].public))
        self.door(Cluster("new", node_key("new"), True), None)
        state = remembered(self.directory, node_key("new").public)
        assert state is not None
        self.assertEqual(state.ticket.public_key, ticket().public_key)
        (self.directory / JOINING).write_text("{")
        self.assertRaises(StateDamaged, remembered, self.directory, node_key("new").public)

    def test_another_node_key(self) -> None:
        """A node whose key was exchanged would be believed by nobody: it says what to do instead."""
        self.door(Cluster("new", node_key("new"), True), None)
        damaged = self.assertRaises(StateDamaged, remembered, self.directory, KEYS["a"].public)
        self.assertIn("another node key", str(damaged))
