"""Tests for L{rustbalance.ops.lock}."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.ops.lock import AlreadyRunning, Lock

HOLDER = """
import os, sys
from pathlib import Path
from rustbalance.ops.lock import Lock
lock = Lock(Path(sys.argv[1]))
print("held", flush=True)
os.kill(os.getpid(), 9) if sys.stdin.readline() else None
"""


class LockTests(SynchronousTestCase):
    """L{Lock} has one holder."""

    def setUp(self) -> None:
        directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, directory)
        self.path = directory / "lock"

    def test_one_holder(self) -> None:
        """The second is told who runs and where; after a release it may have it."""
        first = Lock(self.path)
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        error = self.assertRaises(AlreadyRunning, Lock, self.path)
        self.assertEqual(str(error), f"another daemon is running: it holds {self.path}")
        first.release()
        first.release()
        Lock(self.path).release()

    def test_killed_holder(self) -> None:
        """A holder that is killed leaves nothing that stands in the way."""
        child = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(self.path)], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.addCleanup(child.kill)
        assert child.stdout is not None
        self.assertEqual(child.stdout.readline(), "held\n")
        self.assertRaises(AlreadyRunning, Lock, self.path)
        child.communicate("go\n", timeout=10)
        self.assertEqual(child.returncode, -9)
        Lock(self.path).release()

    def test_link(self) -> None:
        """A symbolic link in its place is not followed."""
        self.path.symlink_to(self.path.with_name("elsewhere"))
        self.assertRaises(OSError, Lock, self.path)
        self.assertFalse(self.path.with_name("elsewhere").exists())
