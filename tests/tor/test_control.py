"""Tests for L{rustbalance.tor.control}, on the real txtorcon client and a Tor in memory."""

import tempfile
from errno import EACCES
from pathlib import Path
from typing import Any

from twisted.internet import reactor  # noqa: TID251  (a test on real sockets)
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint, UNIXServerEndpoint
from twisted.trial.unittest import SynchronousTestCase, TestCase
from txtorcon.torcontrolprotocol import TorControlProtocol

from rustbalance.life import deferred
from rustbalance.onion.address import OnionAddress
from rustbalance.secrets import Secret
from rustbalance.testing.fake_tor import FakeTor
from rustbalance.testing.tor_values import Posted
from rustbalance.tor import wire
from rustbalance.tor.control import (
    ControlLost,
    ControlRefused,
    ControlTimeout,
    DescriptorRefused,
    NoDirectoryKnown,
    Patience,
    TorControl,
    connect,
)
from rustbalance.tor.events import BootstrapProgress, ConsensusArrived, Event
from rustbalance.tor.wire import ControlWire
from tests.tor.connected import Connection

ADDRESS = OnionAddress(bytes(range(32)))
OTHER = OnionAddress(bytes(range(1, 33)))
RELAYS = tuple(f"{number:040X}" for number in range(1, 5))
DESCRIPTOR = b"hs-descriptor 3\nsignature x\n"


