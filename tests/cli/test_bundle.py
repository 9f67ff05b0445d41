"""rustbalance bundle, as people call it."""

import stat
from pathlib import Path

from tests.cli.case import CliCase


class BundleTests(CliCase):
    """What is written where, and what is refused."""

    def phrase(self, text: str = "correct horse battery") -> Path:
        """Return a file with a passphrase."""
        path = self.directory / "phrase"
        path.write_text(text + "\n")
        path.chmod(0o600)
        return path

    def test_stdout(self) -> None:
        """Without --out the line, and nothing else, is on stdout."""
        self.node()
        done = self.run_program("bundle", "--dir", self.directory / "node", "--passphrase-file", self.phrase())
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout.count("\n"), 1)
        self.assertTrue(done.stdout.startswith("rustbalance-bundle-1:"))

    def test_out(self) -> None:
        """The file is private; the command for the other machine is told."""
        self.node()
        out = self.directory / "b.bundle"
        done = self.call("bundle", "--dir", self.directory / "node", "--out", out, "--passphrase-file", self.phrase())
        self.assertEqual(done.exit_code, 0, done.output)
        self.assertEqual(stat.S_IMODE(out.stat().st_mode), 0o600)
        self.assertIn("rustbalance join b.bundle", done.stdout)
        self.assertNotIn("rustbalance-bundle-1:", done.stdout)

    def test_refused(self) -> None:
        """A short passphrase, no node, a directory that is not there: one line each."""
        self.node()
        words = ("bundle", "--dir", self.directory / "node", "--passphrase-file")
        self.assert_refused(self.call(*words, self.phrase("short")), "at least 12")
        self.assert_refused(
            self.call("bundle", "--dir", self.directory / "gone", "--passphrase-file", self.phrase()), "init"
        )
        out = self.directory / "gone" / "b"
        self.assert_refused(self.call(*words, self.phrase(), "--out", out), "cannot be written")

    def test_never_on_argv(self) -> None:
        """There is no option for the passphrase itself, which every user of the machine could read."""
        self.assertNotIn("--passphrase ", self.call("bundle", "--help").output)
        self.assert_refused(self.call("bundle", "--dir", "x", "--passphrase", "correct horse battery"), "--passphrase")
