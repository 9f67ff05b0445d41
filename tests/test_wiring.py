"""Tests for L{rustbalance.wiring}: every key that an operator sets reaches the part that it is for."""

import shutil
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cli.new_node import create_node
from rustbalance.config import Config, load_config
from rustbalance.proxy.settings import OnionTarget, TcpTarget, TlsSettings, UnixTarget
from rustbalance.proxy.socks import SocksAddress
from rustbalance.wiring import (
    external_settings,
    managed_settings,
    proxy_settings,
    publish_settings,
    socks_address,
)

ONION = "25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkenl5sid.onion"


def forward_to() -> str:
    """Return where a front would listen."""
    return "unix:/run/front.sock"


class WiringTests(SynchronousTestCase):
    """Configurations as files, settings as values."""

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)

    def config(self, target: str, more: str = "", replace: tuple[str, str] = ("", "")) -> Config:
        """Return what init writes for C{target}, changed at the given place and with C{more} behind it."""
        made = create_node(self.directory / "n", target, force=True)
        made.config.write_text(made.config.read_text().replace(*replace) + more)
        return load_config(made.config)

    def test_targets(self) -> None:
        """Each of the three kinds of target arrives as what it is."""
        self.assertEqual(proxy_settings(self.config("example.com:8080")).target, TcpTarget("example.com", 8080))
        self.assertEqual(proxy_settings(self.config("unix:/run/site")).target, UnixTarget(Path("/run/site")))
        self.assertEqual(proxy_settings(self.config(f"{ONION}:81")).target, OnionTarget(ONION, 81))

    def test_front(self) -> None:
        """Visitors arrive where listen says, else at local_port."""
        config = self.config("h:1")
        self.assertEqual(proxy_settings(config).listen, self.directory / "n" / "state" / "front.sock")
        config = self.config("h:1", replace=('listen = "unix:state/front.sock"', "local_port = 8123"))
        self.assertEqual(proxy_settings(config).listen, 8123)

    def test_tls(self) -> None:
        """TLS is off unless asked for, and then as strict as configured."""
        self.assertIsNone(proxy_settings(self.config("h:1")).tls)
        self.assertEqual(proxy_settings(self.config("https://example.com")).tls, TlsSettings("system"))

    def test_timeouts(self) -> None:
        """The target's patience and the shutdown deadline reach the proxy; Tor keeps its share of the deadline."""
        config = self.config("h:1", replace=("[target]", "[target]\nconnect_timeout_secs = 7\nmax_connections = 5"))
        settings = proxy_settings(config)
        self.assertEqual((settings.connect_timeout, settings.max_connections), (7, 5))
        self.assertEqual(settings.drain_timeout, 5)

    def test_tor(self) -> None:
        """A managed instance lives below the state directory; an external one is reached where the ports say."""
        config = self.config("h:1", replace=("[tor]", "[tor]\nnum_introduction_points = 5"))
        settings = managed_settings(config, forward_to)
        self.assertEqual(settings.directory, self.directory / "n" / "state" / "tor" / "primary")
        self.assertEqual(settings.introduction_points, 5)
        external = external_settings(config, forward_to)
        self.assertEqual((external.control, external.socks), (("127.0.0.1", 9051), ("127.0.0.1", 9050)))
        self.assertEqual(external.hidden_service_dir, config.node.hidden_service_dir)

    def test_publishing(self) -> None:
        """What counts as published, how often, and how many points."""
        change = ("[publish]", "[publish]\nmin_directories = 6\nrefresh_interval_secs = 60\nmax_intro_points = 8")
        settings = publish_settings(self.config("h:1", replace=change))
        self.assertEqual(settings.min_directories, 6)
        self.assertEqual(settings.refresh_interval_secs, 60)
        self.assertEqual(settings.max_intro_points, 8)
        self.assertEqual(settings.expected_points, 3)

    def test_socks(self) -> None:
        """A managed Tor takes connections on a Unix socket, an external one on a port; the proxy knows both."""
        self.assertEqual(socks_address(Path("/s")), SocksAddress(path="/s"))
        self.assertEqual(socks_address(("127.0.0.1", 9050)), SocksAddress(host="127.0.0.1", port=9050))
