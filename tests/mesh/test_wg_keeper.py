"""Tests for L{rustbalance.mesh.wg_keeper}, in simulated time."""

from collections.abc import Callable, Mapping
from ipaddress import ip_address

from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from rustbalance.life import deferred
from rustbalance.mesh.tunnel_addresses import TunnelAddress
from rustbalance.mesh.wg_config import Endpoint, WgPeer, key_text
from rustbalance.mesh.wg_interface import InterfaceSettings, Report, WgInterface
from rustbalance.mesh.wg_keeper import BACKOFF, CHECK_SECS, STEADY_SECS, Bell, Keeper
from rustbalance.onion.client_auth import x25519_public
from rustbalance.secrets import Secret
from tests.mesh.wg_fake import Device, FakeTools

PEER = WgPeer("PEER=", ip_address("10.200.200.2"), Endpoint("192.0.2.2", 51820))


class Wishes:
    """An owner. C{story}: what it was told; C{unusable}: it cannot use what is made."""

    def __init__(self) -> None:
        self.address: TunnelAddress = ip_address("10.200.200.1")
        self.peers: Mapping[str, WgPeer] = {}
        self.story: list[str] = []
        self.reports: list[Report] = []
        self.unusable = False

    def tunnel_ip(self) -> TunnelAddress:
        """Return the address."""
        return self.address

    def wanted(self) -> Mapping[str, WgPeer]:
        """Return the peers."""
        return self.peers

    def on_made(self) -> None:
        """Note it."""
        if self.unusable:
            raise OSError("cannot bind")
        self.story.append("made")

    def on_report(self, report: Report) -> None:
        """Note it."""
        self.reports.append(report)

    def on_lost(self) -> None:
        """Note it."""
        self.story.append("lost")


@implementer(ILogObserver)
class Observer:
    """Notes the levels of what the keeper complains of."""

    def __init__(self, levels: list[str]) -> None:
        self._levels = levels

    def __call__(self, event: LogEvent) -> None:
        """Note it."""
        if "wg_keeper" in event["log_namespace"] and event["log_level"].name in ("warn", "error"):
            self._levels.append(event["log_level"].name)


