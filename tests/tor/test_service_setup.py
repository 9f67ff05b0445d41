"""Tests for L{rustbalance.tor.service_setup}."""

import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.life import deferred
from rustbalance.onion.address import OnionAddress
from rustbalance.testing.fake_tor import FakeTor
from rustbalance.tor.control import ControlRefused, TorControl
from rustbalance.tor.service_setup import (
    NotOurs,
    ServiceNotInPlace,
    WrongKey,
    confirm_address,
    confirm_service,
    ensure_service,
)
from rustbalance.tor.torrc import HiddenService
from tests.tor.connected import Connection

ADDRESS = OnionAddress(bytes(range(32)))
OTHER = OnionAddress(bytes(range(1, 33)))
SHOP = [("HiddenServiceDir", "/var/lib/tor/shop"), ("HiddenServicePort", "80 127.0.0.1:1")]


class SetupTests(SynchronousTestCase):
    """The service gets onto a Tor that is ours alone, and onto no other."""

    def setUp(self) -> None:
        directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(FilePath(str(directory)).remove)
        self.wanted = HiddenService(directory, 'unix:/a "b"', 3)
        self.tor = FakeTor()
        self.connection = Connection(self.tor)
        self.control: TorControl = self.successResultOf(self.connection.connecting)
        self.prepared = 0

    def prepare(self) -> None:
        """Do what the caller does to the directory."""
        self.prepared += 1
        (self.wanted.directory / "ob_config").touch()

    def run_(self, coroutine: Any) -> Deferred[None]:
        """Run to the end."""
        running: Deferred[None] = deferred(coroutine)
        self.connection.flush()
        return running

    def ensure(self) -> Deferred[None]:
        """Ensure the service."""
        self.tor.heard.clear()
        return self.run_(ensure_service(self.control, self.wanted, ADDRESS, self.prepare))

    def confirm(self) -> Deferred[bool]:
        """Ask which address Tor serves."""
        asking: Deferred[bool] = deferred(confirm_address(self.control, self.wanted, ADDRESS))
        self.connection.flush()
        return asking

    def changes(self) -> list[str]:
        """Return the commands that change something."""
        return [line.split()[0] for line in self.tor.heard if line.split()[0] in ("SETCONF", "RESETCONF")]

    def test_set_once(self) -> None:
        """One command sets all, and the second time there is nothing to do."""
        self.successResultOf(self.ensure())
        self.assertEqual(self.changes(), ["SETCONF"])
        self.assertEqual(self.tor.services(), self.wanted.options())
        self.assertEqual(self.tor.publishing, "0")
        self.successResultOf(self.ensure())
        self.assertEqual((self.changes(), self.prepared), ([], 2))

    def test_publishing_switched_on_again(self) -> None:
        """A Tor that has begun to publish is told again."""
        self.successResultOf(self.ensure())
        self.tor.publishing = "1"
        self.successResultOf(self.ensure())
        self.assertEqual(self.tor.publishing, "0")

    def test_company_is_refused_by_name(self) -> None:
        """Whoever else lives there is named, and nothing is touched: not even our own directory is made."""
        self.tor.options = list(SHOP)
        self.tor.info["onions/detached"] = OTHER.label
        self.tor.info["circuit-status"] = f"1 BUILT $A PURPOSE=HS_SERVICE_INTRO HS_STATE=X REND_QUERY={ADDRESS.label}"
        error = self.failureResultOf(self.ensure(), NotOurs).value
        self.assertIn(f"(/var/lib/tor/shop, {OTHER})", str(error))
        self.assertIn("tor.mode", str(error))
        self.assertNotIn(str(ADDRESS), str(error))
        self.assertEqual((self.changes(), self.prepared), ([], 0))
        self.assertEqual((self.tor.options, self.tor.publishing), (SHOP, "1"))

    def test_without_the_onionbalance_option(self) -> None:
        """A service that already runs without the option is taken away first, and comes back with it."""
        self.tor.options = list(self.wanted.options()[:-1])
        self.successResultOf(self.ensure())
        self.assertEqual(self.changes(), ["RESETCONF", "SETCONF"])
        self.assertEqual(self.tor.services(), self.wanted.options())

    def test_refused(self) -> None:
        """When Tor does not take the directory, its error comes through."""
        self.failureResultOf(
            self.run_(ensure_service(self.control, self.wanted, ADDRESS, lambda: None)), ControlRefused
        )

    def test_confirm_address(self) -> None:
        """It is certain once Tor has a descriptor of ours, and not before; our own circuits prove nothing wrong."""
        self.successResultOf(self.ensure())
        self.tor.info["circuit-status"] = f"1 BUILT $A PURPOSE=HS_SERVICE_INTRO HS_STATE=X REND_QUERY={ADDRESS.label}"
        self.assertFalse(self.successResultOf(self.confirm()))
        self.tor.info[f"hs/service/desc/id/{ADDRESS.label}"] = b"hs-descriptor 3\n"
        self.assertTrue(self.successResultOf(self.confirm()))
        self.assertEqual(self.tor.services(), self.wanted.options())

    def test_another_address(self) -> None:
        """Circuits of another address are those of a key that is not ours: the service is taken away."""
        self.successResultOf(self.ensure())
        self.tor.info["circuit-status"] = f"1 LAUNCHED PURPOSE=HS_SERVICE_INTRO HS_STATE=X REND_QUERY={OTHER.label}"
        error = str(self.failureResultOf(self.confirm(), WrongKey).value)
        self.assertIn(str(self.wanted.directory), error)
        self.assertIn("rustbalance place-key", error)
        self.assertNotIn(OTHER.label, error)
        self.assertEqual(self.tor.services(), ())

    def test_confirm(self) -> None:
        """What Tor has instead is said."""
        self.tor.options = list(SHOP)
        error = self.failureResultOf(self.run_(confirm_service(self.control, self.wanted)), ServiceNotInPlace).value
        self.assertIn("HiddenServiceDir=/var/lib/tor/shop", str(error))
        self.assertIn("PublishHidServDescriptors=1", str(error))
