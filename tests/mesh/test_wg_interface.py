"""Tests for L{rustbalance.mesh.wg_interface}: what a machine may answer. C{tests/live} has the real ones."""

from ipaddress import ip_address

from twisted.internet import reactor  # noqa: TID251  (deadlines of real children)
from twisted.logger import capturedLogs
from twisted.trial.unittest import TestCase

from rustbalance.mesh.wg_config import Endpoint, Remove, WgPeer, key_text
from rustbalance.mesh.wg_interface import InterfaceFailed, InterfaceSettings, WgInterface
from rustbalance.mesh.wg_tool import ToolFailed
from rustbalance.onion.client_auth import x25519_public
from rustbalance.secrets import Secret
from tests.mesh.wg_fake import Device, FakeTools

IP = ip_address("10.200.200.1")
PEER = WgPeer("PEER=", ip_address("10.200.200.2"), Endpoint("192.0.2.2", 51820))


class WgInterfaceTests(TestCase):
    """One interface on a machine of our making."""

    timeout = 30

    def setUp(self) -> None:
        self.key = Secret.random(32)
        self.addCleanup(self.key.wipe)
        self.public = key_text(x25519_public(self.key))

    def interface(self, tools: FakeTools) -> WgInterface:
        """Return the interface on a machine."""
        return WgInterface(InterfaceSettings("wg-rb", 51820, 24), self.key, self.public, tools, reactor)

    async def refusal(self, interface: WgInterface) -> str:
        """Make it, which fails; return what is said."""
        try:
            await interface.make(IP, [])
        except InterfaceFailed as error:
            return str(error)
        raise AssertionError("it was made")

    async def fault(self, interface: WgInterface) -> str:
        """Check it, which fails; return what is said."""
        try:
            await interface.check(IP)
        except InterfaceFailed as error:
            return str(error)
        raise AssertionError("nothing was found")

    async def test_with_the_kernel(self) -> None:
        """Where the kernel has WireGuard no process is started, and the commands are these."""
        tools = FakeTools(reactor, kernel=True)
        interface = self.interface(tools)
        await interface.make(IP, [PEER])
        self.assertEqual(
            tools.calls[1:],
            [
                "ip link add dev wg-rb type wireguard",
                f"ip link set dev wg-rb alias rustbalance {self.public}",
                "wg set wg-rb private-key /dev/stdin listen-port 51820 peer PEER= allowed-ips 10.200.200.2/32 "
                "endpoint 192.0.2.2:51820 persistent-keepalive 25",
                "ip address replace 10.200.200.1/24 dev wg-rb",
                "ip link set dev wg-rb mtu 1280 up",
            ],
        )
        self.assertIsNone(interface.pid)
        report = await interface.check(IP)
        self.assertEqual(report.allowed_ips, {"PEER=": frozenset({"10.200.200.2/32"})})
        self.assertEqual(report.handshakes, {"PEER=": 0})
        await interface.change([Remove("PEER=")])
        self.assertEqual((await interface.check(IP)).allowed_ips, {})
        await interface.remove()
        self.assertEqual(tools.devices, {})

    async def test_with_wireguard_go(self) -> None:
        """Where the kernel has none a process is started, and it ends with the interface."""
        tools = FakeTools(reactor)
        interface = self.interface(tools)
        await interface.make(IP, [])
        self.assertEqual(interface.pid, 4711)
        self.assertIn("wireguard-go -f wg-rb", tools.calls)
        await interface.check(IP)
        await interface.remove()
        self.assertEqual((tools.devices, interface.pid), ({}, None))
        self.assertIsNotNone(tools.children[0].ending)

    async def test_left_behind(self) -> None:
        """An interface that cannot be taken down is told of; one that is gone by itself is not worth a word."""
        tools = FakeTools(reactor, kernel=True)
        interface = self.interface(tools)
        for broken, lines in (({"ip link delete"}, 1), (set(), 0)):
            await interface.make(IP, [])
            tools.broken = broken
            if not broken:
                tools.devices.clear()
            with capturedLogs() as events:
                await interface.remove()
            self.assertEqual([event["log_level"].name for event in events], ["error"] * lines)
            tools.broken = set()

    async def test_with_neither(self) -> None:
        """Without either the message names what is missing."""
        tools = FakeTools(reactor, userspace=False)
        message = await self.refusal(self.interface(tools))
        self.assertEqual(message, "Error: Unknown device type., and there is no wireguard-go to do without")

    async def test_without_permission(self) -> None:
        """The last words of a wireguard-go that gives up are the message, without its box."""
        tools = FakeTools(reactor, excuse="Failed to create TUN device: operation not permitted")
        message = await self.refusal(self.interface(tools))
        self.assertEqual(message, "wireguard-go: Failed to create TUN device: operation not permitted")

    async def test_no_ip(self) -> None:
        """A machine without ip(8) is named as such, and not taken for one without the interface."""
        tools = FakeTools(reactor)

        async def missing(*words: str, **options: object) -> str:
            raise ToolFailed(words, None, f"there is no program {words[0]}")

        self.patch(tools, "run", missing)
        self.assertIn("there is no program ip", await self.refusal(self.interface(tools)))

    async def test_left_by_a_killed_daemon(self) -> None:
        """What bears our mark is made anew, with its peers gone."""
        tools = FakeTools(reactor, kernel=True)
        left = Device(f"rustbalance {self.public}", True, {"10.200.200.9"}, self.public, "1", {"OLD=": {}})
        tools.devices["wg-rb"] = left
        await self.interface(tools).make(IP, [])
        self.assertEqual(tools.devices["wg-rb"].addresses, {"10.200.200.1"})
        self.assertEqual(tools.devices["wg-rb"].peers, {})

    async def test_left_half_made(self) -> None:
        """A daemon may be killed between making an interface and marking it: an empty one is taken for ours."""
        tools = FakeTools(reactor, kernel=True)
        tools.devices["wg-rb"] = Device()
        await self.interface(tools).make(IP, [])
        self.assertEqual(tools.devices["wg-rb"].key, self.public)

    async def test_not_ours(self) -> None:
        """An interface of somebody else's, also of another of our daemons, is left alone, and so at the end."""
        for device in (
            Device("rustbalance ANOTHER=", True, set(), "ANOTHER="),
            Device("", True, {"10.0.0.1"}, "(none)"),
            Device("", False, set(), "WGQUICK="),
            Device("mine", False),
        ):
            tools = FakeTools(reactor)
            tools.devices["wg-rb"] = device
            interface = self.interface(tools)
            self.assertIn("wg-rb that is not ours", await self.refusal(interface))
            await interface.remove()
            self.assertIs(tools.devices["wg-rb"], device)

    async def test_faults(self) -> None:
        """Whatever is not as we made it is found and named."""
        faults = {
            "it is down": lambda device: setattr(device, "up", False),
            "it has lost the address 10.200.200.1": lambda device: device.addresses.clear(),
            "its MTU is 576": lambda device: setattr(device, "mtu", 576),
            "it has another key": lambda device: setattr(device, "key", "X="),
            "it listens on another port": lambda device: setattr(device, "port", "5"),
        }
        for sentence, breaking in faults.items():
            tools = FakeTools(reactor, kernel=True)
            interface = self.interface(tools)
            await interface.make(IP, [])
            breaking(tools.devices["wg-rb"])
            self.assertEqual(await self.fault(interface), sentence)

    async def test_gone(self) -> None:
        """An interface that is gone is a fault, and so is its process; the end of that is told at once."""
        tools = FakeTools(reactor, kernel=True)
        interface = self.interface(tools)
        await interface.make(IP, [])
        tools.devices.clear()
        self.assertIn("does not exist", await self.fault(interface))
        await interface.remove()
        tools = FakeTools(reactor)
        interface = self.interface(tools)
        told: list[None] = []
        interface.gone = lambda: told.append(None)
        await interface.make(IP, [])
        tools.children[0].die("it was ended by signal 9")
        self.assertEqual(len(told), 1)
        self.assertEqual(await self.fault(interface), "wireguard-go: it was ended by signal 9")

    async def test_again(self) -> None:
        """Making it a second time ends the process of the first."""
        tools = FakeTools(reactor)
        interface = self.interface(tools)
        await interface.make(IP, [])
        await interface.make(IP, [])
        self.assertEqual([child.ending is None for child in tools.children], [False, True])
        await interface.check(IP)

    async def test_ipv6(self) -> None:
        """An IPv6 address can be used at once."""
        tools = FakeTools(reactor, kernel=True)
        interface = WgInterface(InterfaceSettings("wg-rb", 51820, 64), self.key, self.public, tools, reactor)
        await interface.make(ip_address("fd00::1"), [])
        self.assertIn("ip address replace fd00::1/64 dev wg-rb nodad", tools.calls)
