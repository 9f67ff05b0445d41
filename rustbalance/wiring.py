"""
From the configuration to the settings of each part.

Owns: which key of ``config.toml`` ends where. In: ``Config``; out: the settings of ``tor``, ``publishing``, ``proxy``,
``coordination``, ``joining``.
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
from rustbalance.joining.making import JoinSettings
from rustbalance.mesh.wg_config import Endpoint, WgAddress
from rustbalance.proxy.settings import OnionTarget, ProxySettings, Target, TcpTarget, TlsSettings, UnixTarget
from rustbalance.proxy.socks import SocksAddress
from rustbalance.publishing.settings import PublishSettings
from rustbalance.tor.external import ExternalSettings
from rustbalance.tor.managed import ManagedSettings

ForwardTo = Callable[[], str]

#: Seconds of the shutdown deadline that are Tor's; what comes before them is for visitors to finish.
TOR_SHARE = 5.0


def managed_settings(config: Config, forward_to: ForwardTo) -> ManagedSettings:
    """Return the settings of the primary Tor as a child of ours."""
    return ManagedSettings(
        directory=config.state_dir / "tor" / "primary",
        binary=config.tor.binary,
        torrc_include=config.tor.torrc_include,
        introduction_points=config.tor.num_introduction_points,
        forward_to=forward_to,
    )


def external_settings(config: Config, forward_to: ForwardTo) -> ExternalSettings:
    """Return the settings of a Tor that somebody else runs for us."""
    tor = config.tor
    return ExternalSettings(
        control=tor.control_socket or (tor.control_host, tor.control_port),
        socks=(tor.control_host, tor.socks_port),
        hidden_service_dir=config.node.hidden_service_dir,
        introduction_points=tor.num_introduction_points,
        forward_to=forward_to,
    )


def socks_address(place: Path | tuple[str, int]) -> SocksAddress:
    """Return where a Tor takes outgoing connections, in the proxy's form."""
    if isinstance(place, Path):
        return SocksAddress(path=str(place))
    return SocksAddress(host=place[0], port=place[1])


def publish_settings(config: Config) -> PublishSettings:
    """Return how to publish."""
    return PublishSettings(
        refresh_interval_secs=config.publish.refresh_interval_secs,
        max_intro_points=config.publish.max_intro_points,
        min_directories=config.publish.min_directories,
        expected_points=config.tor.num_introduction_points,
    )


def join_settings(config: Config, master_address: str) -> JoinSettings | None:
    """Return how others join through this node, and how it joins itself; None without a join secret."""
    coordination = config.coordination
    if coordination.join_secret is None:
        return None
    network = ip_network(config.wireguard.network) if coordination.mode == "wireguard" else None
    tunnel = network is not None and config.wireguard.tunnel_ip is None
    return JoinSettings(config.node.id, master_address, config.state_dir, coordination.join_secret, network, tunnel)


def coordination_settings(config: Config, bundle: bytes = b"") -> CoordinationSettings:
    """Return who this node is among the others; ``bundle`` is the id of the join bundle that it came with."""
    figures = config.coordination
    return CoordinationSettings(
        node=config.node.id,
        directory=config.state_dir,
        priority=config.node.priority,
        bundle=bundle,
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
            scout = ManagedSettings(
                directory=config.state_dir / "tor" / "scout",
                binary=config.tor.binary,
                torrc_include=config.tor.torrc_include,
            )
            return OverTor(config.state_dir / "mesh", scout)
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


def _target(config: Config) -> Target:
    target = config.target
    if target.onion_address is not None:
        return OnionTarget(target.onion_address.text, target.port)
    if isinstance(target.address, HostPort):
        return TcpTarget(target.address.host, target.address.port)
    if target.address is None:
        raise ValueError("the configuration names no target")
    return UnixTarget(target.address.path)
