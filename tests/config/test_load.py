"""A file becomes a configuration, or every complaint about it."""

import os
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.config import Config, ConfigError, HostPort, UnixPath, check_master_address, find_places, load_config
from rustbalance.config.outline import every_entry, known_names
from rustbalance.config.writing import as_toml
from rustbalance.onion.address import OnionAddress
from tests.config.case import FINE, ONION, OTHER_ONION, ConfigCase, document, spelled

#: A change to a configuration that is fine, and the key and a part of the complaint that it must bring about.
#: Each key that this version has is here with its rule; so is each rule between keys.
STRONG = "0123456789abcdef0123456789abcdef"
KEY32 = "A" * 43 + "="
DIRECT: dict[str, str | None] = {"coordination__mode": '"direct"'}
TOKEN: dict[str, str | None] = {"coordination__cluster_token": f'"{STRONG}"'}
EXPIRES: dict[str, str | None] = {"coordination__previous_cluster_token_expires": '"2027-01-31T12:00:00Z"'}
WIREGUARD: dict[str, str | None] = {
    "coordination__mode": '"wireguard"',
    "wireguard__private_key": f'"{KEY32}"',
}
PEER = f'{{id = "b", tunnel_ip = "10.200.200.2", public_key = "{KEY32}"}}'
EXTERNAL = {"tor__mode": '"external"', "tor__binary": None}
STANDBY = {"tor__standby_socks_port": "9060"}

