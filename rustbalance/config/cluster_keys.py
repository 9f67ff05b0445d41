"""
The kinds of keys that only the cluster needs.

Owns: the reading of addresses of other nodes, of dates, of secrets that must not be guessed. In: a value as tomllib
gives it, or a ``Secret``; out: the value we use, or ``Refused``.
"""

import ipaddress
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from rustbalance.config.addresses import HostPort, parse_host_port
from rustbalance.config.complaints import Refused
from rustbalance.config.keys import Key, hidden
from rustbalance.secrets import Secret

LEAST_STRENGTH: Final = 128
"""Bits that a secret which nobody may guess must have."""
LEAST_BEARER: Final = 16
"""Characters of the shortest bearer token."""
#: What characters are drawn from, and how many bits each of them can bring at most (rounded down).
_ALPHABETS: Final = (
    (frozenset(b"0123456789"), 3.3),
    (frozenset(b"0123456789abcdefABCDEF"), 4.0),
    (frozenset(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+/=_-"), 6.0),
)
_LEAST_DISTINCT: Final = 8
_PATH: Final = frozenset(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-")
_BEARER: Final = _PATH | frozenset(b".~+/=")
_BEARER_RULE: Final = f"must have {LEAST_BEARER} characters or more, of letters, digits and - . _ ~ + / ="
_WG_KEY: Final = re.compile(r"[A-Za-z0-9+/]{43}=", re.ASCII)
_NODE_ID: Final = re.compile(r"[a-z0-9-]{1,64}", re.ASCII)
_IP_PORT: Final = re.compile(r"(?:(?P<four>[0-9.]+)|\[(?P<six>[0-9A-Fa-f:.]+)\]):(?P<port>[0-9]{1,5})", re.ASCII)
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,6})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)


@dataclass(frozen=True)
class WireguardPeer:
    """A node that is known from the start. ``endpoint`` is None for one that calls us; ``public_key`` is base64."""

    id: str
    endpoint: HostPort | None
    tunnel_ip: str
    public_key: str


def host_port(says: str) -> Key:
    """Return a key for ``HOST:PORT``."""

    def read(value: object, _: Path) -> HostPort:
        if not isinstance(value, str) or value.startswith("unix:"):
            raise Refused
        try:
            return parse_host_port(value)
        except Refused:
            raise Refused from None

    return Key(says, "string", "must have the form HOST:PORT with a port from 1 to 65535", read)


def local_addresses(says: str) -> Key:
    """Return a key for an array of ``IP:PORT`` on a local network; they stay text."""

    def read(value: object, _: Path) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise Refused
        return tuple(_local_address(part, lowest_port=1) for part in value)

    return Key(says, "array", "must be an array of IP:PORT, on loopback or in a private network", read)


def listening(says: str) -> Key:
    """Return a key for ``IP:PORT`` on a local network where port 0 picks one; its value stays text."""

    def read(value: object, _: Path) -> str:
        return _local_address(value, lowest_port=0)

    rule = "must have the form IP:PORT, on loopback or in a private network; port 0 picks one"
    return Key(says, "string", rule, read)


def _local_address(value: object, lowest_port: int) -> str:
    """Read an address for the carrier ``direct``, which goes where only its owner listens."""
    found = _IP_PORT.fullmatch(value) if isinstance(value, str) else None
    if found is None or not lowest_port <= int(found["port"]) <= 65535:
        raise Refused
    address = ipaddress.ip_address(_ip(found["four"] or found["six"]))
    if address.is_unspecified or address.is_multicast or not address.is_private:
        raise Refused
    return str(HostPort(str(address), int(found["port"])))


def ip(says: str) -> Key:
    """Return a key for one IP address."""

    def read(value: object, _: Path) -> str:
        return _ip(value)

    return Key(says, "string", "must be an IP address", read)


def network(says: str) -> Key:
    """Return a key for an IP network in CIDR notation with room for two nodes or more."""

    def read(value: object, _: Path) -> str:
        try:
            found = ipaddress.ip_network(value if isinstance(value, str) else "")
        except ValueError:
            raise Refused from None
        if found.num_addresses < 4:
            raise Refused
        return str(found)

    return Key(says, "string", "must be a network such as 10.200.200.0/24, with room for two nodes or more", read)


