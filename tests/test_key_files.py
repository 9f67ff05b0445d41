"""Tests for L{rustbalance.key_files}."""

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.key_files import (
    HOSTNAME,
    PUBLIC_HEADER,
    PUBLIC_NAME,
    SECRET_HEADER,
    SECRET_NAME,
    KeyFileError,
    address_of_key,
    create_master_key,
    load_master_key,
    write_service_keys,
)
from rustbalance.onion.keys import MasterKey
from rustbalance.secrets import Secret, locked_bytes
from tests.locked import locked_before
from tests.vectors import load

VECTOR = load("ed25519_blinding")["vectors"][0]
SEED, EXPANDED, PUBLIC = (bytes.fromhex(VECTOR[name]) for name in ("seed", "expanded_secret", "public"))
TOR_FILE = bytes.fromhex(load("tor_key_file")["vectors"][0]["file_hex"])
TOR_ADDRESS = load("tor_key_file")["vectors"][0]["address"]


class KeyFileTests(SynchronousTestCase):
    """A directory to put keys into."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir(parents=True)

    def put(self, contents: bytes, name: str = SECRET_NAME, mode: int = 0o600) -> Path:
        """Write a file."""
        path = self.directory / name
        path.write_bytes(contents)
        path.chmod(mode)
        return path

    def refused(self, path: Path) -> str:
        """Return why C{path} is no key file."""
        return str(self.assertRaises(KeyFileError, load_master_key, path))

    def files(self) -> dict[str, tuple[int, bytes]]:
        """Return mode and contents of everything in the directory."""
        return {path.name: (path.stat().st_mode & 0o777, path.read_bytes()) for path in self.directory.iterdir()}


class LoadingTests(KeyFileTests):
    """L{load_master_key} takes the three forms that people have."""

    def test_the_three_forms(self) -> None:
        """A seed, an expanded key and Tor's own file give the same key."""
        for contents in (SEED, EXPANDED, SECRET_HEADER + EXPANDED):
            key = load_master_key(self.put(contents))
            self.assertEqual(key.public, PUBLIC)
            self.assertEqual(key.secret, EXPANDED)

    def test_a_file_that_tor_made(self) -> None:
        """A key file and hostname of a real service are accepted together."""
        self.put(TOR_ADDRESS.encode() + b"\n", HOSTNAME)
        self.assertEqual(load_master_key(self.put(TOR_FILE)).address.text, TOR_ADDRESS)

    def test_seed_that_ends_like_a_line(self) -> None:
        """A seed whose last byte is a newline is still 32 bytes."""
        seed = SEED[:31] + b"\n"
        expected = MasterKey.from_seed(Secret.copy_of(seed)).public
        self.assertEqual(load_master_key(self.put(seed)).public, expected)

    def test_lengths(self) -> None:
        """Any other length is refused, naming the three that are right and the one that was found."""
        for length in (0, 31, 33, 65, 95, 97, 128):
            reason = self.refused(self.put(b"k" * length))
            self.assertIn("32 bytes (seed), 64 (expanded key) or 96 (Tor's)", reason)
            self.assertIn(f"not {length}", reason)

    def test_large_files(self) -> None:
        """Something altogether different is refused before it is read whole."""
        self.assertIn("longer than", self.refused(self.put(b"k" * 100_000)))

    def test_header(self) -> None:
        """96 bytes without Tor's header are no key file of Tor's."""
        for header in (bytes(32), SECRET_HEADER.replace(b"type0", b"type1"), SECRET_HEADER[:-1] + b"x"):
            self.assertIn("header", self.refused(self.put(header + EXPANDED)))

    def test_the_public_key_by_mistake(self) -> None:
        """Tor's public key file has 64 bytes too; it is recognised, and the right file named."""
        self.assertIn(SECRET_NAME, self.refused(self.put(PUBLIC_HEADER + PUBLIC)))

    def test_scalars_that_are_not_clamped(self) -> None:
        """An expanded key that no Tor would make is refused, bare or in Tor's file."""
        bad = bytes([EXPANDED[0] | 1]) + EXPANDED[1:]
        for contents in (bad, SECRET_HEADER + bad):
            self.assertIn("clamped", self.refused(self.put(contents)))

    def test_open_to_others(self) -> None:
        """A key that the group or others may read is refused, with the mode it must have."""
        for mode in (0o640, 0o604, 0o660):
            self.assertIn("0600", self.refused(self.put(SEED, mode=mode)))

    def test_missing(self) -> None:
        """A missing file is the same error."""
        self.assertIn("No such file", self.refused(self.directory / "missing"))

    def test_nothing_is_left_locked(self) -> None:
        """Of the file itself nothing stays; the key holds its own two pages."""
        before = locked_before()
        key = load_master_key(self.put(SECRET_HEADER + EXPANDED))
        self.assertEqual(locked_bytes(), before + 2 * 4096)
        key.wipe()
        self.assertEqual(locked_bytes(), before)

    def test_only_the_address(self) -> None:
        """Who asks for the address leaves no key behind in memory."""
        path = self.put(SECRET_HEADER + EXPANDED)
        expected = load_master_key(path)
        before = locked_before()
        self.assertEqual(address_of_key(path), expected.address)
        self.assertEqual(locked_bytes(), before)
        expected.wipe()