BAD: tuple[tuple[dict[str, str | None], str, str], ...] = (
    ({"state_dir": "1"}, "state_dir", "must be a path"),
    ({"state_dir": '""'}, "state_dir", "not empty"),
    ({"state_dir": '"a\\u0000b"'}, "state_dir", "no control characters"),
    ({"state_dir": f'"/tmp/{"x" * 100}"'}, "state_dir", "must be at most 75 bytes"),
    (
        {"state_dir": f'"/tmp/{"x" * 100}"', "tor__mode": '"external"', "tor__binary": None},
        "state_dir",
        "its control.sock would need",
    ),
    ({"state_dir": '"master.key"'}, "state_dir", "must be a directory"),
    ({"local_port": "-1"}, "local_port", "from 0 to 65535"),
    ({"local_port": "65536"}, "local_port", "from 0 to 65535"),
    ({"local_port": "true"}, "local_port", "must be a whole number"),
    ({"local_port": "80.0"}, "local_port", "must be a whole number"),
    ({"local_port": '"80"'}, "local_port", "must be a whole number"),
    ({"listen": '"front.sock"'}, "listen", "must have the form unix:PATH"),
    ({"listen": '"127.0.0.1:80"'}, "listen", "must have the form unix:PATH"),
    ({"listen": f'"unix:/{"x" * 107}"'}, "listen", "at most 107 bytes (it has 108)"),
    ({"listen": '"unix:a"', "local_port": "80"}, "listen", "not be given together with local_port"),
    ({"control_socket": f'"/{"x" * 107}"'}, "control_socket", "at most 107 bytes"),
    ({"control_socket": '"unix:x"', "listen": '"unix:unix:x"'}, "listen", "same socket as control_socket"),
    ({"shutdown_deadline_secs": "0"}, "shutdown_deadline_secs", "from 1 to 300"),
    ({"shutdown_deadline_secs": "nan"}, "shutdown_deadline_secs", "must be a number of seconds"),
    ({"shutdown_deadline_secs": "inf"}, "shutdown_deadline_secs", "must be a number of seconds"),
    ({"shutdown_deadline_secs": "true"}, "shutdown_deadline_secs", "must be a number of seconds"),
    ({"node__id": None}, "node.id", "is missing"),
    ({"node__id": '""'}, "node.id", "1 to 64 characters"),
    ({"node__id": '"Alpha"'}, "node.id", "a-z, 0-9 and -"),
    ({"node__id": f'"{"a" * 65}"'}, "node.id", "1 to 64 characters"),
    ({"node__id": '"alpha\\n"'}, "node.id", "a-z, 0-9 and -"),
    ({"node__hidden_service_dir": '"hs"'}, "node.hidden_service_dir", 'only with tor.mode = "external"'),
    ({"master__identity_key_path": None}, "master.identity_key_path", "is missing"),
    ({"master__identity_key_path": '"gone.key"'}, "master.identity_key_path", "No such file"),
    ({"master__identity_key_path": '"."'}, "master.identity_key_path", "must name a regular file"),
    ({"master__identity_key_path": '"open.key"'}, "master.identity_key_path", "mode 0600, not 0640"),
    ({"master__identity_key_path": '"long.key"'}, "master.identity_key_path", "32, 64 or 96 bytes; this file has 33"),
    ({"master__onion_address": f'"{ONION[:-7]}e.onion"'}, "master.onion_address", "version 3"),
    ({"master__onion_address": f'"a{ONION[1:]}"'}, "master.onion_address", "checksum"),
    ({"master__onion_address": '"example.com"'}, "master.onion_address", "56 characters"),
    ({"target__address": None}, "target", "exactly one of onion_address and address; it has neither"),
    ({"target__onion_address": f'"{ONION}"'}, "target", "exactly one of onion_address and address, not both"),
    ({"target__address": None, "target__onion_address": '"x.onion"'}, "target.onion_address", "56 characters"),
    ({"target__address": None, "target__onion_address": "7"}, "target.onion_address", "must be a v3 onion address"),
    (
        {"target__address": None, "target__onion_address": f'"{ONION}"', "master__onion_address": f'"{ONION}"'},
        "target.onion_address",
        "in circles",
    ),
    ({"target__address": '"localhost"'}, "target.address", "HOST:PORT"),
    ({"target__address": '"localhost:0"'}, "target.address", "port from 1 to 65535"),
    ({"target__address": '"localhost:65536"'}, "target.address", "port from 1 to 65535"),
    ({"target__address": '"local host:80"'}, "target.address", "must name a host"),
    ({"target__address": '"::1:80"'}, "target.address", "must name a host"),
    ({"target__address": '"[::g]:80"'}, "target.address", "IPv6"),
    ({"target__address": f'"unix:/{"x" * 107}"'}, "target.address", "at most 107 bytes"),
    ({"target__address": f'"{ONION}:80"'}, "target.address", "goes to target.onion_address"),
    ({"target__address": '"127.0.0.1:8080"'}, "target.address", "our own local_port 8080"),
    ({"target__address": '"unix:s"', "listen": '"unix:s"'}, "target.address", "same socket as listen"),
    ({"target__port": "80"}, "target.port", "belongs to onion_address"),
    ({"target__address": None, "target__onion_address": f'"{ONION}"', "target__port": "0"}, "target.port", "from 1"),
    ({"target__use_tls": "1"}, "target.use_tls", "must be true or false"),
    ({"target__tls_verify": '"system"'}, "target.tls_verify", "only with target.use_tls = true"),
    ({"target__use_tls": "true", "target__tls_verify": '"sha256:00"'}, "target.tls_verify", "64 hexadecimal"),
    ({"target__use_tls": "true", "target__tls_verify": '"gone.pem"'}, "target.tls_verify", "a PEM file that exists"),
    ({"target__host_header": '"other"'}, "target.host_header", 'must be one of "target", "preserve"'),
    ({"target__host_header": "[]"}, "target.host_header", "must be one of"),
    ({"target__connect_timeout_secs": "0"}, "target.connect_timeout_secs", "from 1 to 600"),
    ({"target__idle_timeout_secs": "86401"}, "target.idle_timeout_secs", "from 1 to 86400"),
    ({"target__max_connections": "0"}, "target.max_connections", "from 1 to 65535"),
    ({"tor__mode": '"other"'}, "tor.mode", 'must be one of "managed", "external"'),
    ({"tor__binary": '"/gone/tor"'}, "tor.binary", "install tor"),
    ({"tor__binary": '""'}, "tor.binary", "name or the path of a program"),
    ({"tor__mode": '"external"'}, "tor.binary", 'only with tor.mode = "managed"'),
    ({"tor__torrc_include": '"gone"'}, "tor.torrc_include", "must name a file that exists"),
    (
        {"tor__mode": '"external"', "tor__binary": None, "tor__torrc_include": '"master.key"'},
        "tor.torrc_include",
        'only with tor.mode = "managed"',
    ),
    ({"tor__control_host": '"127.0.0.1"'}, "tor.control_host", 'only with tor.mode = "external"'),
    ({"tor__mode": '"external"', "tor__binary": None, "tor__control_host": '"a b"'}, "tor.control_host", "name a host"),
    ({"tor__control_port": "9051"}, "tor.control_port", 'only with tor.mode = "external"'),
    ({"tor__mode": '"external"', "tor__binary": None, "tor__control_port": "0"}, "tor.control_port", "from 1"),
    ({"tor__control_socket": '"c"'}, "tor.control_socket", 'only with tor.mode = "external"'),
    (
        {"tor__mode": '"external"', "tor__binary": None, "tor__control_socket": '"c"', "tor__control_port": "9051"},
        "tor.control_socket",
        "together with tor.control_port",
    ),
    (
        {"tor__mode": '"external"', "tor__binary": None, "tor__control_socket": '"state/control.sock"'},
        "tor.control_socket",
        "same socket as control_socket",
    ),
    ({"tor__socks_port": "9050"}, "tor.socks_port", 'only with tor.mode = "external"'),
    ({"tor__mode": '"external"', "tor__binary": None, "tor__socks_port": "9051"}, "tor.socks_port", "tor.control_port"),
    ({"tor__standby_mode": '"maybe"'}, "tor.standby_mode", 'one of "off", "service", "socks"'),
    ({"tor__standby_control_port": "9061"}, "tor.standby_control_port", 'only with tor.mode = "external"'),
    ({**EXTERNAL, **STANDBY, "tor__standby_control_port": "0"}, "tor.standby_control_port", "from 1"),
    ({"tor__standby_control_socket": '"c"'}, "tor.standby_control_socket", 'only with tor.mode = "external"'),
    (
        {**EXTERNAL, **STANDBY, "tor__standby_control_socket": '"c"', "tor__standby_control_port": "9061"},
        "tor.standby_control_socket",
        "together with tor.standby_control_port",
    ),
    ({"tor__standby_socks_port": "9060"}, "tor.standby_socks_port", 'only with tor.mode = "external"'),
    ({**EXTERNAL, "tor__standby_control_port": "9061"}, "tor.standby_socks_port", "must be given for a standby"),
    ({**EXTERNAL, "tor__standby_socks_port": "9050"}, "tor.standby_socks_port", "the same as tor.socks_port"),
    ({**EXTERNAL, **STANDBY, "tor__standby_mode": '"service"'}, "tor.standby_control_port", "must be given with"),
    ({**EXTERNAL, **STANDBY, "tor__standby_mode": '"off"'}, "tor.standby_socks_port", "leave it out"),
    ({"tor__scout": '"no"'}, "tor.scout", "true or false"),
    ({**TOKEN, "tor__scout": "false"}, "tor.scout", 'must be true with coordination.mode = "tor"'),
    ({"tor__restart_command": '["x"]'}, "tor.restart_command", 'only with tor.mode = "external"'),
    ({**EXTERNAL, "tor__restart_command": '"x"'}, "tor.restart_command", "an array of strings"),
    (
        {"node__standby_hidden_service_dir": '"x"'},
        "node.standby_hidden_service_dir",
        'only with tor.mode = "external"',
    ),
    ({"tor__control_password": '"x y z"'}, "tor.control_password", 'only with tor.mode = "external"'),
    ({"tor__num_introduction_points": "2"}, "tor.num_introduction_points", "from 3 to 20"),
    ({"tor__num_introduction_points": "21"}, "tor.num_introduction_points", "from 3 to 20"),
    ({"publish__refresh_interval_secs": "0"}, "publish.refresh_interval_secs", "from 1 to 5400"),
    ({"publish__max_intro_points": "21"}, "publish.max_intro_points", "from 1 to 20"),
    ({"publish__min_directories": "9"}, "publish.min_directories", "from 1 to 8"),
    ({"publish__verify_mode": '"sometimes"'}, "publish.verify_mode", 'one of "fetch", "upload", "off"'),
    ({"publish__verify_interval_secs": "9"}, "publish.verify_interval_secs", "from 10 to 86400"),
    ({"publish__verify_delay_secs": "0"}, "publish.verify_delay_secs", "from 1 to 3600"),
    ({"health__descriptor_max_age_secs": "59"}, "health.descriptor_max_age_secs", "from 60 to 10800"),
    ({"health__descriptor_max_age_secs": "600"}, "health.descriptor_max_age_secs", "refresh_interval_secs (600)"),
    ({"node__priority": "-1"}, "node.priority", "from 0 to 65535"),
    ({"node__clock_skew_tolerance_secs": "61"}, "node.clock_skew_tolerance_secs", "from 0 to 60"),
    ({"node__key": '"short"'}, "node.key", "must be 32 bytes in base64"),
    ({"coordination__mode": '"udp"'}, "coordination.mode", 'one of "tor", "wireguard", "direct"'),
    ({"coordination__listen": '"127.0.0.1:0"'}, "coordination.listen", 'only with coordination.mode = "direct"'),
    ({**DIRECT, "coordination__listen": '"8.8.8.8:1"'}, "coordination.listen", "on loopback or in a private network"),
    ({**DIRECT, "coordination__listen": '"host:1"'}, "coordination.listen", "must have the form IP:PORT"),
    ({"coordination__peers": '["10.0.0.1:1"]', **TOKEN}, "coordination.peers", "only with coordination.mode"),
    ({**DIRECT, **TOKEN, "coordination__peers": '["10.0.0.1:0"]'}, "coordination.peers", "an array of IP:PORT"),
    ({**DIRECT, "coordination__peers": '["10.0.0.1:1"]'}, "coordination.cluster_token", "coordination.peers is"),
    ({"coordination__heartbeat_interval_secs": "0"}, "coordination.heartbeat_interval_secs", "from 0.1 to 60"),
    ({"coordination__heartbeat_timeout_secs": "0.5"}, "coordination.heartbeat_timeout_secs", "from 1 to 600"),
    ({"coordination__heartbeat_timeout_secs": "3"}, "coordination.heartbeat_timeout_secs", "at least twice"),
    ({"coordination__lease_duration_secs": "601"}, "coordination.lease_duration_secs", "from 1 to 600"),
    ({"coordination__lease_duration_secs": "3.9"}, "coordination.lease_duration_secs", "at least twice"),
    ({"coordination__backoff_jitter_secs": "-1"}, "coordination.backoff_jitter_secs", "from 0 to 60"),
    ({"coordination__token_grace_secs": "0"}, "coordination.token_grace_secs", "from 1 to 86400"),
    ({"coordination__cluster_token": '"only a few words"'}, "coordination.cluster_token", "can be guessed"),
    ({"coordination__cluster_token": '""'}, "coordination.cluster_token", "must be written as"),
    ({"coordination__cluster_token": f'"{"ab" * 40}"'}, "coordination.cluster_token", "can be guessed"),
    (
        {**TOKEN, **EXPIRES, "coordination__previous_cluster_token": '"too short"'},
        "coordination.previous_cluster_token",
        "can be guessed",
    ),
    (
        {**TOKEN, "coordination__previous_cluster_token": f'"{STRONG[::-1]}"'},
        "coordination.previous_cluster_token_expires",
        "must be given together",
    ),
    ({**TOKEN, **EXPIRES}, "coordination.previous_cluster_token_expires", "only with coordination.previous"),
    (
        {"coordination__previous_cluster_token": f'"{STRONG}"', **EXPIRES},
        "coordination.cluster_token",
        "must be given when coordination.previous_cluster_token is",
    ),
    ({"health__http_probe_enabled": "1"}, "health.http_probe_enabled", "must be true or false"),
    ({"health__http_probe_path": '"health"'}, "health.http_probe_path", "must start with /"),
    ({"health__http_probe_path": '"/health#top"'}, "health.http_probe_path", "and have no #"),
    ({"health__http_probe_interval_secs": "0"}, "health.http_probe_interval_secs", "from 1 to 86400"),
    ({"health__http_probe_timeout_secs": "0"}, "health.http_probe_timeout_secs", "from 1 to 600"),
    ({"health__probe_failure_threshold": "0"}, "health.probe_failure_threshold", "from 1 to 100"),
    ({"health__probe_expected_status": '"399-200"'}, "health.probe_expected_status", "the lower one first"),
    ({"health__probe_expected_status": '"99"'}, "health.probe_expected_status", "like 200-399"),
    ({"canary__enabled": "1"}, "canary.enabled", "must be true or false"),
    ({"canary__path": '"health"'}, "canary.path", "must be like /a/b"),
    ({"canary__path": '"/"'}, "canary.path", "must be like /a/b"),
    ({"canary__path": '"/a/"'}, "canary.path", "must be like /a/b"),
    ({"canary__path": '"/a//b"'}, "canary.path", "must be like /a/b"),
    ({"canary__path": '"/a/../b"'}, "canary.path", "without dot segments"),
    ({"canary__path": '"/a/."'}, "canary.path", "without dot segments"),
    ({"canary__path": '"/a%62"'}, "canary.path", "must be like /a/b"),
    ({"canary__path": '"/a?b"'}, "canary.path", "must be like /a/b"),
    ({"canary__path": '"/a\\n"'}, "canary.path", "must be like /a/b"),
    ({"canary__path": '"/.rb/health"'}, "canary.path", "not lie under /.rb"),
    ({"canary__path": '"/.RB"'}, "canary.path", "not lie under /.rb"),
    ({"canary__interval_secs": "0"}, "canary.interval_secs", "from 1 to 86400"),
    ({"canary__failure_threshold": "0"}, "canary.failure_threshold", "from 1 to 100"),
    ({"canary__startup_delay_secs": "-1"}, "canary.startup_delay_secs", "from 0 to 86400"),
    ({"canary__timeout_secs": "0.5"}, "canary.timeout_secs", "from 1 to 600"),
    ({"canary__token": '"fifteen-letters"'}, "canary.token", "16 characters or more"),
    ({"canary__token": '"a token with spaces in it"'}, "canary.token", "of letters, digits and"),
    ({**TOKEN, "coordination__join_secret": '"short"'}, "coordination.join_secret", "can be guessed"),
    ({**TOKEN, "coordination__join_secret": f'"{STRONG}/"'}, "coordination.join_secret", "as it stands in a path"),
    ({"coordination__join_secret": f'"{STRONG}"'}, "coordination.cluster_token", "coordination.join_secret is"),
    ({"coordination__mode": '"wireguard"'}, "wireguard.private_key", "must be given with coordination.mode"),
    ({**WIREGUARD, "wireguard__private_key": '"short"'}, "wireguard.private_key", "must be 32 bytes in base64"),
    ({**WIREGUARD, "wireguard__interface": '"a b"'}, "wireguard.interface", "1 to 15"),
    ({**WIREGUARD, "wireguard__listen_port": "0"}, "wireguard.listen_port", "from 1 to 65535"),
    ({"wireguard__listen_port": "51820"}, "wireguard.listen_port", 'only with coordination.mode = "wireguard"'),
    ({**WIREGUARD, "wireguard__network": '"10.0.0.1/24"'}, "wireguard.network", "must be a network"),
    ({**WIREGUARD, "wireguard__network": '"10.0.0.0/31"'}, "wireguard.network", "room for two"),
    ({**WIREGUARD, "wireguard__tunnel_ip": '"10.200.201.1"'}, "wireguard.tunnel_ip", "must be in wireguard.network"),
    ({**WIREGUARD, "wireguard__tunnel_ip": '"10.200.200.1/24"'}, "wireguard.tunnel_ip", "must be an IP address"),
    ({**WIREGUARD, "wireguard__external_endpoint": '"unix:x"'}, "wireguard.external_endpoint", "HOST:PORT"),
    ({**WIREGUARD, "wireguard__userspace": '""'}, "wireguard.userspace", "name or the path of a program"),
    ({**WIREGUARD, "wireguard__peers": '[{id = "b"}]'}, "wireguard.peers", "must be tables with id"),
    ({**WIREGUARD, "wireguard__peers": f"[{PEER}]"}, "coordination.cluster_token", "wireguard.peers is"),
    ({**WIREGUARD, **TOKEN, "wireguard__peers": f"[{PEER}, {PEER}]"}, "wireguard.peers", "that nobody else has"),
    (
        {**WIREGUARD, **TOKEN, "wireguard__peers": f"[{PEER}]", "wireguard__tunnel_ip": '"10.200.200.2"'},
        "wireguard.peers",
        "this node included",
    ),
    (
        {**WIREGUARD, **TOKEN, "wireguard__peers": f"[{PEER.replace('.200.2', '.201.2')}]"},
        "wireguard.peers",
        "have their tunnel_ip in",
    ),
    ({"security__require_mlock": '"yes"'}, "security.require_mlock", "must be true or false"),
    ({"logging__format": '"xml"'}, "logging.format", 'must be one of "text", "json"'),
    ({"logging__level": '"loud"'}, "logging.level", "must be one of"),
    ({"lcal_port": "80"}, "lcal_port", "is an unknown key; did you mean local_port?"),
    ({"tor__controlport": "80"}, "tor.controlport", "is an unknown key; did you mean tor.control_port?"),
    ({"node__identity_key": '"x"'}, "node.identity_key", "did you mean master.identity_key_path?"),
    ({"nodes__id": '"x"'}, "nodes", "is an unknown table; did you mean node?"),
    ({"node": "7", "node__id": None}, "node", "must be a table, written [node]"),
)


