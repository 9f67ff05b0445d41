"""rustbalance check-config."""

from tests.cli.case import CliCase
from tests.config.case import ONION


class CheckConfigTests(CliCase):
    """All complaints and the right exit status."""

    def test_fine(self) -> None:
        """Nothing to complain about."""
        result = self.call("check-config", self.node().config)
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        self.assertIn("no complaints", result.stdout)

    def test_complaints(self) -> None:
        """Each on a line of its own on stderr, status 2."""
        made = self.node()
        made.config.write_text(
            made.config.read_text()
            .replace("#local_port = 8080", "local_prt = 1\n#")
            .replace("#max_connections = 2048", "max_connections = 0")
        )
        result = self.call("check-config", made.config)
        self.assertEqual((result.exit_code, result.stdout), (2, ""))
        self.assertIn("local_prt: is an unknown key; did you mean local_port?", result.stderr)
        self.assertIn("target.max_connections = 0: must be a whole number from 1 to 65535", result.stderr)

    def test_key(self) -> None:
        """The key is opened: another address than its own, and a file that is no key, are found here."""
        made = self.node()
        text = made.config.read_text()
        made.config.write_text(text.replace('#onion_address = ""', f'onion_address = "{ONION}"', 1))
        result = self.call("check-config", made.config)
        self.assertEqual(result.exit_code, 2)
        self.assertIn("master.onion_address: is not the address of the key", result.stderr)
        made.config.write_text(text)
        made.key.write_bytes(b"x" * 96)
        result = self.call("check-config", made.config)
        self.assertEqual(result.exit_code, 2)
        self.assertIn("master.identity_key_path", result.stderr)

    def test_not_there(self) -> None:
        """No file is bad input."""
        self.assert_refused(self.call("check-config", self.directory / "gone"), "gone")
