"""Where the configuration is looked for."""

import os

from tests.cli.case import CliCase


class ConfigOptionTests(CliCase):
    """--config, the environment, the default."""

    def test_environment(self) -> None:
        """RUSTBALANCE_CONFIG names the file when the option does not."""
        made = self.node()
        done = self.run_program("show-onion", RUSTBALANCE_CONFIG=str(made.config))
        self.assertEqual(done.stdout, f"{made.address.text}\n")
        other = self.run_program("show-onion", "--config", made.config, RUSTBALANCE_CONFIG="/gone")
        self.assertEqual(other.stdout, f"{made.address.text}\n")

    def test_not_there(self) -> None:
        """A missing file is named, with the way to name another."""
        os.environ.pop("RUSTBALANCE_CONFIG", None)
        for command in ("status", "show-onion", "run"):
            self.assert_refused(
                self.call(command, "--config", self.directory / "gone"), "gone", "--config FILE", "init"
            )

    def test_all_complaints(self) -> None:
        """A bad configuration is told complaint by complaint."""
        made = self.node()
        made.config.write_text(made.config.read_text().replace("[node]", "[nod]").replace('"master.key"', "7"))
        result = self.call("run", "--config", made.config)
        self.assertEqual(result.exit_code, 2)
        lines = result.stderr.splitlines()
        self.assertIn("3 complaints", lines[0])
        self.assertEqual(len(lines), 4)
