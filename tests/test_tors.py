"""Tests for L{rustbalance.tors}: which Tors a node has, and which is for what. Nothing is started."""

import shutil
import tempfile
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.config import load_config
from rustbalance.onion.keys import MasterKey
from rustbalance.provisioning.new_node import create_node
from rustbalance.proxy.socks import SocksAddress
from rustbalance.secrets import Secret
from rustbalance.tor.instance import TorInstance
from rustbalance.tors import OwnTors

EXTERNAL = 'mode = "external"'
CONTROL, SOCKS = "standby_control_port = 9061", "standby_socks_port = 9060"


class Serving:
    """What a Tor is like that serves."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.serving = True


class TorsTests(SynchronousTestCase):
    """L{OwnTors} for all kinds of configuration."""

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)

    def tors(self, *lines: str) -> OwnTors:
        """Return those of a node with these lines in the section C{tor}."""
        made = create_node(self.directory / "n", "h:1", force=True)
        text = made.config.read_text().replace("[tor]", "\n".join(["[tor]", *lines]), 1)
        made.config.write_text(
            text.replace("[coordination]", '[coordination]\nmode = "direct"').replace('mode = "tor"', "")
        )
        key = MasterKey.from_seed(Secret.copy_of(b"s" * 32))
        return OwnTors(load_config(made.config), key, lambda name: f"unix:/{name}", Clock())

    def names(self, *lines: str) -> list[tuple[str, str, bool]]:
        """Return the name and mode of each, and whether it serves visitors."""
        instances = self.tors(*lines).instances
        return [(str(tor.name), tor.mode, tor.serves_visitors) for tor in instances]

    def test_managed(self) -> None:
        """By default there are three children, two of which serve the address."""
        expected = [("primary", "managed", True), ("standby", "managed", True), ("scout", "managed", False)]
        self.assertEqual(self.names(), expected)

    def test_managed_otherwise(self) -> None:
        """The standby may be for streams only, or not there, and the scout left out."""
        self.assertEqual(self.names('standby_mode = "socks"')[1], ("standby", "managed", False))
        self.assertEqual(self.names('standby_mode = "off"', "scout = false"), [("primary", "managed", True)])

    def test_external(self) -> None:
        """A running Tor is alone unless a second one is named; with a control port it serves."""
        primary = ("primary", "external", True)
        self.assertEqual(self.names(EXTERNAL), [primary])
        self.assertEqual(self.names(EXTERNAL, CONTROL, SOCKS), [primary, ("standby", "external", True)])
        streams = self.names(EXTERNAL, CONTROL, SOCKS, 'standby_mode = "socks"')
        self.assertEqual(streams, [primary, ("standby", "external", False)])

    def test_external_socks_only(self) -> None:
        """One without a control port is a place to go out, and no instance."""
        tors = self.tors(EXTERNAL, SOCKS)
        self.assertEqual(len(tors.instances), 1)
        self.assertIn(("127.0.0.1", 9060), tors.pair._places.values())

    def test_outside(self) -> None:
        """The address is looked at with the eyes of one that does not serve it, if possible."""
        tors = self.tors()
        self.assertIsNone(tors.outside())
        for names, expected in ((("primary",), "primary"), (("primary", "scout"), "scout")):
            for tor in tors.instances:
                self.patch(tor, "control", object() if tor.name in names else None)
            self.patch(TorInstance, "serving", property(lambda tor: tor.control is not None))
            found = tors.outside()
            assert found is not None
            self.assertEqual(found.name, expected)

    def test_streams(self) -> None:
        """A stream that failed is put down to the Tor at that address, and there is no way out without one."""
        tors = self.tors()
        self.assertIsNone(tors.socks())
        told: list[object] = []
        self.patch(tors.pair, "socks_failed", lambda place, reason: told.append(place))
        tors.socks_failed(SocksAddress(path="/primary"), "silent")
        self.assertEqual(told, [Path("/primary")])
