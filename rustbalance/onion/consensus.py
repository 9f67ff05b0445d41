"""
What an onion service needs from the network consensus.

Owns: reading the microdescriptor consensus and the microdescriptors, as Tor gives them by
``GETINFO dir/status-vote/current/consensus-microdesc`` and ``GETINFO md/all``. In: bytes; out: ``Consensus`` and the
ed25519 identities, with everything else left behind. Any bytes either parse or raise ``MalformedConsensus``.
Signatures are not checked: the text comes from a Tor of ours, which has checked them.
Source: dir-spec sections 3.3 (microdescriptors) and 3.4.1 (consensus).
"""

import binascii
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import NamedTuple

from rustbalance.onion.periods import RUN_INTERVALS

_FIRST_LINE = b"network-status-version 3 microdesc"
_DATE = re.compile(rb"2\d{3}-\d\d-\d\d \d\d:\d\d:\d\d")
_PARAM = re.compile(rb"([!-<>-~]+)=(-?\d{1,10})")
_SRV = re.compile(rb"\d+ ([A-Za-z0-9+/]{43}=)")
# One match per relay, the lines after the first in any order: nickname, identity, microdescriptor, flags, protocols.
# Not possessive, though nothing follows that could backtrack: Python before 3.11.5 loses the groups inside (gh-101955).
_RELAY = re.compile(
    rb"\nr ([A-Za-z0-9]{1,19}) ([A-Za-z0-9+/]{27}) [^\n]*"
    rb"(?:\n(?:[^rmsp\n][^\n]*|m ([A-Za-z0-9+/]{43})(?: [^\n]*)?|s ([^\n]*)|pr ([^\n]*)|(?![rm] )[^\n]*))*"
)
_HSDIR_VERSIONS = re.compile(rb"(?:^| )HSDir=([\d,-]*)(?: |$)")
_HSDIR_V3 = 2
_MICRODESCRIPTOR = b"onion-key"
_NEXT_MICRODESCRIPTOR = b"\n" + _MICRODESCRIPTOR
_IDENTITY = b"\nid ed25519 "
_ED25519 = re.compile(_IDENTITY + rb"([A-Za-z0-9+/]{43})[ \n]")


class MalformedConsensus(ValueError):
    """The text is no microdescriptor consensus or no list of microdescriptors; the message says what is wrong."""


class Relay(NamedTuple):
    """
    One relay of the consensus.

    ``fingerprint``: 40 upper-case hex digits. ``microdescriptor``: SHA-256 digest, base64 without padding.
    ``hsdir``: whether it stores version 3 descriptors (flag HSDir, and protocol HSDir=2).
    """

    fingerprint: str
    nickname: str
    microdescriptor: str
    hsdir: bool = True


@dataclass(frozen=True)
class Consensus:
    """
    The consensus, as far as onion services look at it.

    Times are Unix seconds, shared random values 32 bytes or ``None`` when the consensus has none.
    ``relays`` are in the order of the consensus; ``parse_consensus`` keeps those with ``hsdir`` only.
    """

    valid_after: int
    fresh_until: int
    valid_until: int
    params: Mapping[str, int]
    previous_srv: bytes | None
    current_srv: bytes | None
    relays: tuple[Relay, ...]

    @property
    def voting_interval(self) -> int:
        """Seconds between two consensuses of this network."""
        return self.fresh_until - self.valid_after


def parse_consensus(text: bytes) -> Consensus:
    """
    Read a microdescriptor consensus; relays that are no version 3 directories are left out.

    :raises MalformedConsensus: for anything else, and for a text that was cut short.
    """
    footer = text.rfind(b"\ndirectory-footer")
    if footer < 0:
        raise MalformedConsensus("directory-footer must be there: the consensus is cut short or is none")
    first_relay = text.find(b"\nr ", 0, footer)
    header_end = footer if first_relay < 0 else first_relay
    header = _header(text[:header_end])
    valid_after, fresh_until, valid_until = (
        _time(header, key) for key in ("valid-after", "fresh-until", "valid-until")
    )
    _check_times(valid_after, fresh_until, valid_until)
    return Consensus(
        valid_after,
        fresh_until,
        valid_until,
        params=_params(header.get("params", b"")),
        previous_srv=_shared_random(header, "shared-rand-previous-value"),
        current_srv=_shared_random(header, "shared-rand-current-value"),
        relays=tuple(_directories(text, header_end, footer)),
    )


