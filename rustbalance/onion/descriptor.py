"""
Onion service descriptors, version 3, whole.

Owns: how the three layers go together, and what may be published at all. In: an ``InnerLayer`` and the keys of a
period, or the text of a descriptor; out: the other.
Source: rend-spec-v3 sections 2.4 and 2.5; C tor's hs_descriptor.c where it is stricter or freer.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from rustbalance.onion.client_auth import (
    LINES,
    AuthorizedClients,
    fake_lines,
    find_cookie,
    lines_for,
    public_ephemeral,
    x25519_public,
)
from rustbalance.onion.inner import MOST_POINTS, InnerLayer, decode_inner, encode_inner
from rustbalance.onion.introduction import IntroductionPoint, renewed
from rustbalance.onion.keys import BlindedKey, DescriptorSigningKey
from rustbalance.onion.layers import ENCRYPTED, SALT, SUPERENCRYPTED, LayerCipher, WrongLayerKey
from rustbalance.onion.middle import MiddleLayer, decode_middle, encode_middle
from rustbalance.onion.netdoc import MalformedDescriptor, text_of
from rustbalance.onion.outer import OuterLayer, decode_outer, encode_outer
from rustbalance.secrets import Secret

__all__ = [
    "MAX_SIZE",
    "MOST_POINTS",
    "AuthorizedClients",
    "Descriptor",
    "DescriptorTooLarge",
    "InnerLayer",
    "IntroductionPoint",
    "MalformedDescriptor",
    "NoPoints",
    "OuterLayer",
    "TooManyPoints",
    "Unpublishable",
    "WrongLayerKey",
    "decode",
    "decode_outer",
    "encode",
]

MAX_SIZE = 50_000
"""Bytes from which on a directory refuses a descriptor, unless the consensus says otherwise (HSV3MaxDescriptorSize)."""


class Unpublishable(ValueError):
    """A descriptor that directories or clients would refuse, and that is therefore never made."""


class NoPoints(Unpublishable):
    """No introduction point is left to publish."""


class TooManyPoints(Unpublishable):
    """More than 20 introduction points: every client would refuse the whole descriptor, without a word to us."""


class DescriptorTooLarge(Unpublishable):
    """The text is as long as the network allows no more."""


@dataclass(frozen=True)
class Descriptor:
    """All that a descriptor says; see ``OuterLayer`` and ``InnerLayer``. ``skipped_points``: why which was left out."""

    lifetime_minutes: int
    revision: int
    blinded_public: bytes
    signing_key: bytes
    signing_certificate_expiry: int
    inner: InnerLayer
    skipped_points: tuple[str, ...]


def encode(
    inner: InnerLayer,
    blinded: BlindedKey,
    subcredential: bytes,
    *,
    revision: int,
    now: int,
    signing_key: DescriptorSigningKey,
    random_bytes: Callable[[int], bytes],
    max_size: int = MAX_SIZE,
    clients: AuthorizedClients | None = None,
) -> bytes:
    """
    Return the text of a descriptor with the points of ``inner`` in their order, their certificates renewed.

    ``subcredential`` and ``blinded`` belong to the same service and period. ``now`` is a Unix time, ``signing_key``
    fresh, ``max_size`` in bytes, ``random_bytes`` returns so many. With ``clients`` only those can read it.

    :raises NoPoints: there is none, or the certificates of all have expired (see ``introduction.renewed``).
    :raises TooManyPoints: there are more than 20.
    :raises DescriptorTooLarge: the text would have ``max_size`` bytes or more.
    """
    ready = replace(inner, points=renewed(inner.points, now))
    _check_count(inner, ready)
    cipher = LayerCipher(blinded.public, subcredential, revision)
    cookie = None if clients is None else clients.cookie
    plaintext = encode_inner(ready, signing_key).encode("ascii")
    encrypted = cipher.encrypt(ENCRYPTED, plaintext, random_bytes(SALT), cookie)
    middle = encode_middle(_middle(encrypted, clients, subcredential, random_bytes))
    superencrypted = cipher.encrypt(SUPERENCRYPTED, middle, random_bytes(SALT))
    text = encode_outer(superencrypted, blinded, signing_key, revision=revision, now=now)
    if len(text) >= max_size:
        raise DescriptorTooLarge(f"a descriptor must be smaller than {max_size} bytes; this one has {len(text)}")
    return text


def _check_count(inner: InnerLayer, ready: InnerLayer) -> None:
    if len(inner.points) > MOST_POINTS:
        raise TooManyPoints(
            f"a descriptor must have at most {MOST_POINTS} introduction points, not {len(inner.points)}"
        )
    if not inner.points:
        raise NoPoints("a descriptor without introduction points leads nowhere")
    if not ready.points:
        raise NoPoints(f"the certificates of all {len(inner.points)} introduction points have expired")


def _middle(
    encrypted: bytes, clients: AuthorizedClients | None, subcredential: bytes, random_bytes: Callable[[int], bytes]
) -> MiddleLayer:
    if clients is None:
        ephemeral = public_ephemeral(random_bytes(32))
        return MiddleLayer(ephemeral, tuple(fake_lines(LINES, random_bytes)), encrypted)
    lines = lines_for(clients, subcredential, random_bytes)
    return MiddleLayer(x25519_public(clients.ephemeral), tuple(lines), encrypted)


def decode(text: bytes, subcredential: bytes, *, now: int | None = None, client: Secret | None = None) -> Descriptor:
    """
    Read a descriptor, all layers.

    With ``now`` (Unix time) certificates must not have expired. ``client`` is the x25519 private key of an authorized
    client; it is not needed, and does no harm, where anybody may read.

    :raises MalformedDescriptor: it breaks a rule; ``WrongLayerKey`` when it is of another service or period, was
        damaged, or is for authorized clients and ``client`` is none of them.
    """
    outer = decode_outer(text, now=now)
    cipher = LayerCipher(outer.blinded_public, subcredential, outer.revision)
    middle = decode_middle(cipher.decrypt(SUPERENCRYPTED, outer.superencrypted))
    plaintext = _decrypt_inner(cipher, middle, client)
    inner, skipped = decode_inner(text_of(plaintext, "the inner layer"), outer.signing_key, now)
    return Descriptor(
        lifetime_minutes=outer.lifetime_minutes,
        revision=outer.revision,
        blinded_public=outer.blinded_public,
        signing_key=outer.signing_key,
        signing_certificate_expiry=outer.signing_certificate_expiry,
        inner=inner,
        skipped_points=skipped,
    )


def _decrypt_inner(cipher: LayerCipher, middle: MiddleLayer, client: Secret | None) -> bytes:
    cookie = None
    if client is not None:
        cookie = find_cookie(middle.clients, middle.ephemeral_public, client, cipher.subcredential)
    try:
        return cipher.decrypt(ENCRYPTED, middle.encrypted, cookie)
    finally:
        if cookie is not None:
            cookie.wipe()
