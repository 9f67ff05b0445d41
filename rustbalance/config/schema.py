"""
Every key of the configuration: its name, type, default, rule and the sentence that explains it.

Owns: the shape of ``config.toml``. In: nothing; out: ``Config`` with a section each, frozen once it is read.
The loader, the reference page and the file that ``init`` writes are all made from what stands here.
"""

from pathlib import Path
from typing import Annotated, Literal

from rustbalance.config import cluster_keys, keys
from rustbalance.config.addresses import Address, HostPort, UnixPath
from rustbalance.config.keys import found_out, later
from rustbalance.config.section import Section
from rustbalance.config.tls_check import TlsCheck
from rustbalance.config.tor_section import Tor
from rustbalance.onion.address import OnionAddress
from rustbalance.secrets import Secret

__all__ = [
    "Canary",
    "Config",
    "Console",
    "Coordination",
    "Health",
    "Logging",
    "Master",
    "Metrics",
    "Node",
    "Publish",
    "Section",
    "Security",
    "Target",
    "Tor",
    "Wireguard",
]


class Node(Section, frozen=True, kw_only=True):
    """Who this machine is among the nodes that serve the address."""

    id: Annotated[
        str, keys.matching("Name of this node.", "must be 1 to 64 characters of a-z, 0-9 and -", r"[a-z0-9-]{1,64}")
    ]
    priority: Annotated[int, keys.whole("Who publishes: the lower number wins, ties go by id.", 0, 65535)] = 100
    key: Annotated[
        Secret | None,
        found_out(
            cluster_keys.key_of_32("What tells this node from all others."), "made in `<state_dir>` at the first start"
        ),
    ] = None
    clock_skew_tolerance_secs: Annotated[float, keys.seconds("How far the clocks of two nodes may differ.", 0, 60)] = 5
    hidden_service_dir: Annotated[
        Path,
        found_out(
            keys.path("External Tor: the service's directory, below its DataDirectory (rustbalance place-key)."),
            "`<state_dir>/hidden_service`",
        ),
    ] = Path()
    standby_hidden_service_dir: Annotated[
        Path,
        found_out(keys.path("The same for the standby."), "`<state_dir>/hidden_service_standby`"),
    ] = Path()


class Master(Section, frozen=True, kw_only=True):
    """The address that all nodes serve, and its key."""

    identity_key_path: Annotated[
        Path, keys.path("The identity key: a 32-byte seed, a 64-byte expanded key, or Tor's 96-byte file; mode 0600.")
    ]
    onion_address: Annotated[
        OnionAddress | None,
        found_out(keys.onion("The address, if it is to be compared with the key."), "derived from the key"),
    ] = None


class Target(Section, frozen=True, kw_only=True):
    """The site behind the address: exactly one of onion_address and address."""

    onion_address: Annotated[OnionAddress | None, keys.onion("An onion service, reached through Tor.")] = None
    address: Annotated[Address | None, keys.address("A TCP address or a Unix socket.")] = None
    port: Annotated[int, keys.port("The port of the onion service.")] = 80
    use_tls: Annotated[bool, keys.switch("Speak TLS with the target.")] = False
    tls_verify: Annotated[
        TlsCheck,
        found_out(keys.tls_check("What the target's certificate must be."), '`"system"`; `"off"` for an onion service'),
    ] = TlsCheck("system")
    host_header: Annotated[
        Literal["target", "preserve"],
        keys.choice(
            "The Host that the target sees: its own name, or what the visitor asked for.", "target", "preserve"
        ),
    ] = "target"
    connect_timeout_secs: Annotated[float, keys.seconds("Longest wait for a connection to the target.", 1, 600)] = 30
    idle_timeout_secs: Annotated[
        float, keys.seconds("Longest silence in a request or an answer; its total time is not limited.", 1, 86400)
    ] = 300
    max_connections: Annotated[int, keys.whole("Connections to the target at once; past it a 503.", 1, 65535)] = 2048


