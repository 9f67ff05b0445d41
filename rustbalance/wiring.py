"""
From the configuration to the settings of each part.

Owns: which key of ``config.toml`` ends where. In: ``Config``; out: the settings of ``tor``, ``publishing``, ``proxy``,
``coordination``, ``joining``, ``health``.
Pure, so that no part of the daemon has to know the shape of the file.
"""

from base64 import b64decode
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path

from rustbalance.cluster.settings import ClusterSettings
from rustbalance.config import Config, HostPort
from rustbalance.coordination.carriers import Choice, Direct, OverTor, Wireguard
from rustbalance.coordination.making import Mesh, Tokens
from rustbalance.coordination.settings import CoordinationSettings, Seed
from rustbalance.health.canary import CanarySettings
from rustbalance.health.canary_visit import Route
from rustbalance.health.keeping import CareSettings
from rustbalance.health.making import LookoutSettings
from rustbalance.health.probing import ProbeSettings
from rustbalance.joining.making import JoinSettings
from rustbalance.mesh.wg_config import Endpoint, WgAddress
from rustbalance.proxy.settings import OnionTarget, ProxySettings, Target, TcpTarget, TlsSettings, UnixTarget
from rustbalance.proxy.socks import SocksAddress
from rustbalance.publishing.settings import PublishSettings, VerifySettings
from rustbalance.tor.external import ExternalSettings
from rustbalance.tor.knocking import Place
from rustbalance.tor.managed import ManagedSettings
from rustbalance.tor.pairing import Side

ForwardTo = Callable[[], str]

#: Seconds of the shutdown deadline that are Tor's; what comes before them is for visitors to finish.
TOR_SHARE = 5.0


def managed_settings(config: Config, side: Side, forward_to: ForwardTo) -> ManagedSettings:
    """Return the settings of a Tor that is a child of ours."""
    return ManagedSettings(
        directory=config.state_dir / "tor" / side.value,
        binary=config.tor.binary,
        torrc_include=config.tor.torrc_include,
        introduction_points=config.tor.num_introduction_points,
        forward_to=forward_to,
    )


def scout_settings(config: Config) -> ManagedSettings | None:
    """Return the settings of the Tor that serves nobody, None where there is to be none."""
    if not config.tor.scout:
        return None
    return ManagedSettings(
        directory=config.state_dir / "tor" / "scout",
        binary=config.tor.binary,
        torrc_include=config.tor.torrc_include,
    )


def external_settings(config: Config, side: Side, forward_to: ForwardTo) -> ExternalSettings:
    """Return the settings of a Tor that somebody else runs for us; Debian calls the first one ``default``."""
    tor, node = config.tor, config.node
    if side is Side.PRIMARY:
        socket, port, socks, directory = tor.control_socket, tor.control_port, tor.socks_port, node.hidden_service_dir
    else:
        socket, port = tor.standby_control_socket, tor.standby_control_port or 0
        socks, directory = tor.standby_socks_port or 0, node.standby_hidden_service_dir
    unit = "default" if side is Side.PRIMARY else side.value
    return ExternalSettings(
        control=socket or (tor.control_host, port),
        socks=(tor.control_host, socks),
        hidden_service_dir=directory,
        introduction_points=tor.num_introduction_points,
        forward_to=forward_to,
        restart_command=tuple(part.replace("{instance}", unit) for part in tor.restart_command),
    )


def socks_address(place: Place) -> SocksAddress:
    """Return where a Tor takes outgoing connections, in the proxy's form."""
    if isinstance(place, Path):
        return SocksAddress(path=str(place))
    return SocksAddress(host=place[0], port=place[1])


def place_of(address: SocksAddress) -> Place:
    """Return the same in Tor's form."""
    return (address.host, address.port) if address.path is None else Path(address.path)


def publish_settings(config: Config) -> PublishSettings:
    """Return how to publish."""
    return PublishSettings(
        refresh_interval_secs=config.publish.refresh_interval_secs,
        max_intro_points=config.publish.max_intro_points,
        min_directories=config.publish.min_directories,
        max_age_secs=config.health.descriptor_max_age_secs,
        expected_points=config.tor.num_introduction_points * (2 if config.tor.standby_mode == "service" else 1),
    )


def verify_settings(config: Config) -> VerifySettings:
    """Return how to check what was published."""
    publish = config.publish
    return VerifySettings(
        mode=publish.verify_mode, interval=publish.verify_interval_secs, delay=publish.verify_delay_secs
    )


def join_settings(config: Config, master_address: str) -> JoinSettings | None:
    """Return how others join through this node, and how it joins itself; None without a join secret."""
    coordination = config.coordination
    if coordination.join_secret is None:
        return None
    network = ip_network(config.wireguard.network) if coordination.mode == "wireguard" else None
    tunnel = network is not None and config.wireguard.tunnel_ip is None
    return JoinSettings(config.node.id, master_address, config.state_dir, coordination.join_secret, network, tunnel)


