"""Tests for L{rustbalance.secret_files.files}."""

import os
import resource
import socket
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.secret_files import SecretFileError, create_secret, read_raw, read_secret, write_secret
from rustbalance.secrets import Secret, locked_bytes
from tests.locked import locked_before

TEXT = b"correct horse battery staple"
PAGE = resource.getpagesize()


class FileTests(SynchronousTestCase):
    """A directory to put secret files into."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir(parents=True)

    def put(self, contents: bytes, mode: int = 0o600, name: str = "secret") -> Path:
        """Write a file."""
        path = self.directory / name
        path.unlink(missing_ok=True)
        path.write_bytes(contents)
        path.chmod(mode)
        return path

    def refused(self, path: Path, limit: int = 4096, *, private: bool = True) -> str:
        """Return why C{path} is refused, having checked that the reason names the file and not its contents."""
        error: SecretFileError = self.assertRaises(SecretFileError, read_secret, path, limit, private=private)
        self.assertIn(str(path), str(error))
        self.assertNotIn("horse", str(error))
        return error.rule


class ReadingTests(FileTests):
    """L{read_secret} takes what is in the file and refuses what others can read."""

    def test_contents(self) -> None:
        """A secret file gives what an editor shows: line ends at its end do not count, others do."""
        for contents, expected in (
            (TEXT, TEXT),
            (TEXT + b"\n", TEXT),
            (TEXT + b"\r\n", TEXT),
            (b"\n a\nb \n\n", b"\n a\nb "),
            (b"\x00\xff", b"\x00\xff"),
        ):
            self.assertEqual(read_secret(self.put(contents)), expected)

    def test_raw(self) -> None:
        """A key file may end in the byte that is a newline; every byte of it counts."""
        self.assertEqual(read_raw(self.put(b"k" * 31 + b"\n"), 96), b"k" * 31 + b"\n")
        self.assertEqual(read_raw(self.put(b""), 96), b"")

    def test_open_to_others(self) -> None:
        """Any right of the group or of others is refused, unless the file need not be private."""
        for mode in (0o640, 0o620, 0o604, 0o644, 0o601, 0o610):
            path = self.put(TEXT, mode)
            rule = self.refused(path)
            self.assertIn("0600", rule)
            self.assertIn(f"{mode:04o}", rule)
            self.assertEqual(read_secret(path, private=False), TEXT)
        self.assertEqual(read_secret(self.put(TEXT, 0o400)), TEXT)

    def test_credentials_of_systemd(self) -> None:
        """A credential shows its access list as group permissions and is taken; one that all may read is not."""
        self.patch(os, "environ", {**os.environ, "CREDENTIALS_DIRECTORY": str(self.directory)})
        self.assertEqual(read_secret(self.put(TEXT, 0o440)), TEXT)
        self.assertIn("0444", self.refused(self.put(TEXT, 0o444)))
        elsewhere = self.directory / "elsewhere"
        elsewhere.mkdir()
        self.assertIn("0440", self.refused(self.put(TEXT, 0o440, "elsewhere/secret")))

    def test_limit(self) -> None:
        """A file as long as the limit is read, one that is longer refused, whether it fills a page or not."""
        for limit in (8, PAGE - 1, PAGE, 3 * PAGE):
            self.assertEqual(read_secret(self.put(b"x" * limit), limit), b"x" * limit)
            self.assertIn(f"{limit} bytes", self.refused(self.put(b"x" * (limit + 1)), limit))

    def test_empty(self) -> None:
        """A file without a secret in it is refused."""
        for contents in (b"", b"\n", b"\r\n\n"):
            self.assertEqual(self.refused(self.put(contents)), "is empty")

    def test_missing(self) -> None:
        """A missing file is the same error, with the system's reason."""
        self.assertIn("No such file", self.refused(self.directory / "missing"))

    def test_other_kinds(self) -> None:
        """Directories, pipes and sockets are refused, and nobody waits for their other end."""
        pipe = self.directory / "pipe"
        os.mkfifo(pipe, 0o600)
        self.assertIn("regular file", self.refused(pipe))
        self.directory.chmod(0o700)
        self.assertIn("regular file", self.refused(self.directory))
        short = Path(tempfile.mkdtemp(dir="/tmp"))
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(short / "s"))
            self.refused(short / "s", private=False)
        (short / "s").unlink()
        short.rmdir()

    def test_links(self) -> None:
        """A link is followed, as container platforms mount secrets, and what it leads to is checked."""
        link = self.directory / "link"
        link.symlink_to(self.put(TEXT).absolute())
        self.assertEqual(read_secret(link), TEXT)
        self.put(TEXT, 0o644)
        self.refused(link)

    def test_nothing_is_left_locked(self) -> None:
        """Reading leaves one secret, the one that is returned; being refused leaves none."""
        before = locked_before()
        self.refused(self.put(TEXT, 0o644))
        self.refused(self.put(b"x" * 10000))
        self.assertEqual(locked_bytes(), before)
        secret = read_secret(self.put(TEXT))
        self.assertEqual(locked_bytes(), before + PAGE)
        secret.wipe()


class WritingTests(FileTests):
    """L{write_secret} and L{create_secret} put secrets on the disk for their owner only."""

    def test_write(self) -> None:
        """The public prefix and the secret take the place of what was there."""
        path = self.put(b"old", 0o644)
        write_secret(path, Secret.copy_of(TEXT), b"header:")
        self.assertEqual(path.read_bytes(), b"header:" + TEXT)
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        self.assertEqual(os.listdir(self.directory), ["secret"])

    def test_sizes(self) -> None:
        """Empty, small and large secrets are written whole, with and without a prefix."""
        for size in (0, 1, PAGE, 300_000):
            for prefix in (b"", b"p"):
                path = self.directory / "secret"
                write_secret(path, Secret.copy_of(b"s" * size), prefix)
                self.assertEqual(path.read_bytes(), prefix + b"s" * size)

    def test_short_writes(self) -> None:
        """A kernel that takes a few bytes at a time still gets all of them, once."""
        real = os.writev
        self.patch(os, "writev", lambda to, parts: real(to, [b"".join(parts)[:5]]))
        path = self.directory / "secret"
        write_secret(path, Secret.copy_of(TEXT), b"header:")
        self.assertEqual(path.read_bytes(), b"header:" + TEXT)

    def test_create(self) -> None:
        """A new file appears whole, for its owner only, with nothing beside it."""
        path = self.directory / "secret"
        create_secret(path, Secret.copy_of(TEXT), b"header:")
        self.assertEqual(path.read_bytes(), b"header:" + TEXT)
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        self.assertEqual(os.listdir(self.directory), ["secret"])

    def test_create_never_replaces(self) -> None:
        """An existing file, even one that is a dangling link, stays as it is."""
        path = self.put(b"old")
        self.assertRaises(FileExistsError, create_secret, path, Secret.copy_of(TEXT))
        self.assertEqual(path.read_bytes(), b"old")
        link = self.directory / "link"
        link.symlink_to("nowhere")
        self.assertRaises(FileExistsError, create_secret, link, Secret.copy_of(TEXT))
        self.assertEqual(sorted(os.listdir(self.directory)), ["link", "secret"])