class LoadTests(ConfigCase):
    """What is accepted, what is not, and what is said about it."""

    def setUp(self) -> None:
        """Add the files that rows of the table name."""
        super().setUp()
        self.write("open.key", bytes(32), 0o640)
        self.write("long.key", bytes(33))

    def test_defaults(self) -> None:
        """The shortest configuration gets every default, the derived ones included."""
        config = self.load(document())
        self.assertEqual(config.state_dir, self.directory / "state")
        self.assertEqual(config.control_socket, self.directory / "state" / "control.sock")
        self.assertEqual(config.node.hidden_service_dir, self.directory / "state" / "hidden_service")
        self.assertEqual(config.target.address, HostPort("127.0.0.1", 8000))
        self.assertEqual(config.target.tls_verify.form, "system")
        self.assertEqual((config.local_port, config.listen), (8080, None))
        self.assertEqual((config.tor.mode, config.tor.control_password), ("managed", None))
        self.assertEqual(config.publish.refresh_interval_secs, 600)
        publish = config.publish
        self.assertEqual((publish.verify_mode, publish.verify_interval_secs), ("fetch", 300))
        self.assertEqual((publish.verify_delay_secs, config.health.descriptor_max_age_secs), (60, 900))
        self.assertEqual((config.logging.format, config.logging.level), (None, "info"))

    def test_values(self) -> None:
        """What the file says is what one gets, paths made absolute."""
        config = self.load(
            document(
                listen='"unix:front.sock"',
                control_socket='"/run/rb/c.sock"',
                target__address=None,
                target__onion_address=f'"{ONION}"',
                target__port="8443",
                target__use_tls="true",
                shutdown_deadline_secs="2.5",
                publish__min_directories="8",
            )
        )
        self.assertEqual(config.listen, UnixPath(self.directory / "front.sock"))
        self.assertEqual(config.control_socket, Path("/run/rb/c.sock"))
        self.assertEqual(config.target.onion_address, OnionAddress.parse(ONION))
        self.assertEqual((config.target.port, config.target.tls_verify.form), (8443, "off"))
        self.assertEqual((config.shutdown_deadline_secs, config.publish.min_directories), (2.5, 8))

    def test_age_follows_the_refresh(self) -> None:
        """Who refreshes seldom need not say that descriptors may get older than usual."""
        config = self.load(document(publish__refresh_interval_secs="2000"))
        self.assertEqual(config.health.descriptor_max_age_secs, 3_000)

    def test_each_rule(self) -> None:
        """Each row of the table brings about its complaint, and no other."""
        for changes, key, part in BAD:
            complaint = self.only_complaint(document(**changes))
            self.assertEqual(complaint.key, key, changes)
            self.assertIn(part, str(complaint), changes)

    def test_each_key_has_a_row(self) -> None:
        """No key of this version goes without a test of its rule."""
        named = {key for _, key, _ in BAD}
        keys = {entry.dotted for entry in every_entry() if not entry.key.later}
        self.assertEqual(keys - named, set())

    def test_later_features(self) -> None:
        """A key of a later version is refused whatever it says, except its default, which is silently accepted."""
        for entry in every_entry():
            if not entry.key.later:
                continue
            if entry.key.secret:
                complaint = self.only_complaint(
                    document(**{entry.dotted.replace(".", "__"): '"0123456789abcdef0123456789"'})
                )
                self.assertNotIn("0123456789", str(complaint))
            else:
                for odd in ('"anything"', "17", "true", '["x"]', "[{id = 1}]"):
                    if odd != as_toml(entry.default):
                        complaint = self.only_complaint(document(**{entry.dotted.replace(".", "__"): odd}))
            self.assertEqual(complaint.key, entry.dotted)
            self.assertIn("not available in this version", complaint.rule)
            if entry.default is not None:
                self.load(document(**{entry.dotted.replace(".", "__"): as_toml(entry.default)}))

    def test_all_complaints_at_once(self) -> None:
        """Three mistakes in three places are told in one go, each with its value."""
        found = self.complaints(document(local_port="70000", node__id='"A"', logging__level='"loud"'))
        self.assertEqual([complaint.key for complaint in found], ["local_port", "node.id", "logging.level"])
        self.assertEqual([complaint.value for complaint in found], ["70000", '"A"', '"loud"'])

    def test_every_target_form(self) -> None:
        """The address forms of the contract are understood."""
        for text, address in (
            ("localhost:80", HostPort("localhost", 80)),
            ("[::1]:80", HostPort("::1", 80)),
            ("unix:/run/app.sock", UnixPath(Path("/run/app.sock"))),
            ("unix:app.sock", UnixPath(self.directory / "app.sock")),
        ):
            self.assertEqual(self.load(document(target__address=f'"{text}"')).target.address, address)

    def test_unreadable_files(self) -> None:
        """A file that is missing, no TOML, no text or of another kind is one complaint that names it."""
        for text in (b"a = [", b"\xff\xfe", b"a = " + b"[" * 5000 + b"]" * 5000, b"a = " + b"9" * 6000, b'a = "\xe4"'):
            path = self.write("config.toml", text)
            self.assertEqual(self.only_complaint(text).key, str(path))
        for path in (self.directory / "gone.toml", self.directory):
            with self.assertRaises(ConfigError):
                load_config(path)

    def test_encrypted_files(self) -> None:
        """They belong to a later version, and that is what is said."""
        with self.assertRaises(ConfigError) as caught:
            load_config(self.write("config.toml.enc", b"x"))
        self.assertIn("not available in this version", str(caught.exception))

    def test_state_directory_open_to_others(self) -> None:
        """What must stay private is found to be open before the start."""
        (self.directory / "state").mkdir(mode=0o755)
        (self.directory / "state").chmod(0o755)
        self.assertIn("mode 0700, not 0755", self.only_complaint(document()).rule)

    def test_canary_paths(self) -> None:
        """Paths that are no others in disguise."""
        for path in ("/a", "/.rbx/y", "/x/.rb", "/...", "/.hidden/~a_b-c.d"):
            self.assertEqual(self.load(document(canary__path=f'"{path}"')).canary.path, path)

    def test_external(self) -> None:
        """An external Tor takes its own keys and needs no program."""
        config = self.load(
            document(
                tor__mode='"external"', tor__binary=None, tor__control_port="9151", node__hidden_service_dir='"hs"'
            )
        )
        self.assertEqual((config.tor.control_port, config.tor.socks_port), (9151, 9050))
        self.assertEqual(config.node.hidden_service_dir, self.directory / "hs")

    def test_addresses_are_never_told_whole(self) -> None:
        """A wrong onion address is shown by its ends only: complaints end up in logs."""
        complaint = self.only_complaint(document(target__address=None, target__onion_address=f'"a{ONION[1:]}"'))
        self.assertNotIn(ONION[8:40], str(complaint))
        self.assertNotIn("2gzyxa5", repr(self.load(document(target__address=None, target__onion_address=f'"{ONION}"'))))