def parse_microdescriptors(text: bytes) -> dict[str, bytes]:
    """
    Return the ed25519 identity (32 bytes) of each microdescriptor under its digest, as ``Relay`` names it.

    The newline that the control protocol takes from the end of the last one is put back before it is hashed. A
    microdescriptor always begins with the word ``onion-key``, also where relays no longer have the key itself. One
    without an ed25519 identity is left out: it cannot be on the ring.

    :raises MalformedConsensus: the text does not begin with a microdescriptor, or an identity is no 32 bytes.
    """
    if text and not text.startswith(_MICRODESCRIPTOR):
        raise MalformedConsensus("microdescriptors must begin with onion-key")
    identities: dict[str, bytes] = {}
    for body in _microdescriptors(text):
        start = body.find(_IDENTITY)
        if start >= 0:
            identities[_digest(body)] = _identity(body, start)
    return identities


def _header(text: bytes) -> dict[str, bytes]:
    """Split the lines before the first relay; only the keys of which there is one are looked up."""
    first, *lines = text.split(b"\n")
    if first.rstrip() != _FIRST_LINE:
        raise MalformedConsensus("the first line must be 'network-status-version 3 microdesc'")
    found: dict[str, bytes] = {}
    for line in lines:
        key, _, value = line.partition(b" ")
        found.setdefault(key.decode("ascii", "replace"), value)
    return found


def _time(header: Mapping[str, bytes], key: str) -> int:
    found = _DATE.fullmatch(header.get(key, b""))
    if found is None:
        raise MalformedConsensus(f"{key} must be a date from the year 2000 on")
    try:
        return int(datetime.fromisoformat(found[0].decode()).replace(tzinfo=UTC).timestamp())
    except ValueError:
        raise MalformedConsensus(f"{key} must be a date that the calendar has") from None


def _check_times(valid_after: int, fresh_until: int, valid_until: int) -> None:
    if not valid_after < fresh_until <= valid_until:
        raise MalformedConsensus("valid-after, fresh-until and valid-until must follow each other")
    if 2 * RUN_INTERVALS * (fresh_until - valid_after) > valid_after:
        raise MalformedConsensus("fresh-until is too long after valid-after for a voting interval")


def _params(line: bytes) -> dict[str, int]:
    params: dict[str, int] = {}
    for word in line.split():
        found = _PARAM.fullmatch(word)
        if found is None:
            raise MalformedConsensus("params must be words of the form name=number")
        params[found[1].decode()] = int(found[2])
    return params


def _shared_random(header: Mapping[str, bytes], key: str) -> bytes | None:
    line = header.get(key)
    if line is None:
        return None
    found = _SRV.match(line)
    if found is None:
        raise MalformedConsensus(f"{key} must be a number and 32 bytes in base64")
    return binascii.a2b_base64(found[1])


def _directories(text: bytes, start: int, end: int) -> Iterator[Relay]:
    """
    Yield the version 3 directories among the relays that ``text[start:end]`` consists of.

    There are few different lines of flags and of protocols, so each is read once.
    """
    flagged, speaking = cache(_has_flag), cache(_has_protocol)
    for found in _RELAY.finditer(text, start, end):
        nickname, identity, microdescriptor, flags, protocols = found.groups(b"")
        if found.start() != start or not microdescriptor:
            break
        if flagged(flags) and speaking(protocols):
            yield Relay(_fingerprint(identity), nickname.decode(), microdescriptor.decode())
        start = found.end()
    if start != end:
        raise MalformedConsensus("a relay must have well-formed r and m lines")


def _fingerprint(identity: bytes) -> str:
    return binascii.a2b_base64(identity + b"=").hex().upper()


def _has_flag(flags: bytes) -> bool:
    return b"HSDir" in flags.split()


def _has_protocol(protocols: bytes) -> bool:
    found = _HSDIR_VERSIONS.search(protocols)
    return found is not None and _includes(found[1], _HSDIR_V3)


def _includes(versions: bytes, wanted: int) -> bool:
    """Tell whether a list as in ``1-2,4`` has ``wanted`` (tor-spec section 9, subprotocol versions)."""
    for part in versions.split(b","):
        low, _, high = part.partition(b"-")
        if len(part) <= 21 and low.isdigit() and int(low) <= wanted <= int(high if high.isdigit() else low):
            return True
    return False


def _microdescriptors(text: bytes) -> Iterator[bytes]:
    start = 0
    while 0 <= start < len(text):
        after = text.find(_NEXT_MICRODESCRIPTOR, start)
        body = text[start : None if after < 0 else after + 1]
        yield body if body.endswith(b"\n") else body + b"\n"
        start = -1 if after < 0 else after + 1


def _digest(body: bytes) -> str:
    return binascii.b2a_base64(hashlib.sha256(body).digest(), newline=False)[:43].decode()


def _identity(body: bytes, start: int) -> bytes:
    found = _ED25519.match(body, start)
    if found is None:
        raise MalformedConsensus("id ed25519 must be 32 bytes in base64")
    return binascii.a2b_base64(found[1] + b"=")
