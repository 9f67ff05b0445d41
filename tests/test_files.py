"""Tests for L{rustbalance.files}."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.files import UnsafePath, ensure_contents, private_directory, replacing, write_atomically

WRITER = """
import sys
from pathlib import Path
from rustbalance.files import write_atomically
path = Path(sys.argv[1])
number = 0
while True:
    number += 1
    write_atomically(path, b"%d\\n" % number * 2000)
    print(number, flush=True)
"""


class WriteAtomicallyTests(SynchronousTestCase):
    """L{write_atomically} leaves the old file or the new one."""

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(dir=self.mktemp_parent()))
        self.path = self.directory / "state"

    def mktemp_parent(self) -> str:
        """Return a directory that trial cleans up."""
        parent = Path(self.mktemp())
        parent.mkdir(parents=True)
        return str(parent)

    def test_replaces(self) -> None:
        """The second contents take the place of the first, with the mode asked for and nothing left beside."""
        write_atomically(self.path, b"one")
        write_atomically(self.path, b"two", mode=0o640)
        self.assertEqual(self.path.read_bytes(), b"two")
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o640)
        self.assertEqual(os.listdir(self.directory), ["state"])

    def test_a_failure_changes_nothing(self) -> None:
        """When the writing block raises, the old contents stay and no temporary file does."""
        write_atomically(self.path, b"old")

        def fail() -> None:
            with replacing(self.path) as descriptor:
                os.write(descriptor, b"half")
                raise RuntimeError("interrupted")

        self.assertRaises(RuntimeError, fail)
        self.assertEqual(self.path.read_bytes(), b"old")
        self.assertEqual(os.listdir(self.directory), ["state"])

    def test_durable(self) -> None:
        """File and directory are fsynced, unless what is written means nothing after a power cut."""
        synced: list[int] = []
        self.patch(os, "fsync", synced.append)
        write_atomically(self.path, b"one", durable=False)
        self.assertEqual((self.path.read_bytes(), synced), (b"one", []))
        write_atomically(self.path, b"two")
        self.assertEqual((self.path.read_bytes(), len(synced)), (b"two", 2))

    def test_what_is_there_stays(self) -> None:
        """The same contents are not written again; others, another mode, or a link to somewhere else are replaced."""
        ensure_contents(self.path, b"one")
        first = self.path.stat().st_ino
        ensure_contents(self.path, b"one")
        self.assertEqual(self.path.stat().st_ino, first)
        for data, mode in ((b"two", 0o600), (b"three", 0o600), (b"three", 0o640)):
            before = self.path.stat().st_ino
            ensure_contents(self.path, data, mode)
            self.assertEqual((self.path.read_bytes(), self.path.stat().st_mode & 0o777), (data, mode))
            self.assertNotEqual(self.path.stat().st_ino, before)
        elsewhere = self.path.rename(self.directory / "elsewhere")
        self.path.symlink_to(elsewhere)
        ensure_contents(self.path, b"three", 0o640)
        self.assertFalse(self.path.is_symlink())

    def test_kill_at_any_moment(self) -> None:
        """After kill -9 while writing, the file is one whole version, no older than reported, and nothing piles up."""
        for _ in range(5):
            child = subprocess.Popen(
                [sys.executable, "-c", WRITER, str(self.path)],
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )
            assert child.stdout is not None
            for _ in range(20):
                reported = int(child.stdout.readline())
            child.send_signal(signal.SIGKILL)
            child.wait()
            child.stdout.close()
            lines = self.path.read_bytes().splitlines()
            self.assertEqual(len(lines), 2000)
            self.assertEqual(len(set(lines)), 1)
            self.assertGreaterEqual(int(lines[0]), reported)
        write_atomically(self.path, b"last")
        self.assertEqual(os.listdir(self.directory), ["state"])


class PrivateDirectoryTests(SynchronousTestCase):
    """L{private_directory} makes or accepts only directories that nobody else can enter."""

    def test_makes(self) -> None:
        """A missing directory is made with mode 0700, its parents too."""
        path = Path(self.mktemp()) / "a" / "b"
        self.assertEqual(private_directory(path), path)
        self.assertEqual(path.stat().st_mode & 0o777, 0o700)

    def test_refuses_open_ones(self) -> None:
        """A directory that others may enter is refused with the mode it has and the one it must have."""
        path = Path(self.mktemp())
        path.mkdir(mode=0o755)
        path.chmod(0o755)
        error = self.assertRaises(UnsafePath, private_directory, path)
        self.assertIn("0700, not 0755", str(error))

    def test_refuses_other_kinds(self) -> None:
        """A link to a directory is not taken for one."""
        target = private_directory(Path(self.mktemp()))
        link = Path(self.mktemp())
        link.symlink_to(target.absolute())
        self.assertRaises(UnsafePath, private_directory, link)
