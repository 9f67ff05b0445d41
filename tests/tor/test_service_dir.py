"""Tests for L{rustbalance.tor.service_dir}."""

import os
import stat
import tempfile
from pathlib import Path

from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.key_files import KeyFileError
from rustbalance.onion.keys import MasterKey
from rustbalance.secrets import Secret
from rustbalance.tor.service_dir import is_ours, prepare_service_directory


class PrepareTests(SynchronousTestCase):
    """L{prepare_service_directory} leaves nothing for later."""

    def setUp(self) -> None:
        parent = tempfile.mkdtemp(dir="/tmp")
        self.addCleanup(FilePath(parent).remove)
        self.directory = Path(parent) / "service"
        self.key = MasterKey.from_seed(Secret.copy_of(bytes(range(32))))

    def test_everything_is_there(self) -> None:
        """Keys, name and ob_config are in a directory that only the owner can enter."""
        prepare_service_directory(self.directory, self.key)
        self.assertEqual(stat.S_IMODE(self.directory.stat().st_mode), 0o700)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in self.directory.iterdir()}
        names = ("hs_ed25519_secret_key", "hs_ed25519_public_key", "hostname", "ob_config")
        self.assertEqual(modes, dict.fromkeys(names, 0o600))
        self.assertEqual(
            (self.directory / "ob_config").read_text(), f"MasterOnionAddress {self.key.address.label}.onion\n"
        )
        self.assertEqual((self.directory / "hostname").read_text().strip(), self.key.address.text)

    def test_again(self) -> None:
        """To prepare it once more changes nothing."""
        prepare_service_directory(self.directory, self.key)
        before = {path.name: path.read_bytes() for path in self.directory.iterdir()}
        prepare_service_directory(self.directory, self.key)
        self.assertEqual({path.name: path.read_bytes() for path in self.directory.iterdir()}, before)

    def test_another_service(self) -> None:
        """The directory of another service is left alone."""
        prepare_service_directory(self.directory, self.key)
        other = MasterKey.from_seed(Secret.copy_of(bytes(32)))
        self.assertRaises(KeyFileError, prepare_service_directory, self.directory, other)
        self.assertIn(self.key.address.label, (self.directory / "ob_config").read_text())


class OursTests(SynchronousTestCase):
    """L{is_ours} tells whose business a directory is."""

    def setUp(self) -> None:
        parent = tempfile.mkdtemp(dir="/tmp")
        self.addCleanup(FilePath(parent).remove)
        self.parent = Path(parent)

    def test_ours(self) -> None:
        """What we own, or can make in a place of our own, or in one of root's that we may write."""
        self.assertTrue(is_ours(self.parent))
        self.assertTrue(is_ours(self.parent / "deep" / "service"))
        self.assertTrue(is_ours(Path("/tmp/rustbalance-not-there/service")))

    def test_not_ours(self) -> None:
        """What another user owns, or would lie in his directory, also when nothing keeps us from writing there."""
        other = self.parent
        if os.geteuid() == 0:
            os.chown(other, 65534, 65534)
        else:
            other = Path("/root" if Path("/root").stat().st_uid != os.geteuid() else "/var")
        self.assertFalse(is_ours(other))
        self.assertFalse(is_ours(other / "service"))
