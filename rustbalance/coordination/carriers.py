"""
The carrier that the configuration asks for.

Owns: making it. In: ``coordination.mode`` and what belongs to it; out: a ``Carrier``, and the scout that it needs where
it goes over Tor. The scout is a Tor of its own since the serving ones publish nothing (``PublishHidServDescriptors 0``
holds for all services of a process).
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
from rustbalance.ops.status import SCOUT
from rustbalance.secret_files import decode_base64
from rustbalance.secrets import Secret
from rustbalance.tor.instance import TorInstance
from rustbalance.tor.managed import ManagedSettings, ManagedTor


@dataclass(frozen=True)
class Direct:
    """Plain TCP; ``listen`` is ``HOST:PORT``."""

    listen: str


@dataclass(frozen=True)
class OverTor:
    """Onion services; ``directory`` holds our key and socket, ``scout`` says how to run the Tor for it."""

    directory: Path
    scout: ManagedSettings


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


def make(choice: Choice, reactor: Any, random_bytes: Callable[[int], bytes]) -> tuple[Carrier, TorInstance | None]:
    """
    Return the carrier, and the scout, which is the caller's to start before and to stop after it.

    :raises rustbalance.mesh.stream_carrier.UnusableAddress: it cannot listen there.
    :raises rustbalance.tor.torrc.SocketPathTooLong: a directory lies too deep for Unix sockets.
    """
    match choice:
        case Direct(listen):
            return DirectCarrier(listen, reactor), None
        case OverTor(directory, settings):
            scout = ManagedTor(SCOUT, settings, None, reactor)
            return OnionCarrier(scout, directory, reactor), scout
        case Wireguard():
            return _wireguard(choice, reactor, random_bytes), None


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
