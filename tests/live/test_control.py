"""
What we expect of a control port, asked of the real tor and of the one in memory.

The same tests run against both, so that the fake cannot drift away from what it stands for. The real one has its
network switched off: these tests need no private network.
"""

import shutil
import subprocess
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.endpoints import UNIXClientEndpoint, UNIXServerEndpoint
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from rustbalance.life import pause
from rustbalance.onion.address import OnionAddress
from rustbalance.onion.keys import MasterKey
from rustbalance.secrets import Secret
from rustbalance.testing.fake_tor import FakeTor
from rustbalance.tor.control import (
    ControlRefused,
    NoDirectoryKnown,
    TorControl,
    connect,
)
from rustbalance.tor.managed import ManagedSettings, ManagedTor
from rustbalance.tor.service_dir import prepare_service_directory
from rustbalance.tor.service_setup import NotOurs, confirm_service, ensure_service
from rustbalance.tor.torrc import HiddenService

PASSWORD = "correct horse"
UNKNOWN = "0123456789ABCDEF0123456789ABCDEF01234567"


class Expectations(TestCase, ABC):
    """The tests; subclasses say where Tor listens."""

    timeout = 60

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.key = MasterKey.from_seed(Secret.copy_of(bytes(range(32))))
        self.wanted = HiddenService(self.folder / "service #ö", f'unix:{self.folder}/fr"ö#nt', 4)

    @abstractmethod
    async def socket(self, authentication: str) -> Path:
        """Bring up a Tor that wants ``cookie``, ``password`` or ``nothing``; return its control socket."""

    async def attach(self, authentication: str = "cookie", password: bytes | None = None) -> TorControl:
        """Return a connection that is closed at the end of the test."""
        endpoint = UNIXClientEndpoint(reactor, str(await self.socket(authentication)))
        secret = Secret.copy_of(password) if password is not None else None
        control = await connect(endpoint, reactor, secret)
        self.addCleanup(lambda: control.disconnected)
        self.addCleanup(control.abandon, "the test is over")
        return control

    async def refusal(self, authentication: str, password: bytes | None) -> str:
        """Return why we are not let in."""
        with self.assertRaises(ControlRefused) as caught:
            await self.attach(authentication, password)
        return str(caught.exception)

    async def test_ways_in(self) -> None:
        """Nothing, a cookie, or the password."""
        for authentication, password in (("nothing", None), ("cookie", None), ("password", PASSWORD.encode())):
            control = await self.attach(authentication, password)
            self.assertEqual(await control.get_info("version"), control.version)

    async def test_wrong_password(self) -> None:
        """A wrong password is refused, a missing one as well."""
        self.assertIn("515", await self.refusal("password", b"wrong"))
        self.assertIn("password", await self.refusal("password", None))

    async def test_questions(self) -> None:
        """Values that are there, and errors for those that are not."""
        control = await self.attach()
        self.assertIn((await control.bootstrap()).percent, (0, 100))
        self.assertEqual(await control.microdescriptors(), b"")
        self.assertIsNone(await control.own_descriptor(self.key.address))
        self.assertEqual(await control.service_addresses(), frozenset())
        self.assertEqual(await control.get_conf("HiddenServiceOptions"), (("HiddenServiceOptions", None),))
        await control.listen()
        for verb in (control.get_info("nonsense"), control.get_conf("Nonsense")):
            with self.assertRaises(ControlRefused) as caught:
                await verb
            self.assertEqual(caught.exception.code, 552)

    async def test_descriptors(self) -> None:
        """Unknown directories and faulty descriptors are told apart."""
        control = await self.attach()
        with self.assertRaises(NoDirectoryKnown):
            await control.post_descriptor(b"hs-descriptor 3\n", self.key.address, [UNKNOWN])
        for address, body, code in (
            (self.key.address.label, "junk", 554),
            (self.key.address.text, "hs-descriptor 3", 512),
        ):
            with self.assertRaises(ControlRefused) as caught:
                await control.ask(f"+HSPOST HSADDRESS={address}\r\n{body}\r\n.")
            self.assertEqual(caught.exception.code, code)

    async def test_service(self) -> None:
        """Our service is set in one go, whatever characters its paths have, and reads back as it was set."""
        control = await self.attach()
        prepare = lambda: prepare_service_directory(self.wanted.directory, self.key)  # noqa: E731
        await ensure_service(control, self.wanted, self.key.address, prepare)
        await confirm_service(control, self.wanted)
        await ensure_service(control, self.wanted, self.key.address, prepare)
        self.assertEqual(await control.get_conf("PublishHidServDescriptors"), (("PublishHidServDescriptors", "0"),))

    async def test_option_is_switched_on_for_a_service_that_runs(self) -> None:
        """A service of ours without the OnionBalance option is replaced by one with it."""
        control = await self.attach()
        prepare_service_directory(self.wanted.directory, self.key)
        await control.set_conf(self.wanted.options()[:-1])
        await ensure_service(control, self.wanted, self.key.address, lambda: None)
        await confirm_service(control, self.wanted)

    async def test_directory_without_ob_config(self) -> None:
        """Tor does not take an OnionBalance instance whose file is missing, and keeps what it had."""
        control = await self.attach()
        with self.assertRaises(ControlRefused):
            await control.set_conf(self.wanted.with_publishing_off())
        self.assertEqual(await control.get_conf("HiddenServiceOptions"), (("HiddenServiceOptions", None),))
        self.assertEqual(await control.get_conf("PublishHidServDescriptors"), (("PublishHidServDescriptors", "1"),))

    async def test_company(self) -> None:
        """A Tor that has another service in its configuration is refused and left as it was."""
        control = await self.attach()
        shop = self.folder / "shop"
        prepare_service_directory(shop, MasterKey.from_seed(Secret.copy_of(bytes(32))))
        before = (("HiddenServiceDir", str(shop)), ("HiddenServicePort", "80 127.0.0.1:1"))
        await control.set_conf(before)
        with self.assertRaises(NotOurs) as caught:
            await ensure_service(control, self.wanted, self.key.address, self.fail)
        self.assertIn(str(shop), str(caught.exception))
        self.assertEqual(await control.get_conf("HiddenServiceOptions"), before)
        self.assertEqual(await control.get_conf("PublishHidServDescriptors"), (("PublishHidServDescriptors", "1"),))

    async def test_detached_company(self) -> None:
        """So is one with a service that some other controller has added."""
        control = await self.attach()
        added = await self.add_service(control)
        with self.assertRaises(NotOurs) as caught:
            await ensure_service(control, self.wanted, self.key.address, self.fail)
        self.assertIn(str(added), str(caught.exception))

    @abstractmethod
    async def add_service(self, control: TorControl) -> OnionAddress:
        """Add a detached service."""

    async def test_ownership(self) -> None:
        """Who has taken ownership takes Tor along when the connection closes, and nobody else does."""
        owner, other = await self.attach(), await self.attach()
        await owner.take_ownership()
        other.abandon("it is not the owner")
        self.assertEqual(await owner.get_info("version"), owner.version)
        owner.abandon("the owner goes")
        await self.gone()

    @abstractmethod
    async def gone(self) -> None:
        """Wait until Tor has ended."""


