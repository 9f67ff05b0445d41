"""What is true of every command."""

import subprocess
import sys

from rustbalance.cli.commands import COMMANDS
from tests.cli.case import PROGRAM, CliCase

EVERY = [[name] for name in COMMANDS] + [["lab", name] for name in ("up", "down", "status")]


class CommandsTests(CliCase):
    """Help, errors, completion, speed."""

    def test_help_has_an_example(self) -> None:
        """--help of each command shows how it is called."""
        for words in EVERY:
            shown = self.call(*words, "--help")
            self.assertEqual(shown.exit_code, 0, shown.output)
            self.assertIn("Example:", shown.output)
            self.assertIn(f"rustbalance {words[0]}", shown.output.split("Example:")[1])

    def test_listed(self) -> None:
        """The list has what this version has, and nothing else."""
        shown = self.call("--help").output
        for name in COMMANDS:
            self.assertIn(f"\n  {name} ", shown)
        for name in ("rotate-token", "encrypt-config", "debug"):
            self.assertNotIn(f"\n  {name} ", shown)

    def test_alone(self) -> None:
        """Without a command the list is shown."""
        shown = self.call()
        self.assertIn("Commands:", shown.output)

    def test_bad_input(self) -> None:
        """Unknown commands and options, and missing ones, are one line and status 2."""
        self.assert_refused(self.call("strt"), "No such command", "rustbalance --help")
        self.assert_refused(self.call("init", "--dri", "x"), "--dri", "rustbalance init --help")
        self.assert_refused(self.call("init", "--target", "a:1"), "--dir", "rustbalance init --help")
        self.assert_refused(self.call("lab", "up", "--seconds", "x"), "--seconds", "rustbalance lab up --help")
        self.assert_refused(self.call("lab", "sideways"), "sideways", "rustbalance lab --help")

    def test_what_the_system_refuses(self) -> None:
        """A path on which the system says no is one line and status 2, not a traceback and never "degraded"."""
        for words in (["lab", "down", "--dir"], ["lab", "status", "--dir"]):
            self.assert_refused(self.call(*words, "/dev/null/lab"), "/dev/null/lab")
        self.assert_refused(self.call("status", "--config", "/dev/null/x/config.toml"), "/dev/null/x/config.toml")

    def test_completion(self) -> None:
        """The line that --help shows for bash gives a completion script, and it completes."""
        self.assertIn("_RUSTBALANCE_COMPLETE=bash_source", self.call("--help").output)
        self.assertIn("complete", self.run_program(_RUSTBALANCE_COMPLETE="bash_source").stdout)
        done = self.run_program(_RUSTBALANCE_COMPLETE="bash_complete", COMP_WORDS="rustbalance sho", COMP_CWORD="1")
        self.assertIn("show-onion", done.stdout)

    def test_starts_without_the_daemon(self) -> None:
        """The list of commands costs neither Twisted nor the key code, so that it comes at once."""
        code = "import sys, rustbalance.cli; print(*sys.modules)"
        loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        for heavy in ("twisted", "nacl", "rich", "txtorcon", "cryptography", "rustbalance.config"):
            self.assertNotIn(heavy, loaded)

    def test_reader_that_leaves(self) -> None:
        """Piping into something that stops reading is no traceback."""
        done = subprocess.run(
            ["/bin/sh", "-c", f"{PROGRAM} --help | true; {PROGRAM} --version"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertEqual(done.stderr, "")
        self.assertIn("rustbalance", done.stdout)