class BesideTests(KeyFileTests):
    """What lies beside the secret key must belong to it."""

    def test_public_key(self) -> None:
        """The right public key is accepted, another one or another format refused by name."""
        self.put(PUBLIC_HEADER + PUBLIC, PUBLIC_NAME)
        path = self.put(SEED)
        self.assertEqual(load_master_key(path).public, PUBLIC)
        for wrong in (PUBLIC_HEADER + bytes(32), PUBLIC, b"", SECRET_HEADER + PUBLIC):
            self.put(wrong, PUBLIC_NAME)
            self.assertIn(PUBLIC_NAME, self.refused(path))

    def test_hostname(self) -> None:
        """The right address is accepted with or without a newline, another one refused by name."""
        address = MasterKey.from_seed(Secret.copy_of(SEED)).address
        path = self.put(SEED)
        for right in (address.text, address.text + "\n", address.label.upper()):
            self.put(right.encode(), HOSTNAME)
            self.assertEqual(load_master_key(path).address, address)
        self.put(TOR_ADDRESS.encode(), HOSTNAME)
        reason = self.refused(path)
        self.assertIn(HOSTNAME, reason)
        self.assertNotIn(address.label, reason)

    def test_hostname_of_a_machine(self) -> None:
        """A file of that name which holds no onion address, as in /etc, says nothing about the key."""
        path = self.put(SEED)
        for other in (b"", b"\xff", b"example.org\n", b"myhost"):
            self.put(other, HOSTNAME)
            self.assertEqual(load_master_key(path).public, PUBLIC)

    def test_unreadable(self) -> None:
        """Something beside the key that cannot be read is an error too, not a reason to trust."""
        (self.directory / HOSTNAME).mkdir()
        self.assertIn("cannot be read", self.refused(self.put(SEED)))

    def test_without_an_end(self) -> None:
        """Nothing beside the key can keep us: no pipe that nobody writes to, no file without an end."""
        path = self.put(SEED)
        os.mkfifo(self.directory / HOSTNAME)
        self.assertEqual(load_master_key(path).public, PUBLIC)
        (self.directory / HOSTNAME).unlink()
        (self.directory / HOSTNAME).symlink_to("/dev/zero")
        self.assertEqual(load_master_key(path).public, PUBLIC)


class CreatingTests(KeyFileTests):
    """L{create_master_key} makes a key and replaces none."""

    def test_creates(self) -> None:
        """A new key is Tor's own file, for its owner only, and loads as the key that was returned."""
        path = self.directory / "identity.key"
        key = create_master_key(path)
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        self.assertEqual(path.read_bytes()[:32], SECRET_HEADER)
        self.assertEqual(load_master_key(path).address, key.address)
        self.assertNotEqual(create_master_key(self.directory / "another.key").public, key.public)

    def test_never_replaces(self) -> None:
        """An existing file is left as it is, whatever it holds."""
        path = self.put(b"precious")
        error = self.assertRaises(KeyFileError, create_master_key, path)
        self.assertIn("left as it is", str(error))
        self.assertEqual(self.files(), {SECRET_NAME: (0o600, b"precious")})

    def test_beside_another(self) -> None:
        """Where another service's address lies, no new key is put beside it."""
        self.put(TOR_ADDRESS.encode(), HOSTNAME)
        self.assertRaises(KeyFileError, create_master_key, self.directory / SECRET_NAME)
        self.assertEqual(os.listdir(self.directory), [HOSTNAME])

    def test_no_directory(self) -> None:
        """A directory that is missing is one clear error."""
        error = self.assertRaises(KeyFileError, create_master_key, self.directory / "no" / "key")
        self.assertIn("cannot be written", str(error))


class ServiceDirectoryTests(KeyFileTests):
    """L{write_service_keys} prepares a directory as Tor would have."""

    def setUp(self) -> None:
        super().setUp()
        self.key = MasterKey.from_expanded(Secret.copy_of(TOR_FILE[32:]))

    def expected(self) -> dict[str, tuple[int, bytes]]:
        """Return what Tor keeps in the directory of this key."""
        return {
            SECRET_NAME: (0o600, TOR_FILE),
            PUBLIC_NAME: (0o600, PUBLIC_HEADER + self.key.public),
            HOSTNAME: (0o600, TOR_ADDRESS.encode() + b"\n"),
        }

    def test_writes_what_tor_would(self) -> None:
        """The three files have Tor's contents, for the owner only."""
        write_service_keys(self.directory, self.key)
        self.assertEqual(self.files(), self.expected())

    def test_again(self) -> None:
        """Doing it again, or after files were lost, ends in the same state."""
        for lost in (None, SECRET_NAME, PUBLIC_NAME, HOSTNAME):
            if lost:
                (self.directory / lost).unlink()
            write_service_keys(self.directory, self.key)
            self.assertEqual(self.files(), self.expected())

    def test_another_service(self) -> None:
        """A directory of another service is refused and left exactly as it was."""
        other = MasterKey.from_seed(Secret.copy_of(SEED))
        write_service_keys(self.directory, other)
        before = self.files()
        self.assertRaises(KeyFileError, write_service_keys, self.directory, self.key)
        self.assertEqual(self.files(), before)
        (self.directory / PUBLIC_NAME).unlink()
        (self.directory / HOSTNAME).unlink()
        error = self.assertRaises(KeyFileError, write_service_keys, self.directory, self.key)
        self.assertIn("another service", str(error))
        self.assertEqual(self.files(), {SECRET_NAME: before[SECRET_NAME]})
