"""
The outer layer of a descriptor: what a directory sees.

Owns: the plaintext lines, the signing key's certificate and the signature. In: the encrypted middle layer and the keys,
or the text of a descriptor; out: the other.
Source: rend-spec-v3 section 2.4; C tor's hs_descriptor.c.
"""

from dataclasses import dataclass

from rustbalance.onion.certificate import (
    Certificate,
    CertificateType,
    decode_certificate,
    encode_certificate,
    signing_certificate_expiry,
)
from rustbalance.onion.keys import BlindedKey, DescriptorSigningKey, verify
from rustbalance.onion.middle import MESSAGE
from rustbalance.onion.netdoc import (
    Item,
    MalformedDescriptor,
    decimal,
    decode_base64,
    encode_object,
    encode_unpadded,
    exactly_one,
    parse_items,
    text_of,
)

LIFETIME_MINUTES = 180
"""How long a directory keeps a descriptor."""
_LONGEST_LIFETIME = 720
_SIGNATURE_PREFIX = b"Tor onion service descriptor sig v3"
_SIGNATURE_LENGTH = 86
_LARGEST_REVISION = 2**64 - 1
_CERTIFICATE = "descriptor-signing-key-cert"


@dataclass(frozen=True)
class OuterLayer:
    """
    What everybody can read in a descriptor.

    ``signing_key`` signed it, and the key blinded for the period (``blinded_public``) vouches for that one until
    ``signing_certificate_expiry`` (hours since 1970). ``superencrypted`` is the middle layer.
    """

    lifetime_minutes: int
    revision: int
    blinded_public: bytes
    signing_key: bytes
    signing_certificate_expiry: int
    superencrypted: bytes


def encode_outer(
    superencrypted: bytes, blinded: BlindedKey, signing_key: DescriptorSigningKey, *, revision: int, now: int
) -> bytes:
    """Return the text of a descriptor, certified by ``blinded`` as of the Unix time ``now`` and signed."""
    certificate = Certificate(signing_certificate_expiry(now), signing_key.public, blinded.public)
    text = (
        "hs-descriptor 3\n"
        f"descriptor-lifetime {LIFETIME_MINUTES}\n"
        f"{_CERTIFICATE}\n"
        f"{encode_certificate(CertificateType.DESCRIPTOR_SIGNING_KEY, certificate, blinded.sign)}"
        f"revision-counter {revision}\n"
        f"superencrypted\n{encode_object(MESSAGE, superencrypted)}"
    ).encode("ascii")
    signature = encode_unpadded(signing_key.sign(_SIGNATURE_PREFIX + text))
    return text + f"signature {signature}\n".encode("ascii")


def decode_outer(text: bytes, *, now: int | None = None) -> OuterLayer:
    """
    Read what everybody can read, and check certificate and signature; with ``now`` (Unix time) the expiry as well.

    :raises MalformedDescriptor: it breaks a rule.
    """
    items = parse_items(text_of(text, "a descriptor"))
    _check_ends(items)
    certificate = decode_certificate(exactly_one(items, _CERTIFICATE), CertificateType.DESCRIPTOR_SIGNING_KEY, now=now)
    _check_signature(text, items[-1], certificate.key)
    lifetime = exactly_one(items, "descriptor-lifetime").argument
    revision = exactly_one(items, "revision-counter").argument
    return OuterLayer(
        lifetime_minutes=decimal(lifetime, "descriptor-lifetime", _LONGEST_LIFETIME),
        revision=decimal(revision, "revision-counter", _LARGEST_REVISION),
        blinded_public=certificate.signing_key,
        signing_key=certificate.key,
        signing_certificate_expiry=certificate.expiry,
        superencrypted=exactly_one(items, "superencrypted").object(MESSAGE),
    )


def _check_ends(items: list[Item]) -> None:
    if not items or items[0].keyword != "hs-descriptor" or exactly_one(items, "hs-descriptor").argument != "3":
        raise MalformedDescriptor("a descriptor must begin with hs-descriptor 3")
    if exactly_one(items, "signature") is not items[-1]:
        raise MalformedDescriptor("a descriptor must end with its signature")


def _check_signature(text: bytes, item: Item, signing_key: bytes) -> None:
    """The signature covers everything in front of its own line."""
    if len(item.argument) != _SIGNATURE_LENGTH:
        raise MalformedDescriptor(f"a signature must have {_SIGNATURE_LENGTH} characters")
    signature = decode_base64(item.argument, "the signature", 64)
    if not verify(signing_key, signature, _SIGNATURE_PREFIX + text[: item.start]):
        raise MalformedDescriptor("the signature is wrong")
