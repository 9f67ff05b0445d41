"""Tests for L{rustbalance.provisioning.placing}."""

import os
import shutil
import stat
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.key_files import load_master_key
from rustbalance.onion.keys import MasterKey
from rustbalance.provisioning.placing import WRITTEN, CannotPlace, Placed, place_key
from rustbalance.secrets import Secret

OTHER_USER, OTHER_GROUP = 65534, 65534


class PlaceTests(SynchronousTestCase):
    """L{place_key} gives a Tor its directory: ours, or where we are root that of its own user."""

    def setUp(self) -> None:
        above = tempfile.mkdtemp(dir="/tmp")
        self.addCleanup(shutil.rmtree, above)
        self.above = Path(above)
        self.above.chmod(0o755)
        self.directory = self.above / "tor" / "service"
        self.directory.parent.mkdir()
        self.key = MasterKey.from_seed(Secret.copy_of(bytes(range(32))))
        self.root = os.geteuid() == 0

    def give_away(self, path: Path) -> None:
        """Let Tor's own user have a directory; who is not root remains the user that Tor runs as."""
        if self.root:
            os.chown(path, OTHER_USER, OTHER_GROUP)
        path.chmod(0o2700)

    def place(self) -> Placed:
        """Place the key, whoever we are afterwards being who we were."""
        before = os.getresuid(), os.getresgid(), os.getgroups()
        try:
            return place_key("primary", self.directory, self.key)
        finally:
            self.assertEqual((os.getresuid(), os.getresgid(), os.getgroups()), before)

    def refused(self, *parts: str) -> None:
        """Check that it is refused, with words that have all the parts."""
        error = str(self.assertRaises(CannotPlace, self.place))
        for part in (str(self.directory), *parts):
            self.assertIn(part, error)

    def test_everything_is_there(self) -> None:
        """Keys and ob_config belong to the owner of the directory above, and nobody else may look."""
        self.give_away(self.directory.parent)
        owner = self.directory.parent.stat().st_uid
        placed = self.place()
        self.assertTrue(placed.new)
        self.assertEqual({path.name for path in self.directory.iterdir()}, WRITTEN)
        for path in (self.directory, *self.directory.iterdir()):
            found = path.stat()
            self.assertEqual((found.st_uid, stat.S_IMODE(found.st_mode) & 0o077), (owner, 0), path)
        key = load_master_key(self.directory / "hs_ed25519_secret_key")
        self.addCleanup(key.wipe)
        self.assertEqual(key.public, self.key.public)

    def test_again(self) -> None:
        """To place it once more changes nothing, and a file that is lost is given back."""
        self.give_away(self.directory.parent)
        self.place()
        (self.directory / "authorized_clients").mkdir()
        before = {path.name: path.stat().st_mtime_ns for path in self.directory.glob("hs_ed25519_secret_key")}
        self.assertFalse(self.place().new)
        self.assertEqual(
            {path.name: path.stat().st_mtime_ns for path in self.directory.glob("hs_ed25519_secret_key")}, before
        )
        (self.directory / "ob_config").unlink()
        self.assertTrue(self.place().new)
        self.assertTrue((self.directory / "ob_config").exists())

    def test_another_service(self) -> None:
        """The directory of another service is refused and left as it is."""
        self.give_away(self.directory.parent)
        self.place()
        before = {path.name: path.read_bytes() for path in self.directory.iterdir()}
        self.key = MasterKey.from_seed(Secret.copy_of(bytes(32)))
        self.refused("another service", "move that out of the way")
        self.assertEqual({path.name: path.read_bytes() for path in self.directory.iterdir()}, before)

    def test_other_things(self) -> None:
        """A directory with anything else in it is none of an onion service."""
        self.directory.mkdir(mode=0o700)
        (self.directory / "passwd").touch()
        self.give_away(self.directory.parent)
        self.give_away(self.directory)
        self.refused("passwd")
        self.assertEqual([path.name for path in self.directory.iterdir()], ["passwd"])

    def test_links_lead_nowhere(self) -> None:
        """A link that Tor's user has put where the directory is to be takes us nowhere."""
        elsewhere = self.above / "elsewhere"
        elsewhere.mkdir(mode=0o700)
        self.directory.symlink_to(elsewhere)
        self.give_away(self.directory.parent)
        self.refused("move")
        self.assertEqual(list(elsewhere.iterdir()), [])

    def test_links_inside(self) -> None:
        """A link in place of a file is replaced, not followed: what it names is as it was."""
        precious = self.above / "precious"
        precious.write_text("as it was")
        precious.chmod(0o600)
        self.give_away(self.directory.parent)
        self.place()
        (self.directory / "ob_config").unlink()
        (self.directory / "ob_config").symlink_to(precious)
        self.place()
        self.assertEqual(precious.read_text(), "as it was")
        self.assertFalse((self.directory / "ob_config").is_symlink())

    def test_open_to_others(self) -> None:
        """A directory that Tor would refuse is refused here, by its mode."""
        self.directory.mkdir()
        self.give_away(self.directory.parent)
        self.give_away(self.directory)
        self.directory.chmod(0o755)
        self.refused("0700")

    def test_whom_it_cannot_be_for(self) -> None:
        """Without a directory above nothing is guessed; what is another user's is for root to make."""
        self.directory = Path("/nowhere/at/all") if self.root else Path("/rustbalance-service")
        error = str(self.assertRaises(CannotPlace, self.place))
        self.assertIn("DataDirectory" if self.root else "run this as root", error)

    def test_open_place(self) -> None:
        """Root makes nothing where anybody could put something in its way."""
        self.directory.parent.chmod(0o777)
        if self.root:
            self.refused_place("written by others")
        else:
            self.assertTrue(self.place().new)

    def refused_place(self, part: str) -> None:
        """Check that the place itself is refused."""
        self.assertIn(part, str(self.assertRaises(CannotPlace, self.place)))
        self.assertFalse(self.directory.exists())

    def test_given_away_by_root(self) -> None:
        """In a place of root's own, a directory is for the user whom root has given it to."""
        self.directory.mkdir()
        self.give_away(self.directory)
        self.place()
        self.assertEqual((self.directory / "ob_config").stat().st_uid, self.directory.stat().st_uid)
