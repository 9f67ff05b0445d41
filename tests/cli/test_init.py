"""rustbalance init, as people call it."""

from rustbalance.cli.new_node import create_node
from rustbalance.config import load_config
from tests.cli.case import CliCase


class InitTests(CliCase):
    """What is told, and what is refused."""

    def test_tells_what_comes_next(self) -> None:
        """The address and a command that can be pasted are on stdout; nothing is asked."""
        done = self.run_program("init", "--dir", self.directory / "node", "--target", "127.0.0.1:8000")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        config = self.directory / "node" / "config.toml"
        address = self.run_program("show-onion", "--config", config).stdout.strip()
        self.assertIn(address, done.stdout)
        self.assertIn(f"rustbalance run --config {config}", done.stdout)
        self.assertEqual(self.run_program("check-config", config).returncode, 0)
        load_config(config)

    def test_refuses_to_overwrite(self) -> None:
        """A second time it says what is in the way; with --force it goes on and tells where the old key is."""
        words = ("init", "--dir", self.directory / "node", "--target", "127.0.0.1:8000")
        self.assertEqual(self.call(*words).exit_code, 0)
        self.assert_refused(self.call(*words), "master.key", "--force")
        forced = self.call(*words, "--force")
        self.assertEqual(forced.exit_code, 0, forced.output)
        self.assertIn("master.key.old-1", forced.stdout)

    def test_later_carriers(self) -> None:
        """What belongs to a later version is refused rather than ignored."""
        words = ("init", "--dir", self.directory / "node", "--target", "127.0.0.1:8000")
        self.assert_refused(self.call(*words, "--carrier", "wireguard"), "not available in this version")
        self.assert_refused(self.call(*words, "--endpoint", "10.0.0.1:1"), "not available in this version")
        self.assertFalse((self.directory / "node").exists())

    def test_what_the_machine_lacks(self) -> None:
        """When tor is not installed the node is made all the same, and it is said what to do before the start."""
        done = self.run_program("init", "--dir", self.directory / "node", "--target", "127.0.0.1:8000", PATH="/gone")
        self.assertEqual(done.returncode, 0)
        self.assertIn("install tor", done.stderr)

    def test_relative_directory(self) -> None:
        """The command for the next step works from everywhere."""
        made = create_node(self.directory / "x" / ".." / "node", "h:1")
        self.assertTrue(made.config.is_absolute())
        self.assertNotIn("..", str(made.config))
