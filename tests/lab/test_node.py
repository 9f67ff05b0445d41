"""A node of ours in the lab, as far as it can be told without a network."""

import tempfile
from pathlib import Path

from twisted.internet import reactor  # noqa: TID251  (a real process needs the real one)
from twisted.trial.unittest import TestCase

from rustbalance.config import load_config
from rustbalance.lab.child import ChildEnded
from rustbalance.lab.node import LabNode
from rustbalance.lab.state import NodeState
from rustbalance.life import deferred


class LabNodeTests(TestCase):
    """Its directory and its process."""

    timeout = 60

    def setUp(self) -> None:
        place = tempfile.TemporaryDirectory(dir="/tmp")
        self.addCleanup(place.cleanup)
        self.include = Path(place.name) / "include.torrc"
        self.include.write_text("TestingTorNetwork 1\n")
        self.node = LabNode("node1", Path(place.name) / "node1", "127.0.0.1:8000", self.include, reactor)
        self.addCleanup(lambda: deferred(self.node.stop()))

    def test_configuration(self) -> None:
        """The configuration is valid, and every Tor of the node joins the private network."""
        config = load_config(self.node.config)
        self.assertEqual(config.tor.torrc_include, self.include)

    async def test_not_running(self) -> None:
        """A node that does not run has no status, and can be stopped and killed."""
        self.assertIsNone(await self.node.status())
        self.node.kill()
        self.assertEqual(
            self.node.describe(),
            NodeState(name="node1", pid=0, config=str(self.node.config), onion_address=self.node.onion_address),
        )

    async def test_ends_at_once(self) -> None:
        """A node that cannot start is not waited for; its last words are in the error."""
        self.node.config.write_text("no_such_key = 1\n")
        self.node.start()
        error = await self.assertFailure(deferred(self.node.published()), ChildEnded)
        self.assertIn("no_such_key", str(error))