class TorControlTests(SynchronousTestCase):
    """L{TorControl} asks, waits no longer than it should, and says what it got."""

    def setUp(self) -> None:
        self.tor = FakeTor(relays=set(RELAYS))
        self.connection = Connection(self.tor, patience=Patience(command=10, bulk=60))
        self.control: TorControl = self.successResultOf(self.connection.connecting)

    def run_(self, coroutine: Any) -> Deferred[Any]:
        """Start a verb and move the bytes."""
        running = deferred(coroutine)
        self.connection.flush()
        return running

    def result(self, coroutine: Any) -> Any:
        """Return what a verb returns."""
        return self.successResultOf(self.run_(coroutine))

    def test_info(self) -> None:
        """Values of one line and of many."""
        self.tor.info["dir/status-vote/current/consensus-microdesc"] = b"network-status-version 3\n"
        self.assertEqual(self.control.version, "0.4.9.11")
        self.assertEqual(self.result(self.control.bootstrap()), BootstrapProgress(100, "done", "Done"))
        self.assertEqual(self.result(self.control.consensus()), b"network-status-version 3\n")
        self.assertEqual(self.result(self.control.microdescriptors()), b"")

    def test_refused(self) -> None:
        """Tor's errors carry their code and name the verb."""
        error = self.failureResultOf(self.run_(self.control.get_info("nonsense")), ControlRefused).value
        self.assertEqual(error.code, 552)
        self.assertEqual(str(error), 'Tor refused GETINFO: Unrecognized key "nonsense" (552)')

    def test_conf(self) -> None:
        """What is set is what is got, in order; a default has no value."""
        self.assertEqual(self.result(self.control.get_conf("HiddenServiceOptions")), (("HiddenServiceOptions", None),))
        self.result(self.control.set_conf([("PublishHidServDescriptors", "0"), ("HiddenServicePort", "80 a:1")]))
        self.assertEqual(
            self.result(self.control.get_conf("PublishHidServDescriptors")), (("PublishHidServDescriptors", "0"),)
        )
        self.assertEqual(self.result(self.control.get_conf("HiddenServiceOptions")), (("HiddenServicePort", "80 a:1"),))
        self.result(self.control.take_ownership())
        self.assertTrue(self.tor.owned)

    def test_own_descriptor(self) -> None:
        """There is none until Tor has made one."""
        self.assertIsNone(self.result(self.control.own_descriptor(ADDRESS)))
        self.tor.info[f"hs/service/desc/id/{ADDRESS.label}"] = DESCRIPTOR
        self.assertEqual(self.result(self.control.own_descriptor(ADDRESS)), DESCRIPTOR)

    def test_service_addresses(self) -> None:
        """Services that were added by others are seen by name or by their circuits."""
        self.assertEqual(self.result(self.control.service_addresses()), frozenset())
        self.tor.info["onions/detached"] = f"{ADDRESS.label}\n".encode()
        self.tor.info["circuit-status"] = f"1 BUILT $A PURPOSE=HS_SERVICE_INTRO HS_STATE=X REND_QUERY={OTHER.label}"
        self.assertEqual(self.result(self.control.service_addresses()), {ADDRESS, OTHER})

    def test_post(self) -> None:
        """The descriptor reaches Tor with each directory named."""
        self.assertEqual(self.result(self.control.post_descriptor(DESCRIPTOR, ADDRESS, RELAYS)), ())
        self.assertEqual(self.tor.posted, [Posted(DESCRIPTOR, ADDRESS.label, RELAYS)])

    def test_post_drops_unknown_directories(self) -> None:
        """A relay that Tor does not know costs the others nothing and is reported."""
        self.tor.relays = {RELAYS[1], RELAYS[3]}
        unknown = self.result(self.control.post_descriptor(DESCRIPTOR, ADDRESS, RELAYS))
        self.assertEqual(unknown, (RELAYS[0], RELAYS[2]))
        self.assertEqual(self.tor.posted, [Posted(DESCRIPTOR, ADDRESS.label, (RELAYS[1], RELAYS[3]))])

    def test_post_without_any_known_directory(self) -> None:
        """When no relay is left, nothing is posted and the caller is told."""
        self.tor.relays = set()
        self.failureResultOf(self.run_(self.control.post_descriptor(DESCRIPTOR, ADDRESS, RELAYS)), NoDirectoryKnown)
        self.assertEqual(self.tor.posted, [])

    def test_post_of_a_bad_descriptor(self) -> None:
        """A descriptor that Tor cannot read is an error of its own."""
        self.failureResultOf(self.run_(self.control.post_descriptor(b"junk\n", ADDRESS, RELAYS)), DescriptorRefused)

    def test_events(self) -> None:
        """After listen() events arrive as values; a listener that fails hurts nobody else."""
        heard: list[Event] = []
        self.control.subscribe(lambda event: heard.append(1 / 0))  # type: ignore[arg-type]
        self.control.subscribe(heard.append)
        self.result(self.control.listen())
        self.tor.emit("STATUS_CLIENT NOTICE CONSENSUS_ARRIVED")
        self.tor.emit("CIRC 1 BUILT PURPOSE=GENERAL")
        self.connection.flush()
        self.assertEqual(heard, [ConsensusArrived()])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_hung(self) -> None:
        """A command that is not answered in time breaks the connection, with all that was waiting behind it."""
        gone = self.control.disconnected
        self.tor.hung = True
        first, second = self.run_(self.control.bootstrap()), self.run_(self.control.take_ownership())
        self.connection.clock.advance(2.5)
        self.assertNoResult(first)
        self.connection.clock.advance(2.5)
        reason = "Tor did not answer GETINFO within 5 s"
        self.assertEqual(str(self.failureResultOf(first, ControlTimeout).value), reason)
        self.connection.flush()
        self.failureResultOf(second, ControlTimeout, ControlLost)
        self.assertEqual(self.successResultOf(gone), reason)
        self.assertEqual(str(self.failureResultOf(self.run_(self.control.bootstrap()), ControlLost).value), reason)

    def test_dropped(self) -> None:
        """When Tor goes, what is under way fails at once, and so does whatever comes later."""
        gone = self.control.disconnected
        self.tor.hung = True
        asked = self.run_(self.control.bootstrap())
        self.tor.drop()
        self.connection.flush()
        self.failureResultOf(asked, ControlLost)
        self.failureResultOf(self.run_(self.control.bootstrap()), ControlLost)
        self.assertIn("closed", self.successResultOf(gone))

    def test_cancelled(self) -> None:
        """A verb that nobody waits for any more leaves the connection usable."""
        self.tor.hung = True
        asked = self.run_(self.control.get_info("version"))
        asked.cancel()
        self.failureResultOf(asked)
        self.connection.clock.advance(30)
        self.assertNoResult(self.control.disconnected)


