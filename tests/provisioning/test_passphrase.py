"""Passphrases from files, descriptors and terminals."""

import os
import pty
import threading

import click

from rustbalance.provisioning.passphrase import LONGEST, get_passphrase, prompt, read_line
from rustbalance.secrets import Secret
from tests.cli.case import CliCase


class PassphraseTests(CliCase):
    """Each way to give one, and each way to give none."""

    def piped(self, data: bytes) -> int:
        """Return a descriptor from which ``data`` comes, and then the end."""
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        os.write(writing, data)
        os.close(writing)
        return reading

    def test_file(self) -> None:
        """A private file; one that others can read is refused."""
        path = self.directory / "phrase"
        path.write_bytes(b"correct horse battery\n")
        path.chmod(0o600)
        self.assertEqual(get_passphrase(path, None, twice=True), b"correct horse battery")
        path.chmod(0o644)
        self.assertRaises(click.UsageError, get_passphrase, path, None, twice=True)
        self.assertRaises(click.UsageError, get_passphrase, self.directory / "gone", None, twice=True)

    def test_descriptor(self) -> None:
        """One line from a descriptor; what follows is for others."""
        descriptor = self.piped(b"correct horse battery\nrest")
        self.assertEqual(get_passphrase(None, descriptor, twice=True), b"correct horse battery")
        self.assertEqual(os.read(descriptor, 100), b"rest")

    def test_descriptor_that_is_none(self) -> None:
        """A number that stands for nothing is told in one line."""
        spare = os.dup(0)
        os.close(spare)
        self.assertRaises(click.UsageError, get_passphrase, None, spare, twice=False)

    def test_bounds(self) -> None:
        """Nothing, and too much, are no passphrase; the end takes the place of a newline."""
        self.assertEqual(read_line(self.piped(b"x" * LONGEST)), b"x" * LONGEST)
        self.assertEqual(read_line(self.piped(b"x")), b"x")
        for data in (b"", b"\n", b"x" * (LONGEST + 1), b"x" * (LONGEST + 1) + b"\n"):
            self.assertRaises(click.UsageError, read_line, self.piped(data))

    def test_both(self) -> None:
        """Two ways at once are one too many."""
        self.assertRaises(click.UsageError, get_passphrase, self.directory, 0, twice=False)

    def typed(self, *lines: bytes, twice: bool) -> tuple[Secret | Exception, bytes]:
        """Return what the prompt makes of lines typed at a terminal, and what that showed."""
        person, terminal = pty.openpty()
        self.addCleanup(os.close, person)
        self.addCleanup(os.close, terminal)
        found: list[Secret | Exception] = []

        def ask() -> None:
            try:
                found.append(prompt(terminal, twice=twice))
            except click.UsageError as error:
                found.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        shown = b""
        for line in lines:
            while not shown.endswith(b": "):
                shown += os.read(person, 1024)
            os.write(person, line + b"\n")
            shown += b"|"
        asking.join(10)
        return found[0], shown + os.read(person, 1024)

    def test_terminal(self) -> None:
        """What is typed is not shown, and what was asked is."""
        found, shown = self.typed(b"correct horse", b"correct horse", twice=True)
        self.assertEqual(found, b"correct horse")
        self.assertNotIn(b"horse", shown)
        self.assertIn(b"Passphrase", shown)

    def test_terminal_once(self) -> None:
        """To open a bundle one is typed once."""
        self.assertEqual(self.typed(b"correct horse", twice=False)[0], b"correct horse")

    def test_slip(self) -> None:
        """Two different ones are none."""
        found, _ = self.typed(b"correct horse", b"correct house", twice=True)
        self.assertIsInstance(found, click.UsageError)

    def test_echo_comes_back(self) -> None:
        """Afterwards the terminal shows again what is typed."""
        person, terminal = pty.openpty()
        self.addCleanup(os.close, person)
        self.addCleanup(os.close, terminal)
        asking = threading.Thread(target=lambda: prompt(terminal, twice=False))
        asking.start()
        shown = b""
        while not shown.endswith(b": "):
            shown += os.read(person, 1024)
        os.write(person, b"secret\n")
        asking.join(10)
        os.write(person, b"seen")
        while b"seen" not in shown:
            shown += os.read(person, 1024)
        self.assertNotIn(b"secret", shown)

    def test_no_terminal(self) -> None:
        """Without one it is said what to give instead."""
        path = self.node().config.parent
        done = self.run_detached("bundle", "--dir", path)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--passphrase-file", done.stderr)
