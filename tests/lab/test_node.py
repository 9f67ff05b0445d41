"""A node of ours in the lab, as far as it can be told without a network."""

import tempfile
from pathlib import Path

from twisted.internet import reactor  # noqa: TID251  (a real process needs the real one)
from twisted.internet.defer import TimeoutError as DeadlinePassed
from twisted.trial.unittest import TestCase

from rustbalance.config import load_config
from rustbalance.lab.bundles import invite, write_passphrase
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
        """The configuration is valid, the node has its name, and every Tor of it is in the private network."""
        config = load_config(self.node.config)
        self.assertEqual(config.tor.torrc_include, self.include)
        self.assertEqual(config.node.id, "node1")

    def test_joining(self) -> None:
        """A node from a bundle has the address and the carrier of the first one, and a name of its own."""
        place = self.include.parent
        bundle = invite(self.node.config, write_passphrase(place), place / "node2.bundle")
        second = LabNode("node2", place / "node2", "", self.include, reactor, bundle=bundle)
        self.assertEqual((second.name, second.onion_address), ("node2", self.node.onion_address))
        mine, theirs = load_config(second.config), load_config(self.node.config)
        self.assertEqual(mine.node.id, "node2")
        self.assertEqual((mine.coordination.mode, mine.target.address), ("direct", theirs.target.address))
        self.assertEqual(mine.tor.torrc_include, self.include)

    async def test_until(self) -> None:
        """Whoever waits for something is told when it took too long."""
        waiting = deferred(self.node.until(lambda status: True, 0.3))
        await self.assertFailure(waiting, DeadlinePassed)

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
