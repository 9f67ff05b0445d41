"""Tests for L{rustbalance.wiring}: every key that an operator sets reaches the part that it is for."""

import shutil
import tempfile
from base64 import b64encode
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.settings import ClusterSettings
from rustbalance.config import Config, load_config
from rustbalance.coordination.carriers import Direct, OverTor, Wireguard
from rustbalance.coordination.settings import Seed
from rustbalance.health.canary import CanarySettings
from rustbalance.health.canary_visit import Route
from rustbalance.health.making import LookoutSettings
from rustbalance.key_files import create_master_key
from rustbalance.mesh.wg_config import Endpoint
from rustbalance.provisioning.new_node import create_node
from rustbalance.proxy.settings import OnionTarget, TcpTarget, TlsSettings, UnixTarget
from rustbalance.proxy.socks import SocksAddress
from rustbalance.publishing.settings import VerifySettings
from rustbalance.tor.pairing import Side
from rustbalance.wiring import (
    coordination_settings,
    external_settings,
    join_settings,
    lookout_settings,
    managed_settings,
    mesh,
    place_of,
    proxy_settings,
    publish_settings,
    scout_settings,
    socks_address,
    standby_entrance,
    verify_settings,
)

TOKEN = 'cluster_token = "0123456789abcdef0123456789abcdef"'
ONION = "25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkenl5sid.onion"
CANARY = ("[canary]", "[canary]\nenabled = true\n")


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

    def test_canary(self) -> None:
        """It is off until somebody wants it; then each of its keys arrives."""
        self.assertIsNone(lookout_settings(self.config("h:1"), ONION))
        settings = lookout_settings(self.config("h:1", "", CANARY), ONION)
        route = Route(ONION, "/__rustbalance/health", 30)
        self.assertEqual(settings, LookoutSettings(CanarySettings(route, 120, 3, 300), None))
        more = 'interval_secs = 7\nfailure_threshold = 4\nstartup_delay_secs = 5\ntimeout_secs = 6\npath = "/x"\n'
        token = 'token = "0123456789abcdef"\n'
        settings = lookout_settings(self.config("h:1", "", (CANARY[0], CANARY[1] + more + token)), ONION)
        assert settings is not None
        self.assertEqual(settings.visits, CanarySettings(Route(ONION, "/x", 6), 7, 4, 5))
        self.assertEqual(settings.token, b"0123456789abcdef")

    def test_entrance_of_the_standby(self) -> None:
        """A managed Tor finds a socket in the state directory, another one gets a port."""
        config = self.config("h:1")
        self.assertEqual(standby_entrance(config), config.state_dir / "front-standby.sock")
        self.assertEqual(standby_entrance(self.config("h:1", "", ("[tor]", '[tor]\nmode = "external"\n'))), 0)

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
        settings = managed_settings(config, Side.PRIMARY, forward_to)
        self.assertEqual(settings.directory, self.directory / "n" / "state" / "tor" / "primary")
        self.assertEqual(settings.introduction_points, 5)
        external = external_settings(config, Side.PRIMARY, forward_to)
        self.assertEqual((external.control, external.socks), (("127.0.0.1", 9051), ("127.0.0.1", 9050)))
        self.assertEqual(external.hidden_service_dir, config.node.hidden_service_dir)

    def test_standby(self) -> None:
        """The standby has a directory of its own; an external one is Debian's tor@standby, the first tor@default."""
        config = self.config("h:1")
        self.assertEqual(managed_settings(config, Side.STANDBY, forward_to).directory.name, "standby")
        text = """
mode = "external"
standby_control_socket = "/run/tor-instances/standby/control"
standby_socks_port = 9060
restart_command = ["systemctl", "restart", "tor@{instance}"]
"""
        config = self.config("h:1", replace=("[tor]", f"[tor]{text}"))
        standby = external_settings(config, Side.STANDBY, forward_to)
        self.assertEqual(standby.control, Path("/run/tor-instances/standby/control"))
        self.assertEqual(standby.socks, ("127.0.0.1", 9060))
        self.assertEqual(standby.hidden_service_dir, config.node.standby_hidden_service_dir)
        self.assertEqual(standby.restart_command, ("systemctl", "restart", "tor@standby"))
        first = external_settings(config, Side.PRIMARY, forward_to)
        self.assertEqual(first.restart_command, ("systemctl", "restart", "tor@default"))

    def test_checks_of_what_was_published(self) -> None:
        """How, how often and how soon directories are asked."""
        change = ("[publish]", '[publish]\nverify_mode = "upload"\nverify_interval_secs = 20\nverify_delay_secs = 7')
        config = self.config("h:1", replace=change)
        self.assertEqual(verify_settings(config), VerifySettings(mode="upload", interval=20, delay=7))
        self.assertEqual(verify_settings(self.config("h:1")), VerifySettings())

    def test_publishing(self) -> None:
        """What counts as published, how often, and how many points."""
        change = ("[publish]", "[publish]\nmin_directories = 6\nrefresh_interval_secs = 60\nmax_intro_points = 8")
        settings = publish_settings(self.config("h:1", replace=change))
        self.assertEqual(settings.min_directories, 6)
        self.assertEqual(settings.refresh_interval_secs, 60)
        self.assertEqual(settings.max_intro_points, 8)
        self.assertEqual(settings.expected_points, 6)
        self.assertEqual(settings.max_age_secs, 900)
        alone = self.config("h:1", replace=("[tor]", '[tor]\nstandby_mode = "socks"'))
        self.assertEqual(publish_settings(alone).expected_points, 3)

    def test_socks(self) -> None:
        """A managed Tor takes connections on a Unix socket, an external one on a port; the proxy knows both."""
        self.assertEqual(socks_address(Path("/s")), SocksAddress(path="/s"))
        self.assertEqual(socks_address(("127.0.0.1", 9050)), SocksAddress(host="127.0.0.1", port=9050))
        for place in (Path("/s"), ("127.0.0.1", 9050)):
            self.assertEqual(place_of(socks_address(place)), place)


