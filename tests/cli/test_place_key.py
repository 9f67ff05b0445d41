"""rustbalance place-key."""

from pathlib import Path

from tests.cli.case import CliCase

EXTERNAL = """\
mode = "external"
standby_control_port = 9061
standby_socks_port = 9060
"""


class PlaceKeyTests(CliCase):
    """A line for each Tor that serves visitors, and nothing done twice."""

    def external(self, tor: str = EXTERNAL) -> Path:
        """Make a node for running Tors, whose directories lie side by side."""
        config = self.node().config
        self.first, self.second = self.directory / "default", self.directory / "standby"
        for place in (self.first, self.second):
            place.mkdir(mode=0o700)
        text = config.read_text().replace("\n[tor]", "\n[tor]\n" + tor, 1)
        names = f'hidden_service_dir = "{self.first}/service"\nstandby_hidden_service_dir = "{self.second}/service"\n'
        config.write_text(text.replace("\n[node]", "\n[node]\n" + names, 1))
        return config

    def test_both(self) -> None:
        """Each is told by its name, its place and its user; the second time there is nothing to do."""
        config = self.external()
        lines = self.call("place-key", "--config", config).stdout.splitlines()
        self.assertEqual([line.split(",")[0] for line in lines], [
            f"primary: {self.first}/service has been given the key",
            f"standby: {self.second}/service has been given the key",
        ])  # fmt: skip
        self.assertTrue(all(line.endswith(f"for the user {self.first.owner()}") for line in lines))
        again = self.call("place-key", "--config", config)
        self.assertEqual((again.exit_code, again.stdout.count("has the key already")), (0, 2))
        for place in (self.first, self.second):
            self.assertIn("MasterOnionAddress", (place / "service" / "ob_config").read_text())

    def test_standby_that_serves_nobody(self) -> None:
        """A standby for streams alone is not given the key."""
        config = self.external('mode = "external"\nstandby_socks_port = 9060\n')
        self.assertEqual(self.call("place-key", "--config", config).stdout.count("\n"), 1)
        self.assertEqual(list(self.second.iterdir()), [])

    def test_managed(self) -> None:
        """A node with Tors of its own has nothing to place, which is no error."""
        result = self.call("place-key", "--config", self.node().config)
        self.assertEqual((result.exit_code, result.stdout.count("\n")), (0, 1))
        self.assertIn("nothing to do", result.stdout)

    def test_refused(self) -> None:
        """What cannot be placed ends with one line and status 2."""
        config = self.external()
        (self.first / "service").mkdir(mode=0o700)
        (self.first / "service" / "passwd").touch()
        self.assert_refused(self.call("place-key", "--config", config), "passwd", f"{self.first}/service")
