"""
Who is a peer of the WireGuard interface.

Owns: the ``wireguard:`` address of a node, the choice of peers from the members' records, and the difference between
two sets of peers as arguments of wg(8). In: text; out: values and arguments. Pure.

Only the public key of a peer, its one address inside the tunnel and a numeric endpoint ever become arguments: a record
cannot widen its allowed-ips, take the address of another peer, or make ``wg`` look up a name.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from rustbalance.mesh.tunnel_addresses import TunnelAddress, TunnelNetwork, gives_way, usable

KEEPALIVE_SECS = 25
"""Keeps the way through a NAT open; wg(8), PersistentKeepalive."""
_ADDRESS = re.compile(r"(?P<key>[A-Za-z0-9+/]{43}=)@(?P<endpoint>[!-~]*)/(?P<tunnel_ip>[0-9a-f.:]+)", re.ASCII)
_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*", re.ASCII)
_PORT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)


class MalformedAddress(ValueError):
    """A ``wireguard:`` address breaks a rule, which the message names."""


@dataclass(frozen=True)
class Endpoint:
    """Where a node's WireGuard listens outside the tunnel: a name or an IP address, and a UDP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def numeric(self) -> bool:
        """Whether ``host`` is an IP address, so that nobody need look it up."""
        return _is_ip(self.host)


