"""Tests for L{rustbalance.tor.access}."""

import grp
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.tor.access import advice

#: A group that our own user is not in.
GROUP = "daemon"
ASK = """\
import sys
from pathlib import Path
from rustbalance.tor.access import advice
print(advice(Path(sys.argv[1])))
"""


class AdviceTests(SynchronousTestCase):
    """L{advice} names the group that helps, and says nothing where none does."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.folder)

    def ask(self, path: Path) -> str:
        """Ask as somebody who may do nothing special: our own user, without root's powers."""
        words = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--clear-groups") if os.geteuid() == 0 else ()
        done = subprocess.run([*words, sys.executable, "-c", ASK, path], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def test_ours(self) -> None:
        """Nothing stands in the way."""
        path = self.folder / "cookie"
        path.touch(mode=0o600)
        self.assertIsNone(advice(path))

    def test_not_there(self) -> None:
        """Nobody's group helps with what does not exist."""
        self.assertIsNone(advice(self.folder / "run" / "control"))

    def test_nobody_may(self) -> None:
        """Where the group has no right either, no group is named."""
        path = self.folder / "cookie"
        path.touch(mode=0o000)
        self.assertEqual(self.ask(path), "None")

    def test_group_of_the_file(self) -> None:
        """A file that only its group may read."""
        path = self.folder / "cookie"
        path.touch()
        self.assertIn(f"only the group {self.name(path)} may", self.given(path, 0o040))

    def test_group_of_a_directory(self) -> None:
        """A directory on the way that only its group may enter, as Debian's /run/tor."""
        path = self.folder / "run"
        path.mkdir()
        self.assertIn(f"adduser USER {self.name(path)}", self.given(path, 0o050, path / "control"))

    def name(self, path: Path) -> str:
        """Give C{path} to another group, if we may, and return the name of the one it has."""
        if os.geteuid() == 0:
            shutil.chown(path, group=GROUP)
        return grp.getgrgid(path.stat().st_gid).gr_name

    def given(self, path: Path, mode: int, asked: Path | None = None) -> str:
        """Return the advice when C{path} has that mode; its owner is the one who asks, and has no right by that."""
        path.chmod(mode)
        self.addCleanup(path.chmod, 0o700)
        return self.ask(asked or path)
