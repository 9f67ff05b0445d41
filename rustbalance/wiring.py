"""
From the configuration to the settings of each part.

Owns: which key of ``config.toml`` ends where. In: ``Config``; out: the settings values of ``tor`` and ``publishing``.
Pure, so that no part of the daemon has to know the shape of the file.
"""

from collections.abc import Callable

from rustbalance.config import Config
from rustbalance.publishing.settings import PublishSettings
from rustbalance.tor.external import ExternalSettings
from rustbalance.tor.managed import ManagedSettings

ForwardTo = Callable[[], str]


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


def publish_settings(config: Config) -> PublishSettings:
    """Return how to publish."""
    return PublishSettings(
        refresh_interval_secs=config.publish.refresh_interval_secs,
        max_intro_points=config.publish.max_intro_points,
        min_directories=config.publish.min_directories,
        expected_points=config.tor.num_introduction_points,
    )