def lookout_settings(config: Config, master_address: str) -> LookoutSettings | None:
    """Return how the address is visited, and the page that answers; None where that is off."""
    canary = config.canary
    if not canary.enabled:
        return None
    route = Route(master_address, canary.path, canary.timeout_secs)
    visits = CanarySettings(route, canary.interval_secs, canary.failure_threshold, canary.startup_delay_secs)
    return LookoutSettings(visits, canary.token)


def coordination_settings(config: Config, bundle: bytes = b"", binding: bytes = b"") -> CoordinationSettings:
    """Return who this node is among the others; ``bundle`` and ``binding`` are what its record says of how it came."""
    figures = config.coordination
    return CoordinationSettings(
        node=config.node.id,
        directory=config.state_dir,
        priority=config.node.priority,
        bundle=bundle,
        binding=binding,
        skew=config.node.clock_skew_tolerance_secs,
        seeds=_seeds(config),
        cluster=ClusterSettings(
            heartbeat_interval=figures.heartbeat_interval_secs,
            heartbeat_timeout=figures.heartbeat_timeout_secs,
            lease_duration=figures.lease_duration_secs,
            backoff_jitter=figures.backoff_jitter_secs,
            takeover_grace=config.publish.takeover_grace_secs,
        ),
    )


def mesh(config: Config, tunnel_ip: str | None = None) -> Mesh | None:
    """
    Return what carries messages to other nodes; None without a cluster token, as nobody could trust anybody.

    ``tunnel_ip``: our address inside the tunnel where the configuration has none.
    """
    figures = config.coordination
    if figures.cluster_token is None:
        return None
    tokens = Tokens(figures.cluster_token, figures.previous_cluster_token, figures.previous_cluster_token_expires)
    return Mesh(tokens, _carrier(config, tunnel_ip))


def _seeds(config: Config) -> tuple[Seed, ...]:
    """Return the peers named by hand; a name with @ belongs to no node."""
    if config.coordination.mode == "wireguard":
        return tuple(Seed(peer.id) for peer in config.wireguard.peers)
    return tuple(Seed(f"@{place}", (f"direct:{place}",)) for place in config.coordination.peers)


def _carrier(config: Config, tunnel_ip: str | None) -> Choice:
    match config.coordination.mode:
        case "direct":
            return Direct(config.coordination.listen)
        case "tor":
            return OverTor(config.state_dir / "mesh")
        case "wireguard":
            return _wireguard(config, tunnel_ip)


def _wireguard(config: Config, tunnel_ip: str | None) -> Wireguard:
    tunnel = config.wireguard
    if tunnel.private_key is None:
        raise ValueError("the configuration has no wireguard.private_key")
    return Wireguard(
        private_key=tunnel.private_key,
        interface=tunnel.interface,
        listen_port=tunnel.listen_port,
        network=ip_network(tunnel.network),
        tunnel_ip=tunnel.tunnel_ip or tunnel_ip,
        external_endpoint=_endpoint(tunnel.external_endpoint),
        userspace=tunnel.userspace,
        seeds={
            peer.id: WgAddress(b64decode(peer.public_key), _endpoint(peer.endpoint), ip_address(peer.tunnel_ip))
            for peer in tunnel.peers
        },
    )


def _endpoint(place: HostPort | None) -> Endpoint | None:
    return None if place is None else Endpoint(place.host, place.port)


def care_settings(config: Config, master_address: str) -> CareSettings:
    """Return how the target is probed, and how far clocks may differ."""
    figures = config.health
    least, _, most = figures.probe_expected_status.partition("-")
    probe = ProbeSettings(
        host=master_address,
        path=figures.http_probe_path,
        interval=figures.http_probe_interval_secs,
        timeout=figures.http_probe_timeout_secs,
        threshold=figures.probe_failure_threshold,
        least=int(least),
        most=int(most or least),
    )
    return CareSettings(probe if figures.http_probe_enabled else None, config.node.clock_skew_tolerance_secs)


def proxy_settings(config: Config) -> ProxySettings:
    """Return where visitors arrive and where they are taken."""
    target = config.target
    check = target.tls_verify
    return ProxySettings(
        listen=config.listen.path if config.listen is not None else config.local_port,
        target=_target(config),
        tls=TlsSettings(check.form, check.authorities, check.pin) if target.use_tls else None,
        host_header=target.host_header,
        connect_timeout=target.connect_timeout_secs,
        idle_timeout=target.idle_timeout_secs,
        max_connections=target.max_connections,
        drain_timeout=max(config.shutdown_deadline_secs - TOR_SHARE, config.shutdown_deadline_secs / 2),
    )


def standby_entrance(config: Config) -> Path | int:
    """
    Return where the standby brings its visitors when they are to be told from those of the primary.

    A Tor of our own finds it in the state directory; one of somebody else's is told a port of loopback.
    """
    return config.state_dir / "front-standby.sock" if config.tor.mode == "managed" else 0


def _target(config: Config) -> Target:
    target = config.target
    if target.onion_address is not None:
        return OnionTarget(target.onion_address.text, target.port)
    if isinstance(target.address, HostPort):
        return TcpTarget(target.address.host, target.address.port)
    if target.address is None:
        raise ValueError("the configuration names no target")
    return UnixTarget(target.address.path)
