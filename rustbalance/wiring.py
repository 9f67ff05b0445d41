"""
From the configuration to the settings of each part.

Owns: which key of ``config.toml`` ends where. In: ``Config``; out: the settings of ``tor``, ``publishing``, ``proxy``.
Pure, so that no part of the daemon has to know the shape of the file.
"""

from collections.abc import Callable
from pathlib import Path

from rustbalance.config import Config, HostPort
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
