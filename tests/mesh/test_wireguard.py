"""
Tests for L{rustbalance.mesh.wireguard}: the carrier on machines in memory, with real sockets on loopback.

The interface is called C{lo} and the tunnel's network is a part of 127/8, so that frames really pass.
"""

import os
from ipaddress import IPv4Network, ip_address
from typing import Any

from twisted.internet import reactor  # noqa: TID251  (real sockets)
from twisted.trial.unittest import TestCase

from rustbalance.cluster.envelope import MAX_FRAME
from rustbalance.mesh import wireguard
from rustbalance.mesh.tunnel_addresses import TunnelAddress
from rustbalance.mesh.wg_config import WgAddress, parse_address, parse_endpoint
from rustbalance.mesh.wireguard import WireguardCarrier, WireguardSettings
from rustbalance.secrets import Secret
from tests.mesh.peers import Node, Record, introduce, own_loopback, until
from tests.mesh.wg_fake import FakeTools

NETWORK = IPv4Network(f"127.{own_loopback()}.201.0/24")


class Machine:
    """A node on a machine of its own."""

    def __init__(self, number: int, **more: Any) -> None:
        self.key = Secret.random(32)
        self.tools = FakeTools(reactor)
        endpoint = parse_endpoint(f"192.0.2.{number}:51820")
        settings = WireguardSettings(
            NETWORK[number], "lo", network=NETWORK, external_endpoint=endpoint, seeds=more.pop("seeds", {})
        )
        self.carrier = WireguardCarrier(
            settings, self.key, reactor, os.urandom, tools=self.tools, backoff=lambda failures: 0.2, **more
        )
        names = {"a", "b", "c"}
        self.node = Node("abc"[number - 1], self.carrier, names)

    @property
    def address(self) -> WgAddress:
        """Its address."""
        assert self.carrier.address is not None
        return parse_address(self.carrier.address.removeprefix("wireguard:"))

    def peers(self) -> set[str]:
        """Return the keys of the peers of its interface."""
        return set(self.tools.devices["lo"].peers) if "lo" in self.tools.devices else set()


