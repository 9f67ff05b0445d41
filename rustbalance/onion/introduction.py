"""
Introduction points: where a service can be reached, and with which keys.

Owns: one introduction point of the inner layer. In: its text, or its keys and the descriptor signing key that vouches
for them now; out: the other. The certified keys are public, so whoever signs the descriptor certifies them anew; the
node's own private keys are not needed.
Source: rend-spec-v3 section 2.5.2.2; C tor's hs_descriptor.c.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rustbalance.onion.certificate import (
    Certificate,
    CertificateType,
    decode_certificate,
    encode_certificate,
    expired,
    introduction_certificate_expiry,
)
from rustbalance.onion.keys import DescriptorSigningKey
from rustbalance.onion.netdoc import (
    Item,
    MalformedDescriptor,
    check_unknown_lines,
    decode_base64,
    encode_base64,
    exactly_one,
    parse_items,
    unknown_lines,
    with_keyword,
)

START = "introduction-point"
REFRESH_HOURS = 3
"""How many whole hours old the certificates of a living Tor can be: it makes new ones every 60 to 120 minutes."""
_LEGACY = ("legacy-key", "legacy-key-cert")
_KNOWN = frozenset([START, "onion-key", "auth-key", "enc-key", "enc-key-cert", *_LEGACY])
_SPECIFIER_SIZES = {0: 6, 1: 18, 2: 20, 3: 32}
_RSA_IDENTITY = 2
_LATEST_EXPIRY = 2**32 - 1


@dataclass(frozen=True)
class IntroductionPoint:
    """
    A relay that passes introductions on to a service.

    ``link_specifiers`` is the block that names the relay, its count byte included; ``onion_key`` the relay's ntor key.
    ``auth_key`` names the introduction circuit; ``enc_key`` is what introductions are encrypted to, and
    ``enc_key_ed25519`` the ed25519 form of it that its certificate certifies. The expiries are those of the node's own
    certificates, in hours since 1970. ``other_lines`` are lines of a later Tor that go with the point.

    :raises MalformedDescriptor: a part cannot be written.
    """

    link_specifiers: bytes
    onion_key: bytes
    auth_key: bytes
    auth_key_expiry: int
    enc_key: bytes
    enc_key_ed25519: bytes
    enc_key_expiry: int
    other_lines: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_link_specifiers(self.link_specifiers)
        if any(len(key) != 32 for key in (self.onion_key, self.auth_key, self.enc_key, self.enc_key_ed25519)):
            raise MalformedDescriptor("each key of an introduction point must have 32 bytes")
        if not (0 <= self.auth_key_expiry <= _LATEST_EXPIRY and 0 <= self.enc_key_expiry <= _LATEST_EXPIRY):
            raise MalformedDescriptor(f"an expiry must be 0 to {_LATEST_EXPIRY} hours")
        if self.other_lines:
            check_unknown_lines(self.other_lines, _KNOWN)

    @property
    def relay(self) -> bytes:
        """What clients know the relay by: its RSA identity (20 bytes), or the whole block when that does not tell."""
        found = dict(_specifiers(self.link_specifiers))
        return found.get(_RSA_IDENTITY, self.link_specifiers)


def _check_link_specifiers(block: bytes) -> None:
    """See that the block is a count and exactly so many link specifiers (rend-spec-v3 section 2.5.2.2)."""
    if sum(1 for _ in _specifiers(block)) != block[0] or not block[0]:
        raise MalformedDescriptor("the link specifiers must be as many as they say, and at least one")


def _specifiers(block: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the type and the content of each link specifier."""
    if not block:
        raise MalformedDescriptor("the link specifiers are missing")
    place = 1
    while place < len(block):
        kind, size = block[place], block[place + 1] if place + 1 < len(block) else len(block)
        place += 2 + size
        if place > len(block) or _SPECIFIER_SIZES.get(kind, size) != size:
            raise MalformedDescriptor(f"a link specifier of type {kind} has the wrong length")
        yield kind, block[place - size : place]