class PlacesTests(ConfigCase):
    """Commands that only look for the daemon do not mind what else is wrong."""

    def test_found_in_a_bad_file(self) -> None:
        """The places are told although three other keys are bad."""
        text = document(node__id='"A"', target__address=None, foo="1", tor__control_password='"secret words"')
        places = find_places(self.write("config.toml", text))
        self.assertEqual(places.control_socket, self.directory / "state" / "control.sock")
        self.assertEqual(places.identity_key_path, self.directory / "master.key")

    def test_not_found(self) -> None:
        """When the places themselves are bad, the complaints are about them."""
        for changes, key in (({"state_dir": "1"}, "state_dir"), ({"control_socket": "1"}, "control_socket")):
            with self.assertRaises(ConfigError) as caught:
                find_places(self.write("config.toml", document(node__id="1", **changes)))
            self.assertEqual([complaint.key for complaint in caught.exception.complaints], [key])


class MasterAddressTests(ConfigCase):
    """The address in the file and the key's own."""

    def test_matches(self) -> None:
        """The right address, and none at all, are fine."""
        for value in (None, f'"{ONION}"'):
            check_master_address(self.load(document(master__onion_address=value)), OnionAddress.parse(ONION))

    def test_another_address(self) -> None:
        """An address of another key is refused."""
        config = self.load(document(master__onion_address=f'"{OTHER_ONION}"'))
        with self.assertRaises(ConfigError) as caught:
            check_master_address(config, OnionAddress.parse(ONION))
        self.assertEqual(caught.exception.complaints[0].key, "master.onion_address")

    def test_target_is_ourselves(self) -> None:
        """A target that is the master address would send visitors round in circles."""
        config = self.load(document(target__address=None, target__onion_address=f'"{ONION}"'))
        with self.assertRaises(ConfigError) as caught:
            check_master_address(config, OnionAddress.parse(ONION))
        self.assertEqual(caught.exception.complaints[0].key, "target.onion_address")