class Publish(Section, frozen=True, kw_only=True):
    """When the descriptors are uploaded, and what is enough."""

    refresh_interval_secs: Annotated[
        float, keys.seconds("Upload again after this time even if nothing changed.", 1, 5400)
    ] = 600
    takeover_grace_secs: Annotated[
        float, later(keys.seconds("How long a new publisher waits for the old one.", 0, 300))
    ] = 2
    max_intro_points: Annotated[
        int, keys.whole("Introduction points in a descriptor; with 8 it looks like any other's.", 1, 20)
    ] = 20
    min_directories: Annotated[
        int, keys.whole("Directories (of usually 8) that must confirm before a descriptor counts as published.", 1, 8)
    ] = 4
    verify_mode: Annotated[
        Literal["fetch", "upload", "off"],
        keys.choice(
            "Whether directories are asked for what they hold, or taken at their word.", "fetch", "upload", "off"
        ),
    ] = "fetch"
    verify_interval_secs: Annotated[float, keys.seconds("Time between two checks.", 10, 86400)] = 300
    verify_delay_secs: Annotated[float, keys.seconds("Time from a publish to its first check.", 1, 3600)] = 60
    client_auth_dir: Annotated[
        Path | None, later(keys.path("Restricted discovery: the directory of Tor's *.auth files."))
    ] = None


class Health(Section, frozen=True, kw_only=True):
    """Probes of the target, and how old a descriptor may grow."""

    http_probe_enabled: Annotated[
        bool, keys.switch("Ask the target for a page now and then; while it is down visitors get a 503 at once.")
    ] = True
    http_probe_path: Annotated[
        str, keys.matching("The page asked for.", "must start with / and have no #", r"/[!-\"$-~]{0,1000}")
    ] = "/"
    http_probe_interval_secs: Annotated[
        float, keys.seconds("Time between two probes; after a failure it is shorter.", 1, 86400)
    ] = 60
    http_probe_timeout_secs: Annotated[
        float,
        keys.seconds(
            "Longest wait for the answer, and for the connection (which through Tor has target.connect_timeout_secs).",
            1,
            600,
        ),
    ] = 5
    probe_failure_threshold: Annotated[
        int, keys.whole("Failed probes in a row, with no visitor served in between, that mean down.", 1, 100)
    ] = 3
    probe_expected_status: Annotated[str, keys.statuses("The statuses that pass.")] = "200-399"
    descriptor_max_age_secs: Annotated[
        float,
        found_out(
            keys.seconds("Publish at once when a descriptor is older.", 60, 10800),
            "`900`, or half as much again as publish.refresh_interval_secs if that is more",
        ),
    ] = 900


class Coordination(Section, frozen=True, kw_only=True):
    """How the nodes of a cluster talk with each other."""

    mode: Annotated[
        Literal["tor", "wireguard", "direct"], keys.choice("What carries the messages.", "tor", "wireguard", "direct")
    ] = "tor"
    listen: Annotated[str, cluster_keys.listening("Direct: where to listen.")] = "127.0.0.1:0"
    peers: Annotated[tuple[str, ...], cluster_keys.local_addresses("Direct: other nodes to begin with.")] = ()
    heartbeat_interval_secs: Annotated[float, keys.seconds("Time between two heartbeats.", 0.1, 60)] = 2
    heartbeat_timeout_secs: Annotated[float, keys.seconds("Silence after which a node is gone.", 1, 600)] = 8
    lease_duration_secs: Annotated[float, keys.seconds("How long a publisher's lease lasts.", 1, 600)] = 8
    backoff_jitter_secs: Annotated[float, keys.seconds("Random part of waiting times.", 0, 60)] = 1
    cluster_token: Annotated[
        Secret | None, cluster_keys.unguessable("What all nodes share; none: this node stays alone.")
    ] = None
    previous_cluster_token: Annotated[
        Secret | None, cluster_keys.unguessable("The token before, still heard for a while.")
    ] = None
    previous_cluster_token_expires: Annotated[
        float | None, cluster_keys.date("Until when the token before is heard.")
    ] = None
    token_grace_secs: Annotated[float, keys.seconds("How long both tokens are heard after a change.", 1, 86400)] = 60
    join_secret: Annotated[Secret | None, cluster_keys.path_secret("Lets new nodes ask to join; none: none can.")] = (
        None
    )


class Wireguard(Section, frozen=True, kw_only=True):
    """The WireGuard tunnel between the nodes."""

    interface: Annotated[
        str, keys.matching("Name of the interface.", "must be 1 to 15 of A-Z a-z 0-9 _ . -", r"[A-Za-z0-9_.-]{1,15}")
    ] = "wg-rb"
    listen_port: Annotated[int, keys.port("UDP port.")] = 51820
    network: Annotated[str, cluster_keys.network("All addresses inside the tunnel; the same on every node.")] = (
        "10.200.200.0/24"
    )
    tunnel_ip: Annotated[
        str | None, found_out(cluster_keys.ip("Our address inside the tunnel."), "given to us when we join")
    ] = None
    private_key: Annotated[Secret | None, cluster_keys.key_of_32("Our key.")] = None
    external_endpoint: Annotated[HostPort | None, cluster_keys.host_port("Where others reach us, if they can.")] = None
    peers: Annotated[
        tuple[cluster_keys.WireguardPeer, ...], cluster_keys.wireguard_peers("Other nodes to begin with.")
    ] = ()
    userspace: Annotated[str | None, keys.program("The program to use when the kernel has no WireGuard.")] = None