def date(says: str) -> Key:
    """Return a key for an instant; its value is Unix time in seconds."""

    def read(value: object, _: Path) -> float:
        if isinstance(value, datetime) and value.tzinfo is not None:
            return value.timestamp()
        if not isinstance(value, str) or not _DATE.fullmatch(value):
            raise Refused
        try:
            return datetime.fromisoformat(value.upper()).timestamp()
        except (ValueError, OverflowError):
            raise Refused from None

    return Key(says, "string", "must be a time of RFC 3339, such as 2027-01-31T12:00:00Z", read)


def wireguard_peers(says: str) -> Key:
    """Return a key for an array of tables."""

    def read(value: object, base: Path) -> tuple[WireguardPeer, ...]:
        if not isinstance(value, list):
            raise Refused
        return tuple(_wireguard_peer(part, base) for part in value)

    return Key(
        says, "array", "must be tables with id, tunnel_ip, public_key (base64), and endpoint if it has one", read
    )


def _wireguard_peer(table: object, base: Path) -> WireguardPeer:
    if not isinstance(table, dict) or not {"id", "tunnel_ip", "public_key"} <= table.keys():
        raise Refused
    if table.keys() - {"id", "tunnel_ip", "public_key", "endpoint"}:
        raise Refused
    endpoint: Any = host_port("").read(table["endpoint"], base) if "endpoint" in table else None
    return WireguardPeer(
        id=_matching(_NODE_ID, table["id"]),
        endpoint=endpoint,
        tunnel_ip=_ip(table["tunnel_ip"]),
        public_key=_matching(_WG_KEY, table["public_key"]),
    )


def _matching(pattern: re.Pattern[str], value: object) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise Refused
    return value


def _ip(value: object) -> str:
    try:
        found = ipaddress.ip_address(value if isinstance(value, str) else "")
    except ValueError:
        raise Refused from None
    if "%" in str(found):
        raise Refused
    return str(found)


def unguessable(says: str) -> Key:
    """Return a key for a secret of 128 bit or more."""
    return hidden(says, _check_strength, f"must have {LEAST_STRENGTH} bit or more, such as 32 hexadecimal digits")


def path_secret(says: str) -> Key:
    """Return a key for a secret of 128 bit or more that can stand in the path of a URL."""

    def check(secret: Secret) -> None:
        if not _is_drawn_from(secret, _PATH):
            raise Refused("must have letters, digits, - and _ only, as it stands in a path")
        _check_strength(secret)

    return hidden(says, check, f"must have {LEAST_STRENGTH} bit or more, of letters, digits, - and _")


def bearer(says: str) -> Key:
    """Return a key for a bearer token (RFC 6750 section 2.1)."""

    def check(secret: Secret) -> None:
        if len(secret) < LEAST_BEARER or not _is_drawn_from(secret, _BEARER):
            raise Refused(_BEARER_RULE)

    return hidden(says, check, _BEARER_RULE)


def key_of_32(says: str) -> Key:
    """Return a key for a secret key of 32 bytes in base64."""

    def check(secret: Secret) -> None:
        from rustbalance.secret_files import decode_base64

        try:
            decode_base64(secret).wipe()
        except ValueError as error:
            raise Refused(str(error)) from None

    return hidden(says, check, "must be 32 bytes in base64")


def strength(secret: Secret) -> int:
    """
    Return how many bits a secret can have at most: its length times what its characters can bring.

    One of fewer than eight different bytes is a pattern and has none. Nothing of the secret is kept.
    """
    if sum(_has(secret, byte) for byte in range(256)) < _LEAST_DISTINCT:
        return 0
    return int(len(secret) * next((bits for letters, bits in _ALPHABETS if _is_drawn_from(secret, letters)), 6.5))


def _check_strength(secret: Secret) -> None:
    if strength(secret) < LEAST_STRENGTH:
        raise Refused(
            f"can be guessed: it must have {LEAST_STRENGTH} bit or more, such as 32 random hexadecimal digits"
        )


def _has(secret: Secret, byte: int) -> bool:
    with secret.expose() as view:
        return any(octet == byte for octet in view)


def _is_drawn_from(secret: Secret, letters: frozenset[int]) -> bool:
    with secret.expose() as view:
        return all(octet in letters for octet in view)
