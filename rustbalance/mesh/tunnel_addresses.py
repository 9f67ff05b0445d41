"""
Addresses inside the tunnel.

Owns: which address a newcomer gets, and who gives way when two nodes ended up with the same one. In: the network, what
is taken, public keys; out: an address. Pure.

A newcomer's first choice follows from its public key, so that members who let in two newcomers at the same moment,
each not knowing of the other's, rarely give away the same address; when they do, exactly one of the two moves.
"""

import hashlib
from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TypeAlias

TunnelAddress: TypeAlias = IPv4Address | IPv6Address
TunnelNetwork: TypeAlias = IPv4Network | IPv6Network

DEFAULT_NETWORK = IPv4Network("10.200.200.0/24")


class NoAddressLeft(ValueError):
    """Every address of the tunnel's network is taken."""


def usable(address: TunnelAddress, network: TunnelNetwork) -> bool:
    """Say whether a node may have ``address``: inside, and neither the network's own nor its broadcast address."""
    return address in network and 1 <= int(address) - int(network[0]) <= _capacity(network)


def allocate(network: TunnelNetwork, taken: Collection[TunnelAddress], public_key: bytes) -> TunnelAddress:
    """
    Return an address that is not ``taken`` for the node with ``public_key``; the same answer to the same question.

    :raises NoAddressLeft: there is none.
    """
    capacity = _capacity(network)
    first = int.from_bytes(hashlib.sha256(public_key).digest()) % capacity
    for step in range(min(capacity, len(taken) + 1)):
        address = network[1 + (first + step) % capacity]
        if address not in taken:
            return address
    raise NoAddressLeft(f"all {capacity} addresses of {network} are taken")


def gives_way(ours: bytes, theirs: bytes) -> bool:
    """Say whether we, of two public keys with the same address, are the one that takes another."""
    return theirs < ours


def _capacity(network: TunnelNetwork) -> int:
    return max(network.num_addresses - 2, 1)
