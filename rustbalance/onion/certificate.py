"""
Ed25519 certificates, and how long Tor makes them last.

Owns: the certificates inside descriptors. In: the certified key, an expiry, whoever signs; out: 140 bytes, and back.
Source: cert-spec section 2.1; rend-spec-v3 sections 2.4 and 2.5.2.2; C tor's hs_service.c for the lifetimes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from struct import error as StructError  # noqa: N812

from rustbalance.onion.keys import verify
from rustbalance.onion.netdoc import Item, MalformedDescriptor, encode_object

TAG = "ED25519 CERT"
LIFETIME_HOURS = 54
"""C tor's HS_DESC_CERT_LIFETIME."""
_HOUR = 3600
_VERSION = 1
_ED25519_KEY = 1
_SIGNED_WITH_KEY = 4
_AFFECTS_VALIDATION = 1
_SIGNATURE = 64
_HEAD = Struct(">BBIB32sB")
_EXTENSION = Struct(">HBB")
_OURS = Struct(">BBIB32sBHBB32s")


class CertificateType(IntEnum):
    """What a certificate vouches for (cert-spec appendix A.1)."""

    DESCRIPTOR_SIGNING_KEY = 0x08
    INTRODUCTION_AUTH_KEY = 0x09
    INTRODUCTION_ENC_KEY = 0x0B


@dataclass(frozen=True)
class Certificate:
    """``signing_key`` vouches for ``key`` until ``expiry`` (whole hours since 1970)."""

    expiry: int
    key: bytes
    signing_key: bytes


def signing_certificate_expiry(now: int) -> int:
    """Return the expiry (hours) that Tor gives a signing key certificate at the Unix time ``now``: rounded up."""
    return -(-now // _HOUR) + LIFETIME_HOURS


def introduction_certificate_expiry(now: int) -> int:
    """Return the expiry (hours) that Tor gives the certificates of introduction points: from the hour begun."""
    return now // _HOUR + LIFETIME_HOURS


def expired(expiry: int, now: int) -> bool:
    """Tell whether a certificate that ends at the hour ``expiry`` is refused at the Unix time ``now``, as by C tor."""
    return now > expiry * _HOUR


def encode_certificate(kind: CertificateType, certificate: Certificate, sign: Callable[[bytes], bytes]) -> str:
    """Return the object of ``certificate``; ``sign`` signs with its ``signing_key``."""
    body = _OURS.pack(
        _VERSION, kind, certificate.expiry, _ED25519_KEY, certificate.key,
        1, 32, _SIGNED_WITH_KEY, 0, certificate.signing_key,
    )  # fmt: skip
    return encode_object(TAG, body + sign(body))


def decode_certificate(
    item: Item, kind: CertificateType, *, signed_by: bytes | None = None, now: int | None = None
) -> Certificate:
    """
    Read the certificate that follows ``item`` and check its signature.

    ``signed_by`` is the key that must have signed it (any, when None). With ``now`` (Unix time) its expiry counts too.

    :raises MalformedDescriptor: there is none, or it is not valid.
    """
    data = item.object(TAG)
    try:
        certificate = _parse(data, kind)
    except StructError:
        raise MalformedDescriptor(f"the certificate of {item.keyword} is too short") from None
    except MalformedDescriptor as reason:
        raise MalformedDescriptor(f"the certificate of {item.keyword} {reason}") from None
    if signed_by is not None and certificate.signing_key != signed_by:
        raise MalformedDescriptor(f"the certificate of {item.keyword} is signed by another key")
    if not verify(certificate.signing_key, data[-_SIGNATURE:], data[:-_SIGNATURE]):
        raise MalformedDescriptor(f"the certificate of {item.keyword} has a wrong signature")
    if now is not None and expired(certificate.expiry, now):
        raise MalformedDescriptor(f"the certificate of {item.keyword} has expired")
    return certificate


def _parse(data: bytes, kind: CertificateType) -> Certificate:
    version, found_kind, expiry, key_type, key, extensions = _HEAD.unpack_from(data)
    if version != _VERSION:
        raise MalformedDescriptor(f"must have version {_VERSION}, not {version}")
    if found_kind != kind:
        raise MalformedDescriptor(f"must have type {kind:#04x}, not {found_kind:#04x}")
    if key_type != _ED25519_KEY:
        raise MalformedDescriptor(f"must certify a key of type {_ED25519_KEY}, not {key_type}")
    return Certificate(expiry, key, _signing_key(data[_HEAD.size : -_SIGNATURE], extensions))


def _signing_key(data: bytes, count: int) -> bytes:
    """Walk through all extensions; the one with the signing key is the only one that we must understand."""
    keys: list[bytes] = []
    place = 0
    for _ in range(count):
        size, kind, flags = _EXTENSION.unpack_from(data, place)
        place += _EXTENSION.size + size
        if kind == _SIGNED_WITH_KEY:
            keys.append(data[place - size : place])
        elif flags & _AFFECTS_VALIDATION:
            raise MalformedDescriptor(f"has the unknown extension {kind:#04x}, which affects its validation")
    if place != len(data):
        raise MalformedDescriptor("has extensions of the wrong length")
    if len(keys) != 1 or len(keys[0]) != 32:
        raise MalformedDescriptor("must name the key of 32 bytes that signed it, once")
    return keys[0]
