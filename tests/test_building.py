"""Tests for L{rustbalance.building}: the parts of a node and who knows whom."""

import shutil
import tempfile
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.building import Parts
from rustbalance.config import load_config
from rustbalance.ops.status import MemoryStatus
from rustbalance.provisioning.new_node import create_node


class BuildingTests(SynchronousTestCase):
    """A node that has been built and not been started."""

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="rb-parts-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.made = create_node(self.directory / "n", "127.0.0.1:9")
        (self.directory / "n" / "state").mkdir(mode=0o700)

    def parts(self) -> Parts:
        """Build the node as its configuration stands."""
        return Parts(load_config(self.made.config), lambda: MemoryStatus(locked=True, locked_bytes=0), Clock())

    def test_order(self) -> None:
        """
        The control socket answers first and last; Tor starts before visitors are let in.

        The cluster is left before publishing ends.
        """
        names = [str(getattr(part, "name", None)) for part in self.parts().services]
        self.assertEqual(names[0], "control socket")
        self.assertLess(names.index("primary"), names.index("front"))
        self.assertLess(names.index("publisher"), names.index("coordination"))

    def test_nothing_serves_yet(self) -> None:
        """Before the start there is no Tor to look at the address with, and every Tor is stopped."""
        parts = self.parts()
        self.assertIsNone(parts.outside())
        self.assertEqual({tor.status().phase for tor in parts.instances}, {"stopped"})
