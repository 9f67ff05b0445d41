"""
The carrier that the configuration asks for.

Owns: making it. In: ``coordination.mode`` and what belongs to it, and the scout, which it needs where it goes over Tor;
out: a ``Carrier``. The scout is a Tor of its own since the serving ones publish nothing: that switch is one for all
services of a process.
"""

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeAlias

from rustbalance.mesh.carrier import Carrier
from rustbalance.mesh.direct import DirectCarrier
from rustbalance.mesh.onion import OnionCarrier
from rustbalance.mesh.tunnel_addresses import TunnelNetwork, allocate
from rustbalance.mesh.wg_config import Endpoint, WgAddress
from rustbalance.mesh.wireguard import WireguardCarrier, WireguardSettings
from rustbalance.onion.client_auth import x25519_public
from rustbalance.secret_files import decode_base64
from rustbalance.secrets import Secret
from rustbalance.tor.instance import TorInstance


@dataclass(frozen=True)
class Direct:
    """Plain TCP; ``listen`` is ``HOST:PORT``."""

    listen: str


@dataclass(frozen=True)
class OverTor:
    """Onion services; ``directory`` holds our key and socket."""

    directory: Path


@dataclass(frozen=True)
class Wireguard:
    """
    A tunnel. ``private_key`` is base64; ``tunnel_ip`` None: the address that follows from the key.

    ``seeds``: members that are known from the start.
    """

    private_key: Secret
    interface: str
    listen_port: int
    network: TunnelNetwork
    tunnel_ip: str | None
    external_endpoint: Endpoint | None
    userspace: str | None
    seeds: dict[str, WgAddress]


Choice: TypeAlias = Direct | OverTor | Wireguard


class NoScout(ValueError):
    """Messages are to travel over Tor, and there is no Tor for them."""


def make(choice: Choice, scout: TorInstance | None, reactor: Any, random_bytes: Callable[[int], bytes]) -> Carrier:
    """
    Return the carrier; ``scout`` is the caller's to start before and to stop after it.

    :raises NoScout: it is needed and there is none.
    :raises rustbalance.mesh.stream_carrier.UnusableAddress: it cannot listen there.
    :raises rustbalance.tor.torrc.SocketPathTooLong: a directory lies too deep for Unix sockets.
    """
    match choice:
        case Direct(listen):
            return DirectCarrier(listen, reactor)
        case OverTor(directory):
            if scout is None:
                raise NoScout("the mesh over Tor needs the scout: set tor.scout to true")
            return OnionCarrier(scout, directory, reactor)
        case Wireguard():
            return _wireguard(choice, reactor, random_bytes)


def _wireguard(choice: Wireguard, reactor: Any, random_bytes: Callable[[int], bytes]) -> Carrier:
    key = decode_base64(choice.private_key)
    taken = [seed.tunnel_ip for seed in choice.seeds.values()]
    given = choice.tunnel_ip
    tunnel_ip = allocate(choice.network, taken, x25519_public(key)) if given is None else ip_address(given)
    settings = WireguardSettings(
        tunnel_ip=tunnel_ip,
        interface=choice.interface,
        listen_port=choice.listen_port,
        network=choice.network,
        external_endpoint=choice.external_endpoint,
        userspace=choice.userspace or WireguardSettings.userspace,
        seeds=choice.seeds,
    )
    return WireguardCarrier(settings, key, reactor, random_bytes)
