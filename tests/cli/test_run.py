"""rustbalance run; that the daemon serves is for the live tests."""

import re
import sys

from twisted.scripts import twistd

from tests.cli.case import CliCase


class RunTests(CliCase):
    """Before twistd takes over."""

    def test_bad_configuration(self) -> None:
        """Nothing starts: the complaints, status 2, no state directory."""
        made = self.node()
        made.config.write_text(re.sub(r"(?m)^id = .*$", 'id = "A"', made.config.read_text()))
        done = self.run_program("run", "--config", made.config)
        self.assertEqual(done.returncode, 2)
        self.assertIn('node.id = "A"', done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        self.assertFalse((self.directory / "node" / "state").exists())

    def test_hands_over_to_twistd(self) -> None:
        """Its arguments name the configuration by its absolute path; it stays in the foreground, without a pid file."""
        made = self.node()
        seen: list[list[str]] = []
        self.patch(sys, "argv", ["rustbalance"])
        self.patch(twistd, "run", lambda: seen.append(list(sys.argv)))
        self.assertEqual(self.call("run", "--config", made.config).exit_code, 0)
        self.assertEqual(seen, [["twistd", "--nodaemon", "--pidfile=", "rustbalance", "--config", str(made.config)]])