class ClusterTests(SynchronousTestCase):
    """The keys that make a node a member."""

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)
        create_master_key(self.directory / "master.key").wipe()

    def config(self, **sections: str) -> Config:
        """Return the configuration of a node with these lines in these sections."""
        own = {"node": 'id = "beta"', "master": 'identity_key_path = "master.key"', "target": 'address = "h:1"'}
        names = sorted(own.keys() | sections.keys())
        text = "".join(f"[{name}]\n{own.get(name, '')}\n{sections.get(name, '')}\n" for name in names)
        path = self.directory / "config.toml"
        path.write_text(f'state_dir = "state"\n{text}')
        path.chmod(0o600)
        return load_config(path)

    def test_alone(self) -> None:
        """Without a token there is nobody to speak with, and the figures are the defaults of the cluster."""
        config = self.config()
        self.assertIsNone(mesh(config))
        settings = coordination_settings(config)
        self.assertEqual((settings.node, settings.directory), ("beta", self.directory / "state"))
        self.assertEqual((settings.cluster, settings.seeds), (ClusterSettings(), ()))

    def test_figures(self) -> None:
        """Every figure arrives where it belongs."""
        config = self.config(
            node="priority = 7\nclock_skew_tolerance_secs = 3",
            coordination="heartbeat_interval_secs = 1\nheartbeat_timeout_secs = 5\nlease_duration_secs = 6\n"
            f"backoff_jitter_secs = 0.5\n{TOKEN}",
        )
        settings = coordination_settings(config)
        self.assertEqual((settings.priority, settings.skew), (7, 3))
        figures = settings.cluster
        found = (figures.heartbeat_interval, figures.heartbeat_timeout, figures.lease_duration, figures.backoff_jitter)
        self.assertEqual(found, (1, 5, 6, 0.5))

    def test_tokens(self) -> None:
        """The token before is heard until its time."""
        before = 'previous_cluster_token = "fedcba9876543210fedcba9876543210"'
        until = 'previous_cluster_token_expires = "2027-01-31T12:00:00Z"'
        wanted = mesh(self.config(coordination=f"{TOKEN}\n{before}\n{until}"))
        assert wanted is not None
        self.assertEqual(wanted.tokens.until, 1801396800)
        self.assertEqual(wanted.tokens.current, b"0123456789abcdef0123456789abcdef")
        self.assertEqual(wanted.tokens.previous, b"fedcba9876543210fedcba9876543210")

    def test_over_tor(self) -> None:
        """By default messages go over Tor, through the scout."""
        wanted = mesh(self.config(coordination=TOKEN))
        assert wanted is not None
        assert isinstance(wanted.carrier, OverTor)
        state = self.directory / "state"
        self.assertEqual(wanted.carrier.directory, state / "mesh")
        scout = scout_settings(self.config(coordination=TOKEN))
        assert scout is not None
        self.assertEqual(scout.directory, state / "tor/scout")

    def test_no_scout(self) -> None:
        """It can be left out where messages take another way."""
        config = self.config(tor="scout = false", coordination='mode = "direct"')
        self.assertIsNone(scout_settings(config))

    def test_direct(self) -> None:
        """The peers named by hand are seeds."""
        config = self.config(coordination=f'{TOKEN}\nmode = "direct"\nlisten = "127.0.0.1:7"\npeers = ["10.0.0.3:8"]')
        wanted = mesh(config)
        assert wanted is not None
        self.assertEqual(wanted.carrier, Direct("127.0.0.1:7"))
        self.assertEqual(coordination_settings(config).seeds, (Seed("@10.0.0.3:8", ("direct:10.0.0.3:8",)),))

    def test_wireguard(self) -> None:
        """The tunnel is as configured, its peers are known by name."""
        key = b64encode(b"w" * 32).decode()
        config = self.config(
            coordination=f'{TOKEN}\nmode = "wireguard"',
            wireguard=f'private_key = "{key}"\ntunnel_ip = "10.200.200.2"\nexternal_endpoint = "example.com:51820"\n'
            f'peers = [{{id = "alpha", tunnel_ip = "10.200.200.1", public_key = "{key}", endpoint = "h:1"}}]',
        )
        wanted = mesh(config)
        assert wanted is not None
        tunnel = wanted.carrier
        assert isinstance(tunnel, Wireguard)
        self.assertEqual((tunnel.tunnel_ip, tunnel.external_endpoint), ("10.200.200.2", Endpoint("example.com", 51820)))
        self.assertEqual(str(tunnel.seeds["alpha"]), f"{key}@h:1/10.200.200.1")
        self.assertEqual((tunnel.private_key, str(tunnel.network)), (key.encode(), "10.200.200.0/24"))
        self.assertEqual(coordination_settings(config).seeds, (Seed("alpha"),))

    def test_joining(self) -> None:
        """Without a join secret nobody joins; inside a tunnel an address is wanted unless there is one."""
        self.assertIsNone(join_settings(self.config(coordination=TOKEN), ONION))
        joined = 'join_secret = "abcdef0123456789abcdef0123456789"'
        settings = join_settings(self.config(coordination=f"{TOKEN}\n{joined}"), ONION)
        assert settings is not None
        self.assertEqual((settings.node, settings.host, settings.directory), ("beta", ONION, self.directory / "state"))
        self.assertEqual((settings.network, settings.tunnel), (None, False))
        key = b64encode(b"w" * 32).decode()
        for own, wanted in (("", True), ('tunnel_ip = "10.200.200.2"', False)):
            config = self.config(
                coordination=f'{TOKEN}\n{joined}\nmode = "wireguard"', wireguard=f'private_key = "{key}"\n{own}'
            )
            settings = join_settings(config, ONION)
            assert settings is not None
            self.assertEqual((str(settings.network), settings.tunnel), ("10.200.200.0/24", wanted))
            with_address = mesh(config, "10.200.200.9")
            assert with_address is not None
            assert isinstance(with_address.carrier, Wireguard)
            self.assertEqual(with_address.carrier.tunnel_ip, "10.200.200.9" if wanted else "10.200.200.2")

    def test_bundle(self) -> None:
        """A node tells which bundle it came with."""
        found = coordination_settings(self.config(), b"b" * 32, b"s" * 64)
        self.assertEqual((found.bundle, found.binding), (b"b" * 32, b"s" * 64))
