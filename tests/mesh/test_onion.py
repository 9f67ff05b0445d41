"""
Tests for L{rustbalance.mesh.onion}: a Tor's control port in memory, its SOCKS port and our sockets for real.

C{tests.live.test_mesh_tor} has the real Tor.
"""

import shutil
import tempfile
from pathlib import Path

from twisted.internet import reactor  # noqa: TID251  (real sockets)
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from rustbalance.key_files import KeyFileError
from rustbalance.life import deferred
from rustbalance.mesh import stream_carrier
from rustbalance.mesh.onion import OnionCarrier
from rustbalance.onion.address import OnionAddress
from rustbalance.testing.fake_tor import FakeTor
from tests.mesh.peers import FAST, Node, Record, introduce, until
from tests.proxy.socks_server import SocksServer
from tests.tor.test_instance import MemoryTor

NAMES = ("a", "b", "c")
HOST_UNREACHABLE = 0x04


class Scout(MemoryTor):
    """A node's Tor: what its control port is asked is in C{self.tor.heard}."""

    def __init__(self, socks_port: int) -> None:
        super().__init__(FakeTor(), Clock())
        self.socks = ("127.0.0.1", socks_port)

    def flush(self) -> None:
        """Move the bytes of the control connection."""
        for _ in range(4):
            if self.endpoint.pump is not None:
                self.endpoint.pump.flush()
            self.clock.advance(0)

    def begin(self) -> None:
        """Start and serve."""
        self.startService()
        self.flush()

    def published(self, address: OnionAddress) -> None:
        """Have a descriptor of ``address`` uploaded."""
        self.tor.emit(f"HS_DESC UPLOADED {address.label} UNKNOWN ${'A' * 40}~relay")
        self.flush()

    def asked(self, verb: str) -> list[str]:
        """Return what was asked of it that begins with ``verb``."""
        return [line for line in self.tor.heard if line.startswith(verb)]


class OnionNode(Node):
    """A node with a scout and an onion carrier."""

    carrier: OnionCarrier

    def __init__(self, name: str, folder: Path, socks_port: int, backoff: float = 0.1) -> None:
        self.scout = Scout(socks_port)
        self.folder = folder / name
        carrier = OnionCarrier(self.scout, self.folder, reactor, FAST, lambda _: backoff)
        super().__init__(name, carrier, set(NAMES) - {name})

    @property
    def onion(self) -> OnionAddress:
        """Return the address of its mesh service."""
        return OnionAddress.parse(str(self.carrier.address).removeprefix("tor:"))