def renewed(points: Sequence[IntroductionPoint], now: int) -> tuple[IntroductionPoint, ...]:
    """
    Return the points as a descriptor of the Unix time ``now`` shall certify them.

    A living Tor certifies its points anew whenever it refreshes its descriptor, every 60 to 120 minutes, until the hour
    begun + 54 h. So a certificate that a living Tor can have now gets just that, and all points of a descriptor look as
    if one Tor had made them. An older one is a point whose Tor has not been heard of since: it keeps its own expiry,
    so that a dead point is never kept alive, and one that has expired is left out, because clients refuse it.
    """
    return tuple(
        _with_expiries(point, _renewed(point.auth_key_expiry, now), _renewed(point.enc_key_expiry, now))
        for point in points
        if not expired(min(point.auth_key_expiry, point.enc_key_expiry), now)
    )


def _with_expiries(point: IntroductionPoint, auth: int, enc: int) -> IntroductionPoint:
    if (point.auth_key_expiry, point.enc_key_expiry) == (auth, enc):
        return point
    return replace(point, auth_key_expiry=auth, enc_key_expiry=enc)


def _renewed(expiry: int, now: int) -> int:
    fresh = introduction_certificate_expiry(now)
    return fresh if expiry >= fresh - REFRESH_HOURS else expiry


def encode_point(point: IntroductionPoint, signing_key: DescriptorSigningKey) -> str:
    """Return the lines of ``point``, its keys certified by ``signing_key`` with exactly the expiries it has."""
    auth = Certificate(point.auth_key_expiry, point.auth_key, signing_key.public)
    enc = Certificate(point.enc_key_expiry, point.enc_key_ed25519, signing_key.public)
    return (
        f"{START} {encode_base64(point.link_specifiers)}\n"
        f"onion-key ntor {encode_base64(point.onion_key)}\n"
        f"auth-key\n{encode_certificate(CertificateType.INTRODUCTION_AUTH_KEY, auth, signing_key.sign)}"
        f"enc-key ntor {encode_base64(point.enc_key)}\n"
        f"enc-key-cert\n{encode_certificate(CertificateType.INTRODUCTION_ENC_KEY, enc, signing_key.sign)}"
        + "".join(f"{line}\n" for line in point.other_lines)
    )


def decode_point(text: str, signing_public: bytes, now: int | None = None) -> IntroductionPoint:
    """
    Read one introduction point of a descriptor that is signed with ``signing_public``.

    :raises MalformedDescriptor: it breaks a rule, a certificate is not valid (with ``now``: or has expired), or it is a
        legacy point, which is certified by an RSA key that nobody else can certify anew.
    """
    items = parse_items(text)
    if any(item.keyword in _LEGACY for item in items):
        raise MalformedDescriptor("it is a legacy point")
    auth = exactly_one(items, "auth-key")
    enc = exactly_one(items, "enc-key-cert")
    auth_key = decode_certificate(auth, CertificateType.INTRODUCTION_AUTH_KEY, signed_by=signing_public, now=now)
    enc_key = decode_certificate(enc, CertificateType.INTRODUCTION_ENC_KEY, signed_by=signing_public, now=now)
    return IntroductionPoint(
        link_specifiers=decode_base64(exactly_one(items, START).argument, "the link specifiers"),
        onion_key=_ntor_key(items, "onion-key"),
        auth_key=auth_key.key,
        auth_key_expiry=auth_key.expiry,
        enc_key=_ntor_key(items, "enc-key"),
        enc_key_ed25519=enc_key.key,
        enc_key_expiry=enc_key.expiry,
        other_lines=unknown_lines(items, _KNOWN),
    )


def _ntor_key(items: Sequence[Item], keyword: str) -> bytes:
    """Return the key of type ntor; there may be others of types that we do not know."""
    keys = [words for item in with_keyword(items, keyword) if (words := item.arguments)[:1] == ["ntor"]]
    if len(keys) != 1 or len(keys[0]) < 2:
        raise MalformedDescriptor(f"{keyword} must give one key of type ntor")
    return decode_base64(keys[0][1], keyword, 32)
