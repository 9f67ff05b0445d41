"""Bundles between nodes of a lab."""

import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.lab.bundles import invite, write_passphrase
from rustbalance.provisioning.new_node import create_node


class BundlesTests(SynchronousTestCase):
    """A node that exists as files only."""

    def test_invited(self) -> None:
        """The bundle is that of the node, it is carried over in a file that others cannot read, and so is the word."""
        place = Path(self.enterContext(tempfile.TemporaryDirectory(dir="/tmp")))
        made = create_node(place / "node1", "127.0.0.1:8000", carrier="direct")
        phrase, out = write_passphrase(place), place / "node2.bundle"
        bundle = invite(made.config, phrase, out)
        self.addCleanup(bundle.wipe)
        self.assertEqual(bundle.facts.address, made.address.text)
        for path in (phrase, out):
            self.assertEqual(path.stat().st_mode & 0o777, 0o600, path)

    def test_a_new_word_each_time(self) -> None:
        """Nobody can know it."""
        place = Path(self.enterContext(tempfile.TemporaryDirectory(dir="/tmp")))
        words = {write_passphrase(place).read_bytes() for _ in range(2)}
        self.assertEqual(len(words), 2)