VALUES = st.one_of(
    st.booleans().map(as_toml),
    st.integers().map(str),
    st.floats().map(lambda number: repr(number)),
    st.text(max_size=200).map(lambda text: as_toml(text.encode("utf-8", "ignore").decode())),
    st.sampled_from(
        ['""', "[]", "{}", "[[]]", "1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", "0x1F", "{a = {b = 1}}"]
    ),
)
NAMES = st.one_of(
    st.sampled_from(known_names()),
    st.from_regex(r"[a-z_]{1,12}(\.[a-z_\-0-9]{1,20})?", fullmatch=True),
)


class AnyConfigTests(SynchronousTestCase):
    """Whatever the file says: a configuration, or ConfigError and nothing else."""

    @settings(deadline=None, max_examples=150)
    @given(st.dictionaries(NAMES, VALUES, max_size=8))
    def test_keys_and_values(self, values: dict[str, str]) -> None:
        """Any key with any value of any type."""
        self.load_any(spelled({**FINE, **values}).encode())

    @settings(deadline=None, max_examples=150)
    @given(
        st.one_of(st.binary(max_size=300), st.text(alphabet="[]{}.=,\"'\\\n #abtor_1", max_size=200).map(str.encode))
    )
    def test_bytes(self, text: bytes) -> None:
        """Any bytes at all."""
        self.load_any(text)

    def load_any(self, text: bytes) -> None:
        """Read the text from a file; complaints must be readable on one line each."""
        with tempfile.TemporaryDirectory(dir="/tmp") as directory:
            path = Path(directory, "config.toml")
            path.touch(0o600)
            path.write_bytes(text)
            try:
                self.assertIsInstance(load_config(path, {}), Config)
            except ConfigError as error:
                self.assertTrue(error.complaints)
                for complaint in error.complaints:
                    self.assertTrue(str(complaint).isprintable(), repr(str(complaint)))


