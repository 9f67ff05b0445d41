"""The schema as a list."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.config.outline import every_entry, known_names, secret_names, sections

#: The names of the outside contract that people and their scripts rely on.
CONTRACT = """\
state_dir local_port listen control_socket shutdown_deadline_secs
node.id node.priority node.key node.key_file node.clock_skew_tolerance_secs node.hidden_service_dir
node.standby_hidden_service_dir
master.onion_address master.identity_key_path
target.onion_address target.address target.port target.use_tls target.tls_verify target.host_header
target.connect_timeout_secs target.idle_timeout_secs target.max_connections
tor.mode tor.binary tor.torrc_include tor.control_host tor.control_port tor.control_socket tor.socks_port
tor.control_password tor.control_password_file tor.standby_control_port tor.standby_control_socket
tor.standby_socks_port tor.standby_mode tor.scout tor.restart_command tor.num_introduction_points
publish.refresh_interval_secs publish.takeover_grace_secs publish.max_intro_points publish.min_directories
publish.verify_mode publish.verify_interval_secs publish.verify_delay_secs publish.client_auth_dir
health.http_probe_enabled health.http_probe_path health.http_probe_interval_secs health.http_probe_timeout_secs
health.probe_failure_threshold health.probe_expected_status health.descriptor_max_age_secs
coordination.mode coordination.listen coordination.peers coordination.heartbeat_interval_secs
coordination.heartbeat_timeout_secs coordination.lease_duration_secs coordination.backoff_jitter_secs
coordination.cluster_token coordination.cluster_token_file coordination.previous_cluster_token
coordination.previous_cluster_token_file coordination.previous_cluster_token_expires coordination.token_grace_secs
coordination.join_secret coordination.join_secret_file
wireguard.interface wireguard.listen_port wireguard.tunnel_ip wireguard.private_key wireguard.private_key_file
wireguard.external_endpoint wireguard.peers wireguard.userspace wireguard.network
canary.enabled canary.path canary.interval_secs canary.failure_threshold canary.token canary.token_file
canary.startup_delay_secs canary.timeout_secs
metrics.enabled metrics.listen_addr metrics.port console.enabled console.authorized_keys
security.require_mlock logging.format logging.level
"""


class OutlineTests(SynchronousTestCase):
    """Nothing is lost between the structs and the list."""

    def test_contract(self) -> None:
        """Every name of the contract is known."""
        self.assertEqual(set(CONTRACT.split()) - set(known_names()), set())

    def test_secrets(self) -> None:
        """The secrets are these; each may be given by a file as well."""
        self.assertEqual(
            set(secret_names()),
            {
                "node.key",
                "tor.control_password",
                "coordination.cluster_token",
                "coordination.previous_cluster_token",
                "coordination.join_secret",
                "wireguard.private_key",
                "canary.token",
            },
        )
        for name in secret_names():
            self.assertIn(f"{name}_file", known_names())

    def test_order(self) -> None:
        """Keys above the first table come first, as TOML needs."""
        self.assertEqual(next(iter(sections())), "")
        self.assertEqual(next(every_entry()).dotted, "state_dir")

    def test_required(self) -> None:
        """A configuration must say this much."""
        self.assertEqual(
            {entry.dotted for entry in every_entry() if entry.required}, {"node.id", "master.identity_key_path"}
        )