class FakeTorTests(Expectations):
    """The Tor in memory keeps the promises."""

    async def socket(self, authentication: str) -> Path:
        """Listen with a FakeTor."""
        path, cookie = self.folder / f"{authentication}.sock", self.folder / "cookie"
        if path.exists():
            return path
        cookie.write_bytes(bytes(32))
        self.tor = FakeTor(
            cookie=cookie if authentication == "cookie" else None,
            password=PASSWORD if authentication == "password" else None,
        )
        port = await UNIXServerEndpoint(reactor, str(path)).listen(self.tor.factory())
        self.addCleanup(port.stopListening)
        return path

    async def gone(self) -> None:
        """It would end now."""
        while self.tor.connections:
            await pause(reactor, 0.02)
        self.assertTrue(self.tor.owned)

    async def add_service(self, control: TorControl) -> OnionAddress:
        """Pretend that there is one."""
        address = OnionAddress(bytes(range(1, 33)))
        self.tor.info["onions/detached"] = address.label
        return address


class RealTorTests(Expectations):
    """The real one does what the fake pretends."""

    async def socket(self, authentication: str) -> Path:
        """Start a tor that stays by itself."""
        home = self.folder / authentication
        if not home.exists():
            home.mkdir(mode=0o700)
            self.start(home, authentication)
        while not (home / "control.sock").exists():
            await pause(reactor, 0.02)
        return home / "control.sock"

    def start(self, home: Path, authentication: str) -> None:
        """Run tor in ``home`` until the end of the test."""
        said = {"cookie": "CookieAuthentication 1", "nothing": "", "password": f"HashedControlPassword {hashed()}"}
        torrc = home / "torrc"
        torrc.write_text(
            f"DataDirectory {home}/data\nControlPort unix:{home}/control.sock\nSocksPort 0\nDisableNetwork 1\n"
            f"{said[authentication]}\n"
        )
        log = (home / "log").open("w")
        self.addCleanup(log.close)
        child = subprocess.Popen(["tor", "-f", str(torrc), "--defaults-torrc", "/dev/null"], stdout=log)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        self.child = child

    async def gone(self) -> None:
        """It ends by itself, which takes it a second or two at most; the test's timeout is the deadline."""
        self.assertEqual(await deferToThread(self.child.wait, 30), 0)

    async def add_service(self, control: TorControl) -> OnionAddress:
        """Add a detached service."""
        answer = await control.ask("ADD_ONION NEW:ED25519-V3 Flags=Detach,DiscardPK Port=80")
        return OnionAddress.parse(answer.partition("ServiceID=")[2].split()[0])


class OddPathTests(TestCase):
    """A managed Tor of the real kind, its network switched off, wherever it lies."""

    timeout = 60

    async def test_any_characters(self) -> None:
        """Comment signs, quotes, spaces and other alphabets in state_dir are understood by Tor, and by us."""
        folder = Path(tempfile.mkdtemp(prefix='rb #1 "ö" \\ ', dir="/tmp"))
        self.addCleanup(shutil.rmtree, folder)
        include = folder / "no network"
        include.write_text("DisableNetwork 1\n")
        settings = ManagedSettings(folder / "tör", torrc_include=include, forward_to=f"unix:{folder}/front.sock")
        key = MasterKey.from_seed(Secret.copy_of(bytes(range(32))))
        instance = ManagedTor("primary", settings, key, reactor)
        self.addCleanup(instance.stopService)
        instance.startService()
        while instance.status().phase == "starting":
            await pause(reactor, 0.02)
        self.assertEqual((instance.status().phase, instance.status().problem), ("bootstrapping", None))
        self.assertTrue((folder / "tör" / "tor.log").exists())
        check = ["tor", "--verify-config", "-f", str(folder / "tör" / "torrc"), "--defaults-torrc", "/dev/null"]
        self.assertEqual(subprocess.run(check, stdout=subprocess.DEVNULL, check=False).returncode, 0)


def hashed() -> str:
    """Return the hash of the password, made by tor itself."""
    made = subprocess.run(["tor", "--hush", "--hash-password", PASSWORD], capture_output=True, text=True, check=True)
    return made.stdout.strip().splitlines()[-1]


del Expectations