class KeeperTests(SynchronousTestCase):
    """An interface that is looked after."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.tools = FakeTools(self.clock)
        self.wishes = Wishes()
        self.levels: list[str] = []
        observer = Observer(self.levels)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        key = Secret.random(32)
        self.addCleanup(key.wipe)
        settings = InterfaceSettings("wg-rb", 51820, 24)
        interface = WgInterface(settings, key, key_text(x25519_public(key)), self.tools, self.clock)
        self.keeper = Keeper(interface, self.wishes, self.clock, self.clock.seconds, lambda failures: 1.0)

    def start(self, *, made: bool = True) -> None:
        """Start it, and make an end with the test."""
        self.keeper.start()
        self.addCleanup(lambda: self.successResultOf(deferred(self.keeper.stop())))
        self.assertEqual(self.wishes.story, ["made"] if made else ["lost"])

    def wait(self, seconds: float) -> None:
        """Let time pass in small steps."""
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)

    def test_made_and_taken_down(self) -> None:
        """It is made at the start and gone at the end."""
        self.keeper.start()
        self.assertIsNone(self.keeper.problem)
        self.assertIn("wg-rb", self.tools.devices)
        self.successResultOf(deferred(self.keeper.stop()))
        self.assertEqual((self.tools.devices, self.wishes.story), ({}, ["made", "lost"]))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_process_killed(self) -> None:
        """It is made anew after the first wait when its process ends: nobody has to look first."""
        self.start()
        self.tools.children[0].die()
        self.assertEqual(self.wishes.story, ["made", "lost"])
        self.wait(1.1)
        self.assertEqual(self.wishes.story, ["made", "lost", "made"])
        self.assertEqual(self.levels, ["warn"])

    def test_deleted(self) -> None:
        """It is made anew within 30 seconds when it is deleted, set down, or loses its address."""
        self.start()
        breakages: list[Callable[[Device], object]] = [
            lambda device: self.tools.devices.clear(),
            lambda device: setattr(device, "up", False),
            lambda device: device.addresses.clear(),
        ]
        for breaking in breakages:
            before = len(self.wishes.story)
            breaking(self.tools.devices["wg-rb"])
            self.wait(CHECK_SECS + 1.2)
            self.assertEqual(self.wishes.story[before:], ["lost", "made"])

    def test_three_failures(self) -> None:
        """It warns of the first two failures, calls the third an error, and goes on without a word until it works."""
        self.tools.broken.add("ip address replace")
        self.start(made=False)
        self.wait(10)
        self.assertEqual(self.levels, ["warn", "warn", "error"])
        self.assertIn("told to fail", str(self.keeper.problem))
        self.assertGreater(self.keeper.failures, 8)
        self.tools.broken.clear()
        self.wait(1.1)
        self.assertEqual(self.wishes.story[-1], "made")
        self.assertIsNone(self.keeper.problem)

    def test_an_interface_that_never_holds(self) -> None:
        """One that is lost for the third time within a minute of the last is an error; a steady one starts afresh."""
        self.start()
        for _ in range(3):
            self.tools.devices.clear()
            self.wait(CHECK_SECS + 1.2)
        self.assertEqual(self.levels, ["warn", "warn", "error"])
        self.wait(STEADY_SECS + CHECK_SECS)
        self.assertEqual(self.keeper.failures, 0)
        self.tools.devices.clear()
        self.wait(CHECK_SECS + 1.2)
        self.assertEqual(self.levels[3:], ["warn"])

    def test_unusable(self) -> None:
        """An interface that its owner cannot use is made anew, and stays a problem as long as that is so."""
        self.wishes.unusable = True
        self.start(made=False)
        self.wait(3)
        self.assertIn("cannot bind", str(self.keeper.problem))
        self.wishes.unusable = False
        self.wait(1.1)
        self.assertIsNone(self.keeper.problem)

    def test_peers(self) -> None:
        """Peers are there from the beginning, change as soon as it is told to look, and are put back when lost."""
        self.wishes.peers = {"PEER=": PEER}
        self.start()
        device = self.tools.devices["wg-rb"]
        self.assertEqual(set(device.peers), {"PEER="})
        self.wishes.peers = {"OTHER=": WgPeer("OTHER=", ip_address("10.200.200.3"))}
        self.keeper.look()
        self.assertEqual(set(device.peers), {"OTHER="})
        device.peers.clear()
        self.wait(CHECK_SECS + 0.2)
        self.assertEqual(set(device.peers), {"OTHER="})
        self.assertEqual(self.wishes.story, ["made"])

    def test_forgotten_peer(self) -> None:
        """A peer that is to be forgotten is taken out and put in again, with a session and an endpoint of its own."""
        self.wishes.peers = {"PEER=": PEER, "OTHER=": WgPeer("OTHER=", ip_address("10.200.200.3"))}
        self.start()
        before = len(self.tools.calls)
        self.keeper.forget("PEER=")
        changes = [call for call in self.tools.calls[before:] if "wg set" in call]
        self.assertEqual(len(changes), 2)
        self.assertIn("peer PEER= remove", changes[0])
        self.assertIn("peer PEER= ", changes[1])
        self.assertNotIn("OTHER=", " ".join(changes))
        self.assertEqual(set(self.tools.devices["wg-rb"].peers), {"PEER=", "OTHER="})
        self.assertEqual(self.wishes.story, ["made"])

    def test_rebuilt(self) -> None:
        """It is made anew when somebody wants it, once; one that is being made anew already is left alone."""
        self.start()
        self.keeper.rebuild("it reaches nobody")
        self.assertIn("it reaches nobody", str(self.keeper.problem))
        self.keeper.rebuild("it reaches nobody")
        self.wait(20)
        self.assertEqual(self.wishes.story, ["made", "lost", "made"])
        self.assertEqual(self.levels, ["warn"])

    def test_nothing_is_done_without_need(self) -> None:
        """Looking at it changes nothing: sessions and learned endpoints stay."""
        self.wishes.peers = {"PEER=": PEER}
        self.start()
        before = len(self.tools.calls)
        self.wait(20)
        self.assertGreater(len(self.tools.calls), before)
        self.assertTrue(all(" show " in call for call in self.tools.calls[before:]), self.tools.calls[before:])
        self.assertGreater(len(self.wishes.reports), 3)

    def test_another_address(self) -> None:
        """When our address changes it is made anew at once, which is no failure."""
        self.start()
        self.wishes.address = ip_address("10.200.200.7")
        self.keeper.look()
        self.assertEqual(self.wishes.story, ["made", "lost", "made"])
        self.assertEqual(self.tools.devices["wg-rb"].addresses, {"10.200.200.7"})
        self.assertEqual((self.keeper.failures, self.levels), (0, []))

    def test_usual_waits(self) -> None:
        """The first wait and the time until somebody looks, together with what the commands take, are within 30 s."""
        self.assertLessEqual(max(BACKOFF(failures) for failures in range(1, 50)) + CHECK_SECS, 15)


class BellTests(SynchronousTestCase):
    """A wait that can be cut short."""

    def test_rings(self) -> None:
        """Ringing wakes who waits; ringing while nobody does wakes the next; silence wakes after the time given."""
        clock = Clock()
        bell = Bell(clock)
        waiting = deferred(bell.wait(5))
        self.assertNoResult(waiting)
        bell.ring()
        bell.ring()
        self.successResultOf(waiting)
        bell.ring()
        self.successResultOf(deferred(bell.wait(5)))
        quiet = deferred(bell.wait(5))
        clock.advance(4.9)
        self.assertNoResult(quiet)
        clock.advance(0.2)
        self.successResultOf(quiet)
        self.assertEqual(clock.getDelayedCalls(), [])