class OnionCarrierTests(TestCase):
    """L{OnionCarrier}."""

    timeout = 60

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rb-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.network = SocksServer({})
        self.port = self.network.listen(reactor).port
        self.addCleanup(lambda: deferred(self.network.close()))

    def node(self, name: str, *, serving: bool = True, backoff: float = 0.1) -> OnionNode:
        """Return a node whose carrier has started and whose service is found by all who dial."""
        node = OnionNode(name, self.folder, self.port, backoff)
        node.carrier.startService()
        self.addCleanup(self.end, node)
        self.network.routes[(node.onion.text, 51821)] = UNIXClientEndpoint(reactor, str(node.folder / "mesh.sock"))
        if serving:
            node.scout.begin()
        return node

    def end(self, node: OnionNode) -> Deferred[None]:
        """Stop a node."""
        stopped: Deferred[None] = node.carrier.stopService()
        return stopped.addCallback(lambda _: node.scout.stopService())

    async def mesh(self) -> tuple[OnionNode, OnionNode, OnionNode]:
        """Return three nodes with all links up."""
        a, b, c = (self.node(name) for name in NAMES)
        introduce((a, b, c))
        await until(lambda: all(node.carrier.status().links_up == 2 for node in (a, b, c)))
        return a, b, c

    async def test_cannot_listen(self) -> None:
        """Where the socket cannot be made that is told, and tried again; then Tor is given the service."""
        self.patch(stream_carrier, "UNABLE", 0.1)
        node = OnionNode("a", self.folder, self.port)
        node.scout.begin()
        node.folder.mkdir(0o700)
        (node.folder / "mesh.sock").mkdir()
        self.addCleanup(self.end, node)
        node.carrier.startService()
        self.assertIn("the mesh cannot listen", str(node.carrier.status().problem))
        (node.folder / "mesh.sock").rmdir()
        await until(lambda: (node.folder / "mesh.sock").is_socket())
        node.scout.flush()
        self.assertIn("not published yet", str(node.carrier.status().problem))

    async def test_mesh(self) -> None:
        """Three nodes hear each other through their onion services."""
        nodes = await self.mesh()
        for speaker in nodes:
            for listener in set(nodes) - {speaker}:
                speaker.say(listener.name, b"frame")
                await until(lambda speaker=speaker, listener=listener: listener.has_heard(speaker.name, b"frame"))  # type: ignore[misc]

    async def test_service(self) -> None:
        """The address is known from the start, the socket is ours alone, and a Tor that serves has the service."""
        node = self.node("a", serving=False)
        self.assertEqual((node.folder / "mesh.sock").stat().st_mode & 0o777, 0o600)
        self.assertEqual(node.carrier.status().listening, f"tor:{node.onion.text}")
        self.assertEqual(node.scout.asked("SETCONF"), [])
        node.scout.begin()
        self.assertEqual(len(node.scout.asked("SETCONF")), 1)
        self.assertEqual(dict(node.scout.tor.options)["HiddenServiceDir"], str(node.folder / "service"))

    async def test_published(self) -> None:
        """Until a directory has our descriptor, not just anybody's, the status says that we cannot be found."""
        node, other = self.node("a"), self.node("b")
        self.assertEqual(node.carrier.status().problem, "the mesh's onion service is not published yet")
        node.scout.published(other.onion)
        self.assertEqual(node.carrier.status().problem, "the mesh's onion service is not published yet")
        node.scout.published(node.onion)
        self.assertIsNone(node.carrier.status().problem)

    async def test_another_tor(self) -> None:
        """When Tor is replaced the new one gets the service, and in between the status says that there is none."""
        node = self.node("a")
        node.scout.published(node.onion)
        node.scout.tor.drop()
        node.scout.flush()
        self.assertIn("the mesh has no Tor", str(node.carrier.status().problem))
        node.scout.tor.options = []
        node.scout.clock.advance(2)
        node.scout.flush()
        self.assertEqual(len(node.scout.asked("SETCONF")), 2)
        self.assertEqual(node.carrier.status().problem, "the mesh's onion service is not published yet")

    async def test_company(self) -> None:
        """A Tor that hosts other services is left alone, and the status says why the mesh cannot be reached."""
        node = self.node("a", serving=False)
        node.scout.tor.options = [("HiddenServiceDir", "/var/lib/tor/blog")]
        node.scout.begin()
        self.assertIn("hosts other onion services (/var/lib/tor/blog)", str(node.carrier.status().problem))
        self.assertEqual(node.scout.asked("SETCONF"), [])

    async def test_fresh_circuits(self) -> None:
        """Each attempt has an isolation of its own, so that a circuit that failed is not used again."""
        a, b = self.node("a"), self.node("b", serving=False)
        self.network.routes[(b.onion.text, 51821)] = HOST_UNREACHABLE
        a.carrier.set_peers([b.record()])
        await until(lambda: len(self.network.isolations) >= 3 and a.carrier.status().problem is not None)
        self.assertEqual(self.network.isolations[:3], [b"mesh.b.1", b"mesh.b.2", b"mesh.b.3"])
        self.assertIn("no link to b: SOCKS reply 0x04", str(a.carrier.status().problem))

    async def test_tor_is_made_to_forget(self) -> None:
        """After a failure Tor forgets old descriptors: once, not for each attempt of a peer that stays away."""
        a, b = self.node("a"), self.node("b", serving=False)
        self.network.routes[(b.onion.text, 51821)] = HOST_UNREACHABLE
        a.carrier.set_peers([b.record()])
        await until(lambda: len(self.network.isolations) >= 4)
        a.scout.flush()
        self.assertEqual(a.scout.asked("SIGNAL"), ["SIGNAL NEWNYM"])

    async def test_no_dial_without_tor(self) -> None:
        """While Tor does not serve nobody is dialled; as soon as it does everybody is, at once."""
        a, b = self.node("a", serving=False, backoff=600), self.node("b")
        a.carrier.set_peers([b.record()])
        b.carrier.set_peers([Record("a")])
        await until(lambda: a.carrier.status().problem == "no link to b: Tor (scout) does not serve yet")
        self.assertEqual(self.network.isolations, [])
        a.scout.begin()
        await until(lambda: a.carrier.status().links_up == 1)

    async def test_addresses_of_others(self) -> None:
        """What is no onion address is never dialled, and the rule is named without the text."""
        a = self.node("a")
        a.scout.published(a.onion)
        a.carrier.set_peers([Record("b", ("tor:198.51.100.7",))])
        await until(lambda: a.carrier.status().problem is not None)
        self.assertIn("no link to b: an onion address has 56 characters", str(a.carrier.status().problem))
        self.assertEqual(self.network.isolations, [])

    async def test_bad_key(self) -> None:
        """A key that cannot be used is an error at the start, for the operator to mend."""
        keys = self.folder / "a" / "service"
        keys.mkdir(parents=True, mode=0o700)
        (self.folder / "a").chmod(0o700)
        (keys / "hs_ed25519_secret_key").write_bytes(b"nonsense")
        node = OnionNode("a", self.folder, self.port)
        self.assertRaises(KeyFileError, node.carrier.startService)

    async def test_leftover_socket(self) -> None:
        """A socket that a killed daemon has left is replaced."""
        first = self.node("a")
        await first.carrier.stopService()
        (self.folder / "a" / "mesh.sock").touch()
        second = self.node("a")
        self.assertEqual(second.onion, first.onion)
        self.assertTrue((self.folder / "a" / "mesh.sock").is_socket())
