"""rustbalance show-onion."""

from tests.cli.case import CliCase


class ShowOnionTests(CliCase):
    """The address and nothing else, for scripts."""

    def test_address(self) -> None:
        """From the configuration or from the key itself."""
        made = self.node()
        for words in (("--config", made.config), ("--key", made.key)):
            result = self.call("show-onion", *words)
            self.assertEqual((result.exit_code, result.stdout), (0, f"{made.address.text}\n"))

    def test_bad_keys(self) -> None:
        """Missing, of another size, and open to others."""
        bad = self.directory / "bad"
        self.assert_refused(self.call("show-onion", "--key", bad), "bad")
        bad.write_bytes(b"x" * 33)
        bad.chmod(0o600)
        self.assert_refused(self.call("show-onion", "--key", bad), "33")
        bad.write_bytes(b"x" * 32)
        bad.chmod(0o644)
        self.assert_refused(self.call("show-onion", "--key", bad), "0600")

    def test_whatever_else_is_wrong(self) -> None:
        """A configuration with other mistakes still has an address."""
        made = self.node()
        made.config.write_text(made.config.read_text() + "\n[odd]\nx = 1\n")
        self.assertEqual(self.call("show-onion", "--config", made.config).stdout, f"{made.address.text}\n")
