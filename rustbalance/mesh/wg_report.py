"""
What ip(8) and wg(8) say of an interface.

Owns: their output as values, and which peers are within reach. In: the output of ``ip -j -d address show`` and of
``wg show INTERFACE allowed-ips`` and ``latest-handshakes``; out: values. Pure.

``wg show INTERFACE dump`` is not read: it prints the private key.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

REACH_SECS = 180.0
"""A session lives 120 s and is renewed before its end; a peer without a new one for this long is out of reach."""


class UnreadableReport(ValueError):
    """The output of ip(8) or wg(8) has another form than the one we know."""


class _Address(msgspec.Struct):
    local: str = ""


class _Link(msgspec.Struct):
    ifname: str = ""
    flags: tuple[str, ...] = ()
    mtu: int = 0
    ifalias: str = ""
    addr_info: tuple[_Address, ...] = ()


@dataclass(frozen=True)
class Link:
    """A network interface: is it up, what alias does it bear, which IP addresses has it, how long may packets be."""

    up: bool
    alias: str
    addresses: frozenset[str]
    mtu: int


def read_link(output: str, name: str) -> Link:
    """
    Read the output of ``ip -j -d address show dev NAME`` (without ``-d`` it keeps the alias to itself).

    :raises UnreadableReport: it is something else.
    """
    try:
        links = msgspec.json.decode(output, type=tuple[_Link, ...])
    except (msgspec.MsgspecError, ValueError):
        raise UnreadableReport("ip: its JSON is not of the known form") from None
    # Older versions put an empty object for each interface that was not asked for.
    for link in links:
        if link.ifname == name:
            addresses = frozenset(address.local for address in link.addr_info)
            return Link("UP" in link.flags, link.ifalias, addresses, link.mtu)
    raise UnreadableReport(f"ip: it does not tell of {name}")


def read_allowed_ips(output: str) -> dict[str, frozenset[str]]:
    """
    Read the output of ``wg show INTERFACE allowed-ips``: networks by public key.

    :raises UnreadableReport: it is something else.
    """
    return {key: frozenset(value.split()) - {"(none)"} for key, value in _pairs(output)}


def read_handshakes(output: str) -> dict[str, int]:
    """
    Read the output of ``wg show INTERFACE latest-handshakes``: Unix time by public key, 0 for never.

    :raises UnreadableReport: it is something else.
    """
    pairs = _pairs(output)
    if not all(value.isascii() and value.isdigit() for _, value in pairs):
        raise UnreadableReport("wg: the time of a handshake is no number")
    return {key: int(value) for key, value in pairs}


def _pairs(output: str) -> list[tuple[str, str]]:
    lines = [line.split("\t") for line in output.splitlines() if line]
    if any(len(line) != 2 for line in lines):
        raise UnreadableReport("wg: a line must be a key, a tab and a value")
    return [(line[0], line[1]) for line in lines]


@dataclass
class Reach:
    """
    Which peers answer.

    Handshakes carry wall-clock times, which may jump; so what counts is when we saw them change, in seconds of a
    monotonic clock.
    """

    _last: dict[str, int] = field(default_factory=dict)
    _seen: dict[str, float] = field(default_factory=dict)

    def observe(self, handshakes: Mapping[str, int], now: float) -> None:
        """Take the times of the last handshakes by key, as they are at ``now``."""
        for key in self._last.keys() - handshakes.keys():
            self._seen.pop(key, None)
        for key, when in handshakes.items():
            if when and when != self._last.get(key):
                self._seen[key] = now
        self._last = dict(handshakes)

    def forget(self) -> None:
        """Begin anew, after the interface was lost with all its sessions."""
        self._last.clear()
        self._seen.clear()

    def within(self, now: float) -> frozenset[str]:
        """Return the keys of the peers that are within reach at ``now``."""
        return frozenset(key for key, seen in self._seen.items() if now - seen < REACH_SECS)
