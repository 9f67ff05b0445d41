"""Rules that the keys of the section C{tor} keep together; the rows of test_load.py show each, here are their edges."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.config.test_crosschecks import checked

TARGET = {"address": "h:1"}


def with_tor(**tor: Any) -> list[str]:
    """Return the complaints about an external Tor with these keys."""
    return checked(target=TARGET, tor={"mode": "external", **tor})


class StandbyTests(SynchronousTestCase):
    """What a standby needs."""

    def test_fine(self) -> None:
        """None at all, one for streams, one that serves, the seed's own ports."""
        self.assertEqual(with_tor(), [])
        self.assertEqual(with_tor(standby_socks_port=9060), [])
        self.assertEqual(with_tor(standby_socks_port=9060, standby_control_port=9061), [])
        self.assertEqual(with_tor(standby_socks_port=9060, standby_control_socket="/run/c"), [])
        self.assertEqual(with_tor(standby_socks_port=9060, standby_control_port=9061, standby_mode="socks"), [])

    def test_control_alone(self) -> None:
        """A control port without a SOCKS port is one complaint, about the one that is missing."""
        [said] = with_tor(standby_control_port=9061)
        self.assertIn("tor.standby_socks_port", said)

    def test_mode_and_ports(self) -> None:
        """What the mode asks for must be there, and nothing when it is off."""
        self.assertIn("tor.standby_control_port", with_tor(standby_socks_port=9060, standby_mode="service")[0])
        self.assertIn("tor.standby_socks_port", with_tor(standby_mode="socks")[0])
        self.assertIn("leave it out", with_tor(standby_socks_port=9060, standby_mode="off")[0])

    def test_ports_differ(self) -> None:
        """No port is used twice, and a socket frees its port."""
        self.assertEqual(len(with_tor(standby_socks_port=9050)), 1)
        self.assertEqual(len(with_tor(standby_socks_port=9060, standby_control_port=9060)), 1)
        self.assertEqual(with_tor(control_socket="/run/c", socks_port=9051), [])


class ScoutTests(SynchronousTestCase):
    """Who may do without."""

    def test_alone(self) -> None:
        """A node without others, or with another carrier, needs none."""
        self.assertEqual(checked(target=TARGET, tor={"scout": False}), [])

    def test_keys_of_children(self) -> None:
        """The scout is a child of ours beside external Tors as well: it takes what is for children."""
        keys = {"binary": "tor", "torrc_include": "x"}
        self.assertEqual(with_tor(**keys, scout=True), [])
        said = with_tor(**keys)
        self.assertEqual(len(said), 2)
        for name, complaint in zip(("tor.binary", "tor.torrc_include"), said, strict=True):
            self.assertIn(name, complaint)
            self.assertIn("tor.scout = true", complaint)
