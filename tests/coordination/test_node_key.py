"""Tests for L{rustbalance.coordination.node_key}."""

import base64
import shutil
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.coordination.node_key import node_key
from rustbalance.key_files import KeyFileError
from rustbalance.onion.keys import verify
from rustbalance.secrets import Secret


class NodeKeyTests(SynchronousTestCase):
    """L{node_key} makes a key once and finds it again."""

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.path = self.directory / "node.key"

    def test_made_once(self) -> None:
        """The first start makes it, for the owner only; every later one has the same."""
        first = node_key(None, self.path)
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        self.assertEqual(len(base64.b64decode(self.path.read_bytes(), validate=True)), 32)
        again = node_key(None, self.path)
        self.assertEqual(again.public, first.public)
        self.assertTrue(verify(first.public, again.sign(b"m"), b"m"))

    def test_two_nodes(self) -> None:
        """Two nodes have two keys."""
        self.assertNotEqual(node_key(None, self.path).public, node_key(None, self.directory / "other.key").public)

    def test_configured(self) -> None:
        """A configured key is used as it is, and no file is made."""
        node_key(None, self.path)
        text = Secret.copy_of(self.path.read_bytes())
        elsewhere = self.directory / "unused.key"
        self.assertEqual(node_key(text, elsewhere).public, node_key(None, self.path).public)
        self.assertFalse(elsewhere.exists())

    def test_refused(self) -> None:
        """A file that others can read, or that holds no key, is named and left alone; so is a place without room."""
        node_key(None, self.path)
        self.path.chmod(0o644)
        self.assertIn("0600", str(self.assertRaises(KeyFileError, node_key, None, self.path)))
        self.path.write_text("no key")
        self.path.chmod(0o600)
        self.assertIn("base64", str(self.assertRaises(KeyFileError, node_key, None, self.path)))
        self.assertEqual(self.path.read_text(), "no key")
        away = self.directory / "missing" / "node.key"
        self.assertIn("cannot be written", str(self.assertRaises(KeyFileError, node_key, None, away)))
