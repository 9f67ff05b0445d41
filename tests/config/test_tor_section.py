"""Which Tors a configuration asks for when it says little."""

from tests.config.case import ConfigCase, document

EXTERNAL = {"tor__mode": '"external"', "tor__binary": None}
TOKEN = {"coordination__cluster_token": '"0123456789abcdef0123456789abcdef"'}


class TorSectionTests(ConfigCase):
    """L{rustbalance.config.tor_section.Tor}."""

    def found(self, **changes: str | None) -> tuple[str, bool]:
        """Return whether there is a standby, and a scout."""
        tor = self.load(document(**changes)).tor
        return tor.standby_mode, tor.scout

    def test_managed(self) -> None:
        """A node that runs its own Tors has two that serve, and a scout."""
        self.assertEqual(self.found(), ("service", True))
        self.assertEqual(self.found(tor__standby_mode='"socks"', tor__scout="false"), ("socks", False))

    def test_external(self) -> None:
        """With running ones it has what the ports say."""
        self.assertEqual(self.found(**EXTERNAL), ("off", False))
        self.assertEqual(self.found(**EXTERNAL, tor__standby_socks_port="9060"), ("socks", False))
        both = {"tor__standby_socks_port": "9060", "tor__standby_control_socket": '"/run/c"'}
        self.assertEqual(self.found(**EXTERNAL, **both), ("service", False))

    def test_scout_of_the_mesh(self) -> None:
        """Messages over Tor need the scout, whoever runs the other Tors."""
        self.assertEqual(self.found(**EXTERNAL, **TOKEN), ("off", True))