class WireguardCarrierTests(TestCase):
    """Up to three nodes."""

    timeout = 60

    def machine(self, number: int, **more: Any) -> Machine:
        """Return a machine whose node has started; it is stopped at the end of the test."""
        machine = Machine(number, **more)
        self.addCleanup(machine.key.wipe)
        self.addCleanup(machine.carrier.stopService)
        machine.carrier.startService()
        return machine

    def mesh(self, count: int = 2) -> list[Machine]:
        """Return machines that know each other."""
        machines = [self.machine(number) for number in range(1, count + 1)]
        introduce([machine.node for machine in machines])
        return machines

    async def test_frames(self) -> None:
        """Three nodes hear each other, small and large."""
        machines = self.mesh(3)
        for sender in machines:
            for receiver in machines:
                if sender is not receiver:
                    for text in (b"x", os.urandom(100_000)):
                        sender.node.say(receiver.node.name, text)
                        name, heard = sender.node.name, receiver.node.heard
                        await until(lambda name=name, text=text, heard=heard: (name, text) in heard)  # type: ignore[misc]

    async def test_address(self) -> None:
        """
        There is an address from the start on, whatever becomes of the interface.

        A node that starts again tells of itself before it has an interface. Had it no address then, those who know it
        would take it from theirs, and never hear of the address that it has later.
        """
        machine = Machine(1)
        self.addCleanup(machine.key.wipe)
        self.assertIsNone(machine.carrier.status().listening)
        before = machine.address
        machine.carrier.startService()
        self.assertEqual(machine.address, before)
        self.addCleanup(machine.carrier.stopService)
        self.assertEqual(str(machine.address).partition("@")[2], f"192.0.2.1:51820/{NETWORK[1]}")
        self.assertEqual(machine.carrier.status().listening, machine.carrier.address)
        machine.tools.broken.add("ip link")
        machine.tools.children[0].die()
        self.assertIsNotNone(machine.carrier.address)
        self.assertIsNone(machine.carrier.status().listening)
        self.assertIn("told to fail", str(machine.carrier.status().problem) + str(await self.problem(machine, "told")))

    async def problem(self, machine: Machine, text: str) -> str:
        """Wait until the problem has a text in it and return it."""
        await until(lambda: text in str(machine.carrier.status().problem))
        return str(machine.carrier.status().problem)

    async def test_peers_follow_the_records(self) -> None:
        """Peers are added, changed and removed while it runs; frames to those who are none are dropped and counted."""
        a, b = self.mesh(2)
        self.assertEqual(a.peers(), {b.address.key})
        a.carrier.set_peers([])
        self.assertEqual(a.peers(), set())
        a.node.say("b", b"nobody there")
        self.assertEqual(a.carrier.status().frames_dropped, 1)
        a.carrier.set_peers([Record("b", ("tor:x.onion", f"wireguard:{b.address.key}@/{NETWORK[9]}"))])
        self.assertEqual(a.tools.devices["lo"].peers[b.address.key]["allowed-ips"], f"{NETWORK[9]}/32")
        a.carrier.set_peers([Record("b", ("tor:x.onion",))])
        self.assertEqual(a.peers(), set())

    async def test_seeds(self) -> None:
        """A seed is a peer from the beginning, until there is a record of it."""
        seed = WgAddress(b"s" * 32, None, NETWORK[9])
        a = self.machine(1, seeds={"b": seed})
        self.assertEqual(a.peers(), {seed.key})
        a.carrier.set_peers([Record("c", (f"wireguard:{WgAddress(b'c' * 32, None, NETWORK[8])}",))])
        self.assertEqual(len(a.peers()), 2)
        a.carrier.set_peers([Record("b", (f"wireguard:{WgAddress(b'n' * 32, None, NETWORK[9])}",))])
        self.assertEqual(a.peers(), {WgAddress(b"n" * 32, None, NETWORK[9]).key})

    async def test_links(self) -> None:
        """A link is up from its first handshake, which is told once, and down when the interface is gone."""
        a, b = self.mesh(2)
        self.assertEqual((a.carrier.status().links_up, a.carrier.status().links_down), (0, 1))
        a.tools.devices["lo"].handshakes[b.address.key] = 1_790_000_000
        a.carrier._keeper.look()
        self.assertEqual((a.carrier.status().links_up, a.carrier.status().links_down), (1, 0))
        a.carrier._keeper.look()
        self.assertEqual(a.node.opened, ["b"])
        await until(lambda: b.node.has_heard("a", b"hello"))
        a.tools.children[0].die()
        self.assertEqual(a.carrier.status().links_up, 0)

    async def test_an_error_of_the_listener(self) -> None:
        """Whoever is told of a link and fails does not take the interface down."""
        a, b = self.mesh(2)
        a.carrier.link_opened = lambda peer: 1 // 0  # type: ignore[assignment]
        a.tools.devices["lo"].handshakes[b.address.key] = 1
        a.carrier._keeper.look()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIsNone(a.carrier.status().problem)

    async def test_frames_wait_for_the_interface(self) -> None:
        """What is sent while the interface is made anew arrives after, and only the newest of each slot."""
        a, b = self.mesh(2)
        a.tools.children[0].die()
        for number in range(5):
            a.node.say("b", b"beat %d" % number, "heartbeat")
        a.node.say("b", b"points")
        await until(lambda: b.node.has_heard("a", b"points"))
        self.assertEqual(b.node.heard, [("a", b"beat 4"), ("a", b"points")])

    async def test_sizes(self) -> None:
        """Empty frames and too long ones are refused where they are made."""
        a, _ = self.mesh(2)
        for frame in (b"", bytes(MAX_FRAME + 1)):
            self.assertRaises(ValueError, a.carrier.send, "b", frame)

    async def test_refused(self) -> None:
        """Whoever cannot be a peer is counted as a link that is down, and the status says why."""
        a = self.machine(1)
        a.carrier.set_peers([Record("x", ("wireguard:nonsense",))])
        status = a.carrier.status()
        self.assertEqual((status.links_up, status.links_down), (0, 1))
        self.assertIn("x cannot be a peer: must have the form", str(status.problem))

    async def test_same_address(self) -> None:
        """Of two nodes with one address, the one with the larger key tells of another first, and then takes it."""
        self.patch(wireguard, "ANNOUNCE_SECS", 0.3)
        a = self.machine(1)
        moved: list[str] = []
        a.carrier.moved = moved.append
        rival = WgAddress(bytes(32), None, NETWORK[1])
        a.carrier.set_peers([Record("rival", (f"wireguard:{rival}",))])
        self.assertEqual(moved, [a.carrier.address])
        announced: TunnelAddress = a.address.tunnel_ip
        self.assertNotEqual(announced, NETWORK[1])
        self.assertEqual((a.tools.devices["lo"].addresses, a.peers()), ({str(NETWORK[1])}, set()))
        await until(lambda: a.tools.devices["lo"].addresses == {str(announced)} if a.tools.devices else False)
        self.assertEqual(a.peers(), {rival.key})
        a.carrier.set_peers([Record("rival", (f"wireguard:{WgAddress(bytes(32), None, announced)}",))])
        self.assertEqual((len(moved), a.address.tunnel_ip), (1, announced))  # nobody can keep us moving

    async def test_the_other_moves(self) -> None:
        """The one with the smaller key stays where it is."""
        a = self.machine(1)
        rival = WgAddress(bytes([255]) * 32, None, NETWORK[1])
        a.carrier.set_peers([Record("rival", (f"wireguard:{rival}",))])
        self.assertEqual(a.address.tunnel_ip, NETWORK[1])

    async def test_settled(self) -> None:
        """The address that a member keeps for us is taken at once, by the interface too, and told of at once."""
        a = self.machine(1)
        moved: list[str] = []
        a.carrier.moved = moved.append
        await until(lambda: bool(a.tools.devices))
        a.carrier.settle(str(NETWORK[9]))
        self.assertEqual((a.address.tunnel_ip, moved), (NETWORK[9], [a.carrier.address]))
        await until(lambda: a.tools.devices["lo"].addresses == {str(NETWORK[9])} if a.tools.devices else False)

    async def test_names(self) -> None:
        """A name of an endpoint never reaches wg: the peer is there without one until an address is found."""
        a = self.machine(1, look=lambda host, port: "192.0.2.77")
        peer = WgAddress(b"p" * 32, parse_endpoint("node.example.org:5"), NETWORK[7])
        a.carrier.set_peers([Record("p", (f"wireguard:{peer}",))])
        await until(lambda: "endpoint" in a.tools.devices["lo"].peers[peer.key])
        self.assertEqual(a.tools.devices["lo"].peers[peer.key]["endpoint"], "192.0.2.77:5")
        self.assertFalse(any("node.example.org" in call for call in a.tools.calls))

    async def test_bad_settings(self) -> None:
        """A key of another length and an address outside the network are refused at once."""
        with Secret(31) as short, Secret(32) as key:
            self.assertRaises(
                ValueError, WireguardCarrier, WireguardSettings(ip_address("10.200.200.1")), short, reactor, os.urandom
            )
            self.assertRaises(
                ValueError, WireguardCarrier, WireguardSettings(ip_address("10.0.0.1")), key, reactor, os.urandom
            )
