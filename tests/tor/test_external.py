"""Tests for L{rustbalance.tor.external}, with a FakeTor behind a real socket."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from twisted.internet import reactor  # noqa: TID251  (real sockets)
from twisted.internet.endpoints import TCP4ServerEndpoint, UNIXServerEndpoint
from twisted.internet.interfaces import IListeningPort
from twisted.python.filepath import FilePath
from twisted.trial.unittest import TestCase

from rustbalance.life import pause
from rustbalance.onion.keys import MasterKey
from rustbalance.secrets import Secret
from rustbalance.testing.fake_tor import FakeTor
from rustbalance.tor import external
from rustbalance.tor.control import Patience
from rustbalance.tor.external import ExternalSettings, ExternalTor
from rustbalance.tor.failures import TorFailure
from rustbalance.tor.knocking import Place
from rustbalance.tor.service_dir import prepare_service_directory


class ExternalTorTests(TestCase):
    """L{ExternalTor} attaches to a Tor that is ours alone."""

    timeout = 30

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(FilePath(str(self.folder)).remove)
        self.socket = self.folder / "control"
        self.directory = self.folder / "service"
        self.key = MasterKey.from_seed(Secret.copy_of(bytes(range(32))))
        self.tor = FakeTor()

    async def listen(self, tor: FakeTor) -> IListeningPort:
        """Let a Tor listen on the socket."""
        port: IListeningPort = await UNIXServerEndpoint(reactor, str(self.socket)).listen(tor.factory())
        self.addCleanup(port.stopListening)
        return port

    def instance(
        self,
        control: Place | None = None,
        password: Secret | None = None,
        check: float = 0.2,
        restart: tuple[str, ...] = (),
    ) -> ExternalTor:
        """Return a started instance that is stopped at the end of the test."""
        settings = ExternalSettings(
            control or self.socket, ("127.0.0.1", 9050), self.directory, 4, "127.0.0.1:8080", restart
        )
        backoff, patience = (lambda failures: 0.05), Patience(command=1.0, check=check, life=0.5)
        instance = ExternalTor("primary", settings, self.key, reactor, backoff, patience, password)
        self.addCleanup(instance.stopService)
        instance.startService()
        return instance

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something to become true; the test's own timeout is the deadline."""
        while not condition():
            await pause(reactor, 0.02)

    async def serving(self, instance: ExternalTor) -> None:
        """Wait until it serves."""
        await self.until(lambda: instance.status().phase == "serving")

    async def test_service_is_set_up(self) -> None:
        """The directory is ready and Tor has the service, with publishing off."""
        await self.listen(self.tor)
        instance = self.instance()
        await self.serving(instance)
        self.assertEqual(
            self.tor.services(),
            (
                ("HiddenServiceDir", str(self.directory)),
                ("HiddenServicePort", "80 127.0.0.1:8080"),
                ("HiddenServiceNumIntroductionPoints", "4"),
                ("HiddenServiceOnionBalanceInstance", "1"),
            ),
        )
        self.assertEqual(self.tor.publishing, "0")
        self.assertTrue((self.directory / "ob_config").exists())
        self.assertFalse(self.tor.owned)
        self.assertEqual((instance.status().mode, instance.status().pid), ("external", None))

    async def test_restarted_tor_gets_it_again(self) -> None:
        """A Tor that comes back without the service, as Tor does, is given it again."""
        port = await self.listen(self.tor)
        instance = self.instance()
        await self.serving(instance)
        await port.stopListening()  # type: ignore[misc]
        self.tor.drop()
        await self.until(lambda: instance.status().phase == "waiting")
        fresh = FakeTor()
        await self.listen(fresh)
        await self.serving(instance)
        self.assertEqual(fresh.services(), self.tor.services())
        self.assertEqual(fresh.publishing, "0")

    async def test_reload(self) -> None:
        """What a reload takes away is given back at once, and what we do ourselves then causes nothing further."""
        await self.listen(self.tor)
        instance = self.instance(check=3600.0)
        await self.serving(instance)
        had = self.tor.services()
        self.tor.reload()
        await self.until(lambda: self.tor.services() == had and self.tor.publishing == "0")
        await pause(reactor, 0.1)
        self.assertEqual(len([line for line in self.tor.heard if line.startswith("SETCONF")]), 2)
        self.assertEqual((instance.status().phase, instance.status().restarts), ("serving", 0))

    async def test_lost_without_a_word(self) -> None:
        """A service that is missing is noticed by the periodic look as well, if the event should get lost."""
        await self.listen(self.tor)
        instance = self.instance()
        await self.serving(instance)
        had = self.tor.services()
        self.tor.options = []
        await self.until(lambda: self.tor.services() == had)
        self.assertEqual(instance.status().restarts, 0)

    async def test_company_comes_with_a_reload(self) -> None:
        """When the reload brings another service, we keep our hands off and say so."""
        await self.listen(self.tor)
        instance = self.instance(check=3600.0)
        await self.serving(instance)
        self.tor.options, self.tor.publishing = [("HiddenServiceDir", "/var/lib/tor/shop")], "1"
        self.tor.changed(self.tor.options)
        await self.until(lambda: "/var/lib/tor/shop" in str(instance.status().problem))
        self.assertNotEqual(instance.status().phase, "serving")
        self.assertEqual(
            (self.tor.services(), self.tor.publishing), ((("HiddenServiceDir", "/var/lib/tor/shop"),), "1")
        )

    async def test_company(self) -> None:
        """A Tor with other services is refused by name and left as it was; when they leave, it is taken."""
        shop = [("HiddenServiceDir", "/var/lib/tor/shop"), ("HiddenServicePort", "80 127.0.0.1:1")]
        self.tor.options = list(shop)
        await self.listen(self.tor)
        instance = self.instance()
        await self.until(lambda: instance.status().problem is not None)
        self.assertIn("/var/lib/tor/shop", str(instance.status().problem))
        self.assertEqual((self.tor.options, self.tor.publishing), (shop, "1"))
        self.assertFalse(self.directory.exists())
        self.tor.options = []
        await self.serving(instance)

    async def test_tcp_and_password(self) -> None:
        """A control port on TCP with a password."""
        tor = FakeTor(password="open sesame")
        port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(tor.factory())
        self.addCleanup(port.stopListening)
        instance = self.instance(("127.0.0.1", port.getHost().port), Secret.copy_of(b"open sesame"))
        await self.serving(instance)

    async def test_nobody_there(self) -> None:
        """As long as nobody listens, it waits and tries again."""
        instance = self.instance()
        await self.until(lambda: instance.status().restarts > 1)
        self.assertIn("no control connection", str(instance.status().problem))
        await self.listen(self.tor)
        await self.serving(instance)

    def out_of_sight(self) -> None:
        """Let the service be where its Tor, another user, has been given it: below what is not ours."""
        self.patch(external, "is_ours", lambda directory: False)

    async def test_placed(self) -> None:
        """A directory of another user is used as it was placed, and nothing is written there."""
        self.out_of_sight()
        prepare_service_directory(self.directory, self.key)
        before = {path.name: path.stat().st_mtime_ns for path in self.directory.iterdir()}
        await self.listen(self.tor)
        self.tor.info[f"hs/service/desc/id/{self.key.address.label}"] = b"hs-descriptor 3\n"
        instance = self.instance()
        await self.serving(instance)
        self.assertEqual(dict(self.tor.services())["HiddenServiceDir"], str(self.directory))
        await self.until(lambda: self.asked() > 0)
        await pause(reactor, 0.6)
        self.assertEqual((self.asked(), self.tor.publishing), (1, "0"), "once it is certain, nobody asks again")
        self.assertEqual({path.name: path.stat().st_mtime_ns for path in self.directory.iterdir()}, before)

    def asked(self) -> int:
        """Return how often Tor was asked for its descriptor."""
        return len([line for line in self.tor.heard if "hs/service/desc/id" in line])

    async def test_not_placed(self) -> None:
        """Without the directory Tor refuses; it is said what to run, and taken back once that was done."""
        self.out_of_sight()
        await self.listen(self.tor)
        instance = self.instance(restart=self.note())
        await self.until(lambda: "run as root: rustbalance place-key" in str(instance.status().problem))
        self.assertIn(str(self.directory), str(instance.status().problem))
        self.assertEqual((instance.failure, self.tor.services()), (TorFailure.UNUSABLE, ()))
        self.assertFalse(self.directory.exists())
        prepare_service_directory(self.directory, self.key)
        await self.serving(instance)
        self.assertEqual((instance.status().problem, self.restarts), (None, 0))
        self.assertEqual((instance.restartable, self.instance().restartable), (True, False))

    async def test_another_key_was_placed(self) -> None:
        """A Tor that serves another address from there is told to stop, and nobody takes it for ours."""
        self.out_of_sight()
        other = MasterKey.from_seed(Secret.copy_of(bytes(32)))
        prepare_service_directory(self.directory, other)
        await self.listen(self.tor)
        self.tor.info["circuit-status"] = f"1 BUILT PURPOSE=HS_SERVICE_INTRO REND_QUERY={self.key.address.label}"
        instance = self.instance(check=0.05)
        await self.serving(instance)
        seen = f"2 BUILT PURPOSE=HS_SERVICE_INTRO HS_STATE=HSSI_CONNECTING REND_QUERY={other.address.label}"
        self.tor.info["circuit-status"] = seen
        await self.until(lambda: "the key of another service" in str(instance.status().problem))
        self.assertIn("RESETCONF HiddenServiceDir", self.tor.heard)
        self.assertIs(instance.failure, TorFailure.UNUSABLE)

    async def test_no_way_in(self) -> None:
        """Another user's Tor could not bring visitors to a private socket: it is said, and nothing is set."""
        self.out_of_sight()
        await self.listen(self.tor)
        settings = ExternalSettings(
            self.socket, ("127.0.0.1", 9050), self.directory, 4, f"unix:{self.folder}/front.sock"
        )
        instance = ExternalTor("primary", settings, self.key, reactor, lambda failures: 0.05)
        self.addCleanup(instance.stopService)
        instance.startService()
        await self.until(lambda: "set local_port in place of listen" in str(instance.status().problem))
        self.assertEqual(self.tor.services(), ())

    async def test_group_is_missing(self) -> None:
        """Who may not connect is told which group to join."""
        self.patch(external, "advice", lambda path: f"only the group debian-tor may use {path.name}")
        instance = self.instance()
        await self.until(lambda: "only the group debian-tor may use control" in str(instance.status().problem))
        self.assertIs(instance.failure, TorFailure.REFUSED)

    def note(self) -> tuple[str, ...]:
        """Return a command that leaves a mark each time it runs."""
        return ("/bin/sh", "-c", f"echo again >> {self.folder}/restarts")

    @property
    def restarts(self) -> int:
        """How often it has run."""
        path = self.folder / "restarts"
        return len(path.read_text().splitlines()) if path.exists() else 0

    async def test_hung_is_restarted_at_once(self) -> None:
        """A Tor that hangs does not mend itself: the operator's command is run before the next attempt."""
        await self.listen(self.tor)
        instance = self.instance(restart=self.note())
        await self.serving(instance)
        self.tor.hung = True
        await self.until(lambda: self.restarts == 1)
        self.assertIs(instance.failure, TorFailure.HUNG)

    async def test_gone_is_restarted_and_no_more_than_thrice(self) -> None:
        """One that is gone is restarted, three times in five minutes; then the operator is told what to do."""
        instance = self.instance(restart=self.note())
        await self.until(lambda: "it was restarted 3 times" in str(instance.status().problem))
        attempts = instance.status().restarts
        await self.until(lambda: instance.status().restarts > attempts + 2)
        self.assertEqual(self.restarts, 3)
        await self.listen(self.tor)
        await self.serving(instance)
        self.assertIsNone(instance.status().problem)

    async def test_wrong_password_is_no_reason(self) -> None:
        """What a restart does not mend is not restarted."""
        await self.listen(FakeTor(password="open sesame"))
        instance = self.instance(password=Secret.copy_of(b"wrong"), restart=self.note())
        await self.until(lambda: instance.status().restarts > 2)
        self.assertEqual((instance.failure, self.restarts), (TorFailure.AUTHENTICATION, 0))

    async def test_without_a_service(self) -> None:
        """A standby for outgoing connections is only asked how it is; nothing is set on it."""
        await self.listen(self.tor)
        settings = ExternalSettings(self.socket, ("127.0.0.1", 9060), self.directory)
        instance = ExternalTor("standby", settings, None, reactor)
        self.addCleanup(instance.stopService)
        instance.startService()
        await self.serving(instance)
        self.assertEqual([line for line in self.tor.heard if line.startswith("SETCONF")], [])
        self.assertFalse(instance.status().serves_visitors)