class Canary(Section, frozen=True, kw_only=True):
    """Visits to our own address, and the page that answers them."""

    enabled: Annotated[
        bool, keys.switch("Answer at `path` ourselves, on every node, and visit that page through Tor now and then.")
    ] = False
    path: Annotated[
        str,
        keys.matching(
            "The path that answers; other spellings of it do not reach the target either.",
            "must be like /a/b, of A-Z a-z 0-9 - . _ ~ between slashes, without dot segments, and not lie under /.rb",
            r"(?=.{2,1000}\Z)(?!/\.[rR][bB](?:/|\Z))(?:/(?!\.\.?(?:/|\Z))[A-Za-z0-9._~-]+)+",
        ),
    ] = "/__rustbalance/health"
    interval_secs: Annotated[float, keys.seconds("Time between two visits.", 1, 86400)] = 120
    failure_threshold: Annotated[int, keys.whole("Failed visits in a row that matter.", 1, 100)] = 3
    token: Annotated[
        Secret | None,
        cluster_keys.bearer(
            "Who sends it as `Authorization: Bearer TOKEN` gets the details, anybody else a 404. None: everybody is "
            "told that it works, nobody more."
        ),
    ] = None
    startup_delay_secs: Annotated[float, keys.seconds("Time before the first visit.", 0, 86400)] = 300
    timeout_secs: Annotated[float, keys.seconds("Longest wait for an answer.", 1, 600)] = 30


class Metrics(Section, frozen=True, kw_only=True):
    """Figures for Prometheus."""

    enabled: Annotated[bool, later(keys.switch("Serve figures."))] = False
    listen_addr: Annotated[str, later(keys.host("Where to listen."))] = "127.0.0.1"
    port: Annotated[int, later(keys.port("The port."))] = 9100


class Console(Section, frozen=True, kw_only=True):
    """A Python prompt inside the daemon, over SSH."""

    enabled: Annotated[bool, later(keys.switch("Open the console."))] = False
    listen: Annotated[Address | None, later(keys.address("Where to listen: unix:PATH or a loopback address."))] = None
    authorized_keys: Annotated[Path | None, later(keys.file("The SSH public keys that may enter."))] = None


class Security(Section, frozen=True, kw_only=True):
    """How strict to be about memory."""

    require_mlock: Annotated[bool, keys.switch("Refuse to start when the memory of secrets cannot be locked.")] = False


class Logging(Section, frozen=True, kw_only=True):
    """What the log looks like."""

    format: Annotated[
        Literal["text", "json"] | None,
        found_out(keys.choice("How lines look.", "text", "json"), '`"text"` on a terminal, else `"json"`'),
    ] = None
    level: Annotated[
        Literal["debug", "info", "warn", "error", "critical"],
        keys.choice("The least important lines shown.", "debug", "info", "warn", "error", "critical"),
    ] = "info"


class Config(Section, frozen=True, kw_only=True):
    """The whole file, with what was found out filled in (``control_socket``, ``node.hidden_service_dir``, …)."""

    state_dir: Annotated[Path, keys.path("What must survive a restart, and managed Tor's data; mode 0700.")] = Path(
        "/var/lib/rustbalance"
    )
    local_port: Annotated[
        int, keys.whole("Where visitors arrive from Tor, on 127.0.0.1; 0 picks a port.", 0, 65535)
    ] = 8080
    listen: Annotated[UnixPath | None, keys.unix_address("Where Tor brings visitors, in place of local_port.")] = None
    control_socket: Annotated[
        Path,
        found_out(keys.unix_socket("Where the daemon answers our commands; mode 0600."), "`<state_dir>/control.sock`"),
    ] = Path()
    shutdown_deadline_secs: Annotated[float, keys.seconds("Longest time that stopping may take.", 1, 300)] = 10
    node: Node
    master: Master
    target: Target
    tor: Tor = Tor()
    publish: Publish = Publish()
    health: Health = Health()
    coordination: Coordination = Coordination()
    wireguard: Wireguard = Wireguard()
    canary: Canary = Canary()
    metrics: Metrics = Metrics()
    console: Console = Console()
    security: Security = Security()
    logging: Logging = Logging()