class SecretsInComplaintsTests(ConfigCase):
    """A secret is not told by any complaint, wherever it was put by mistake."""

    def test_wherever_it_stands(self) -> None:
        """In its place, misspelt, in another form, in another section, beside other mistakes, in no TOML at all."""
        secret = "hunter2-" + os.urandom(8).hex()
        for text in (
            document(tor__control_password=f'"{secret}"'),
            document(tor__control_pasword=f'"{secret}"'),
            document(tor__control_password=f"'{secret}'"),
            document(tor__control_password=f'"""{secret}"""'),
            document(tor__control_password=f'["{secret}"]'),
            document(tor__control_password=f'{{x = "{secret}"}}'),
            document(tor__control_password=f'"{secret}\\n"'),
            document(tor__control_password_file=f'"{secret}"', tor__mode='"external"', tor__binary=None),
            document(tor__control_password_file=f'["{secret}"]', tor__mode='"external"', tor__binary=None),
            document(node__control_password=f'"{secret}"'),
            document(control_password=f'"{secret}"'),
            document(coordination__cluster_token=f'"{secret}"', node__id='"A"'),
            document() + f'control_password = "{secret}\n',
            document() + f"control_password = {secret}\n",
            document() + f'[canary]\ntoken = "{secret}"\ntoken = "{secret}"\n',
            f'tor = {{control_password = "{secret}"}}\n' + document(tor__binary=None),
            f'tor.control_password = "{secret}"\n' + document(tor__binary=None),
            f'"tor"."control_password" = "{secret}"\n' + document(tor__binary=None),
        ):
            for complaint in self.complaints(text):
                self.assertNotIn(secret, str(complaint), text)
                self.assertNotIn(secret, repr(complaint), text)
