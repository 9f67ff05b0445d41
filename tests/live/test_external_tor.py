"""An external Tor on the private network: taken when it is ours alone, refused when it is not, found again."""

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.threads import deferToThread

from rustbalance.lab.site import TargetSite
from rustbalance.life import deferred, pause
from rustbalance.onion.keys import MasterKey
from rustbalance.secrets import Secret
from rustbalance.tor.control import TorControl, connect
from rustbalance.tor.events import Event, IntroductionCircuit
from rustbalance.tor.external import ExternalSettings, ExternalTor
from rustbalance.tor.service_dir import prepare_service_directory
from tests.live.network import LiveTestCase


class Audience:
    """Notes when an introduction circuit becomes usable."""

    established = False

    def on_ready(self, control: TorControl) -> None:
        """Say nothing."""

    def on_lost(self, reason: str) -> None:
        """Say nothing."""

    def on_event(self, event: Event) -> None:
        """Note it."""
        self.established |= isinstance(event, IntroductionCircuit) and event.established


class ExternalTorTests(LiveTestCase):
    """The real tor, run by somebody else: the test."""

    def setUp(self) -> Deferred[None]:  # type: ignore[override]
        self.folder = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.key = MasterKey.from_seed(Secret.random(32))
        self.socket = self.folder / "control.sock"
        return super().setUp()

    def start_tor(self, *lines: str) -> subprocess.Popen[bytes]:
        """Run a Tor with a control socket and these further options."""
        torrc = self.folder / "torrc"
        text = (
            f"%include {self.network.include_path}",
            f"DataDirectory {self.folder}/data",
            f"ControlPort unix:{self.socket}",
            f"SocksPort unix:{self.folder}/socks.sock",
            "CookieAuthentication 1",
            f"Log notice file {self.folder}/tor.log",
            *lines,
        )
        torrc.write_text("\n".join(text) + "\n")
        child = subprocess.Popen(["tor", "-f", str(torrc), "--defaults-torrc", "/dev/null"], stdout=subprocess.DEVNULL)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        return child

    def instance(self) -> ExternalTor:
        """Return a started instance that is stopped at the end of the test."""
        settings = ExternalSettings(
            self.socket, self.folder / "socks.sock", self.folder / "service", forward_to="127.0.0.1:9"
        )
        instance = ExternalTor("primary", settings, self.key, reactor, lambda failures: 0.5)
        self.addCleanup(instance.stopService)
        instance.startService()
        return instance

    async def until(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        """Wait for something to become true."""
        started = reactor.seconds()
        while not condition():
            if reactor.seconds() - started > seconds:
                self.fail(f"it has not happened within {seconds} s")
            await pause(reactor, 0.05)

    async def ask(self) -> TorControl:
        """Return a control connection of the test's own."""
        control = await connect(UNIXClientEndpoint(reactor, str(self.socket)), reactor)
        self.addCleanup(lambda: control.disconnected)
        self.addCleanup(control.abandon, "the test is over")
        return control

    async def has_descriptor(self, instance: ExternalTor) -> bool:
        """Wait until Tor has a descriptor of our service."""
        for _ in range(120):
            if instance.control is not None and await instance.control.own_descriptor(self.key.address):
                return True
            await pause(reactor, 0.25)
        return False

    async def test_ours_alone(self) -> None:
        """Our service is on it, with introduction points to come, and stays when we leave."""
        tor = self.start_tor()
        instance = self.instance()
        await self.until(lambda: instance.status().phase == "serving")
        self.assertTrue(await self.has_descriptor(instance))
        await instance.stopService()
        self.assertIsNone(tor.poll())
        options = dict(await (await self.ask()).get_conf("HiddenServiceOptions"))
        self.assertEqual(options["HiddenServiceDir"], str(self.folder / "service"))

    async def test_restarted(self) -> None:
        """A Tor that restarts has forgotten everything and is given it again."""
        tor = self.start_tor()
        instance = self.instance()
        await self.until(lambda: instance.status().phase == "serving")
        tor.kill()
        await deferToThread(tor.wait)
        await self.until(lambda: instance.status().phase != "serving", 5)
        self.start_tor()
        await self.until(lambda: instance.status().phase == "serving")
        control = await self.ask()
        options = dict(await control.get_conf("HiddenServiceOptions"))
        self.assertEqual(options["HiddenServiceOnionBalanceInstance"], "1")
        self.assertEqual(await control.get_conf("PublishHidServDescriptors"), (("PublishHidServDescriptors", "0"),))
        self.assertTrue(await self.has_descriptor(instance))

    async def test_reloaded(self) -> None:
        """After a SIGHUP, as a log rotation sends it, the service is back in half a minute with new introductions."""
        tor = self.start_tor()
        instance = self.instance()
        await self.until(lambda: instance.status().phase == "serving")
        self.assertTrue(await self.has_descriptor(instance))
        began, restarts = reactor.seconds(), instance.status().restarts
        audience = Audience()
        instance.subscribe(audience)
        tor.send_signal(signal.SIGHUP)
        await self.until(lambda: audience.established, 30)
        options = dict(await (await self.ask()).get_conf("HiddenServiceOptions"))
        self.assertEqual(options["HiddenServiceDir"], str(self.folder / "service"))
        self.assertTrue(await self.has_descriptor(instance))
        self.assertLess(reactor.seconds() - began, 30)
        self.assertEqual((instance.status().phase, instance.status().restarts), ("serving", restarts))

    async def test_without_the_option(self) -> None:
        """A service that ran without the OnionBalance option gets introductions again when it is switched on."""
        prepare_service_directory(self.folder / "service", self.key)
        self.start_tor(f"HiddenServiceDir {self.folder}/service", "HiddenServicePort 80 127.0.0.1:9")
        instance = self.instance()
        audience = Audience()
        instance.subscribe(audience)
        await self.until(lambda: instance.status().phase == "serving")
        await self.until(lambda: audience.established, 30)
        self.assertTrue(await self.has_descriptor(instance))

    async def test_company(self) -> None:
        """A Tor with another service is refused by name, and that service goes on as before, still published."""
        site = TargetSite(reactor)
        target = await site.start()
        self.addCleanup(lambda: deferred(site.stop()))
        shop, shop_key = self.folder / "shop", MasterKey.from_seed(Secret.random(32))
        prepare_service_directory(shop, shop_key)
        (shop / "ob_config").unlink()
        self.start_tor(f"HiddenServiceDir {shop}", f"HiddenServicePort 80 {target}")
        instance = self.instance()
        await self.until(lambda: str(shop) in str(instance.status().problem))
        self.assertIn("set tor.mode to managed", str(instance.status().problem))
        control = await self.ask()
        self.assertEqual(
            await control.get_conf("HiddenServiceOptions"),
            (("HiddenServiceDir", str(shop)), ("HiddenServicePort", f"80 {target}")),
        )
        self.assertEqual(await control.get_conf("PublishHidServDescriptors"), (("PublishHidServDescriptors", "1"),))
        self.assertFalse((self.folder / "service").exists())
        self.assertNotEqual(instance.status().phase, "serving")
        self.assertTrue(await self.page(shop_key))

    async def page(self, key: MasterKey) -> bool:
        """Say whether the network's client gets a page from the service of ``key``."""
        visitor = await self.visitor()
        for _ in range(30):
            if (await visitor.fetch(key.address.text)).ok:
                return True
            await pause(reactor, 0.5)
        return False