def parse_endpoint(text: str) -> Endpoint:
    """
    Read ``HOST:PORT``, with an IPv6 address in brackets.

    :raises MalformedAddress: it is none.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not _PORT.fullmatch(port) or int(port) > 65535:
        raise MalformedAddress("an endpoint must be HOST:PORT with a port from 1 to 65535")
    bracketed = host.startswith("[") and host.endswith("]")
    if bracketed and ":" in host and _is_ip(host[1:-1]):
        return Endpoint(str(ip_address(host[1:-1])), int(port))
    if len(host) > 253 or not _NAME.fullmatch(host):
        raise MalformedAddress("an endpoint's host must be a name, an IPv4 address, or an IPv6 address in brackets")
    return Endpoint(host, int(port))


@dataclass(frozen=True)
class WgAddress:
    """
    How a node is reached by WireGuard. ``public_key``: 32 bytes.

    ``endpoint`` is None for a node that cannot be reached from outside (behind a NAT): it calls the others.
    """

    public_key: bytes
    endpoint: Endpoint | None
    tunnel_ip: TunnelAddress

    @property
    def key(self) -> str:
        """The public key as wg(8) writes it."""
        return key_text(self.public_key)

    def __str__(self) -> str:
        return f"{self.key}@{self.endpoint or ''}/{self.tunnel_ip}"


def key_text(public_key: bytes) -> str:
    """Return a public key of 32 bytes as wg(8) writes it."""
    return b64encode(public_key).decode()


def parse_address(text: str) -> WgAddress:
    """
    Read ``PUBLIC_KEY@ENDPOINT/TUNNEL_IP``, the part after ``wireguard:``; the endpoint may be empty.

    :raises MalformedAddress: it is none.
    """
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise MalformedAddress("must have the form PUBLIC_KEY@ENDPOINT/TUNNEL_IP")
    endpoint = parse_endpoint(found["endpoint"]) if found["endpoint"] else None
    return WgAddress(_key(found["key"]), endpoint, _tunnel_ip(found["tunnel_ip"]))


def _key(text: str) -> bytes:
    try:
        key = b64decode(text, validate=True)
    except NotBase64:
        key = b""
    if len(key) != 32 or key_text(key) != text:
        raise MalformedAddress("a public key must be 32 bytes in base64")
    return key


def _tunnel_ip(text: str) -> TunnelAddress:
    if not _is_ip(text):
        raise MalformedAddress("an address inside the tunnel must be a single IP address")
    return ip_address(text)


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text


@dataclass(frozen=True)
class Choice:
    """
    Which of the members are peers, and why others are not, by node id.

    ``give_way``: a member has our own address inside the tunnel, and we are the one to take another.
    """

    peers: Mapping[str, WgAddress]
    refused: Mapping[str, str]
    give_way: bool


class Refused(ValueError):
    """A member cannot be a peer; the message says why."""


def choose_peers(
    claims: Mapping[str, str], own: WgAddress, network: TunnelNetwork, holders: Mapping[TunnelAddress, str]
) -> Choice:
    """
    Return the peers among the members, whose addresses (without the scheme) are given by node id.

    ``holders`` says which key has each address now. Of two members that claim the same address the holder keeps it, so
    that nobody can take over the traffic of another; without a holder the smaller key gets it, on every node alike.
    """
    chosen: dict[str, WgAddress] = {}
    refused: dict[str, str] = {}
    parsed: dict[str, WgAddress] = {}
    for node, text in claims.items():
        try:
            parsed[node] = _fitting(parse_address(text), network)
        except (MalformedAddress, Refused) as error:
            refused[node] = str(error)
    taken: dict[object, str] = {own.public_key: "our own key", own.tunnel_ip: "our own address inside the tunnel"}
    for node, claim in sorted(parsed.items(), key=lambda item: _rank(item[1], holders)):
        clash = taken.get(claim.public_key) or taken.get(claim.tunnel_ip)
        if clash is None:
            chosen[node] = claim
            taken |= {claim.public_key: f"the key of {node}", claim.tunnel_ip: f"the tunnel address of {node}"}
        else:
            refused[node] = f"it has {clash}"
    rivals = [claim for claim in parsed.values() if claim.tunnel_ip == own.tunnel_ip]
    return Choice(chosen, refused, any(gives_way(own.public_key, rival.public_key) for rival in rivals))


def _fitting(claim: WgAddress, network: TunnelNetwork) -> WgAddress:
    if not usable(claim.tunnel_ip, network):
        raise Refused(f"{claim.tunnel_ip} is no address for a node of {network}")
    return claim


def _rank(claim: WgAddress, holders: Mapping[TunnelAddress, str]) -> tuple[bool, bytes]:
    return holders.get(claim.tunnel_ip) != claim.key, claim.public_key


@dataclass(frozen=True)
class WgPeer:
    """A peer as the interface has it. ``endpoint`` is numeric; None leaves the interface what it has learned."""

    key: str
    tunnel_ip: TunnelAddress
    endpoint: Endpoint | None = None

    @property
    def allowed_ips(self) -> str:
        """What may come from it and goes to it: its own address alone."""
        return f"{self.tunnel_ip}/{self.tunnel_ip.max_prefixlen}"


@dataclass(frozen=True)
class Remove:
    """Take the peer with this key away."""

    key: str


Change = Remove | WgPeer


def observed(
    allowed_ips: Mapping[str, Collection[str]], told: Mapping[str, Endpoint | None]
) -> dict[str, WgPeer | None]:
    """
    Return the peers of an interface by key, from the networks of each; None for one that is not as we make them.

    ``told``: the endpoints that we gave it. Those that it has learned since are as good or better, and stay.
    """
    return {key: _observed(key, networks, told) for key, networks in allowed_ips.items()}


def _observed(key: str, networks: Collection[str], told: Mapping[str, Endpoint | None]) -> WgPeer | None:
    address = next(iter(networks), "").partition("/")[0]
    if not _is_ip(address) or key not in told:
        return None
    peer = WgPeer(key, ip_address(address), told[key])
    return peer if set(networks) == {peer.allowed_ips} else None


def difference(have: Mapping[str, WgPeer | None], want: Mapping[str, WgPeer]) -> tuple[Change, ...]:
    """
    Return what turns the peers ``have`` into ``want`` (both by key), what goes first.

    Peers that stay as they are keep their session and the endpoint that they were last heard from.
    """
    gone = tuple(Remove(key) for key in have if key not in want)
    return gone + tuple(peer for key, peer in want.items() if have.get(key) != peer)


def arguments(changes: Sequence[Change]) -> tuple[str, ...]:
    """Return the arguments of ``wg set INTERFACE`` that make these changes."""
    return tuple(word for change in changes for word in _words(change))


def _words(change: Change) -> tuple[str, ...]:
    match change:
        case Remove(key):
            return ("peer", key, "remove")
        case WgPeer(key, _, endpoint):
            words = ("peer", key, "allowed-ips", change.allowed_ips)
            reach = ("endpoint", str(endpoint)) if endpoint is not None else ()
            return (*words, *reach, "persistent-keepalive", str(KEEPALIVE_SECS))
