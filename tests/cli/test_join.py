"""rustbalance join, as people call it."""

import os
import time
from pathlib import Path

from rustbalance.config import load_config
from rustbalance.provisioning.new_bundle import make_bundle
from rustbalance.secrets import Secret
from tests.cli.case import CliCase

PHRASE = "correct horse battery"


class JoinTests(CliCase):
    """From a bundle to a node that starts."""

    def setUp(self) -> None:
        """Make a node, a bundle and a passphrase."""
        super().setUp()
        made = self.node()
        self.phrase = self.private("phrase", PHRASE)
        with Secret.copy_of(PHRASE.encode()) as secret:
            self.line = make_bundle(made.config, secret, 3600, time.time())  # noqa: TID251
            self.old = make_bundle(made.config, secret, 3600, time.time() - 7200)  # noqa: TID251
        self.bundle = self.private("b.bundle", self.line)
        self.words = ("--dir", self.directory / "second", "--passphrase-file", self.phrase)

    def private(self, name: str, text: str) -> Path:
        """Write a file of mode 0600."""
        path = self.directory / name
        path.write_text(text + "\n")
        path.chmod(0o600)
        return path

    def test_joins(self) -> None:
        """The same address, and what to do next; check-config has nothing to say."""
        done = self.run_program("join", self.bundle, *self.words)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        config = self.directory / "second" / "config.toml"
        self.assertIn(f"rustbalance run --config {config}", done.stdout)
        self.assertNotIn("rustbalance bundle", done.stdout)
        first = self.run_program("show-onion", "--config", self.directory / "node" / "config.toml").stdout
        self.assertEqual(self.run_program("show-onion", "--config", config).stdout, first)
        self.assertEqual(self.run_program("check-config", config).returncode, 0)

    def test_descriptor(self) -> None:
        """The passphrase may come from a descriptor, the bundle from stdin."""
        reading, writing = os.pipe()
        os.write(writing, PHRASE.encode() + b"\n")
        os.close(writing)
        done = self.call(
            "join", self.bundle, "--dir", self.directory / "second", "--passphrase-fd", str(reading), "--id", "b"
        )
        os.close(reading)
        self.assertEqual(done.exit_code, 0, done.output)
        self.assertEqual(load_config(self.directory / "second" / "config.toml").node.id, "b")

    def test_refused(self) -> None:
        """Another passphrase, half a line, an old bundle, no file, a node that is there: nothing is written."""
        wrong = self.private("wrong", "another passphrase")
        self.assert_refused(
            self.call("join", self.bundle, "--dir", self.directory / "second", "--passphrase-file", wrong), "passphrase"
        )
        for text, part in (
            (self.line[:-9], "changed"),
            (self.old, "expired"),
            ("hello", "one line"),
            ("ä", "one line"),
        ):
            self.assert_refused(self.call("join", self.private("x", text), *self.words), part)
        self.assert_refused(self.call("join", self.directory / "gone", *self.words), "gone")
        self.assert_refused(self.call("join", self.bundle, *self.words, "--endpoint", "10.0.0.1:1"), "--carrier")
        self.assertFalse((self.directory / "second").exists())
        there = ("--dir", self.directory / "node", "--passphrase-file", self.phrase)
        self.assert_refused(self.call("join", self.bundle, *there), "--force")