class AuthenticationTests(SynchronousTestCase):
    """L{connect} authenticates as Tor wants it."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rb #ö ", dir="/tmp"))
        self.cookie = self.folder / "cookie"
        self.cookie.write_bytes(bytes(range(32)))
        self.addCleanup(self.folder.rmdir)
        self.addCleanup(self.cookie.unlink, missing_ok=True)

    def test_nothing(self) -> None:
        """A Tor that wants nothing gets nothing."""
        self.successResultOf(Connection(FakeTor()).connecting)

    def test_cookies(self) -> None:
        """SAFECOOKIE where it is offered, the plain cookie where it is not."""
        for safe in (True, False):
            tor = FakeTor(cookie=self.cookie, safe_cookie=safe)
            self.successResultOf(Connection(tor).connecting)
            self.assertEqual(any("AUTHCHALLENGE" in line for line in tor.heard), safe)

    def test_unreadable_cookie(self) -> None:
        """The error names the file that we cannot read."""
        self.cookie.unlink()
        error = self.failureResultOf(Connection(FakeTor(cookie=self.cookie)).connecting, ControlRefused).value
        self.assertIn(str(self.cookie), str(error))

    def test_group_of_the_cookie(self) -> None:
        """Who may not read the cookie is told which group may."""

        def refused(wire: ControlWire, path: str) -> None:
            raise PermissionError(EACCES, "Permission denied", path)

        self.patch(TorControlProtocol, "_read_cookie", refused)
        self.patch(wire, "advice", lambda path: f"only the group debian-tor may read {path.name}")
        error = self.failureResultOf(Connection(FakeTor(cookie=self.cookie)).connecting, ControlRefused).value
        self.assertIn("Permission denied, only the group debian-tor may read cookie", str(error))
        self.assertIn(str(self.cookie), str(error))

    def test_hung(self) -> None:
        """A Tor that accepts the connection and says nothing is given up."""
        connection = Connection(FakeTor(hung=True), patience=Patience(command=10))
        connection.clock.advance(10.1)
        self.failureResultOf(connection.connecting, ControlTimeout)


class PasswordTests(TestCase):
    """Passwords need a real socket, since they pass Twisted by."""

    async def attach(self, tor: FakeTor, password: bytes | None) -> TorControl:
        """Connect to ``tor`` through a Unix socket."""
        path = Path(tempfile.mkdtemp(dir="/tmp")) / "control"
        port = await UNIXServerEndpoint(reactor, str(path)).listen(tor.factory())
        self.addCleanup(path.parent.rmdir)
        self.addCleanup(port.stopListening)
        secret = None if password is None else Secret.copy_of(password)
        control = await connect(UNIXClientEndpoint(reactor, str(path)), reactor, secret)
        self.addCleanup(lambda: control.disconnected)
        self.addCleanup(control.abandon, "the test is over")
        return control

    async def test_right_password(self) -> None:
        """The right password opens the door and stands in no record."""
        tor = FakeTor(password='s3cret "x" ü')
        control = await self.attach(tor, 's3cret "x" ü'.encode())
        self.assertEqual(await control.get_info("version"), "0.4.9.11")

    async def test_wrong_password(self) -> None:
        """A wrong one is refused, in Tor's words."""
        with self.assertRaises(ControlRefused) as caught:
            await self.attach(FakeTor(password="right"), b"wrong")
        self.assertIn("Authentication failed", str(caught.exception))
        self.assertNotIn("wrong", str(caught.exception).lower().replace("wrong password or cookie", ""))

    async def test_missing_password(self) -> None:
        """When Tor wants a password and we have none, the error says so."""
        with self.assertRaises(ControlRefused) as caught:
            await self.attach(FakeTor(password="right"), None)
        self.assertIn("no password", str(caught.exception))

    async def test_nobody_there(self) -> None:
        """A socket that does not exist is a lost connection."""
        endpoint = UNIXClientEndpoint(reactor, "/tmp/no-such-directory/control")
        with self.assertRaises(ControlLost):
            await connect(endpoint, reactor)
