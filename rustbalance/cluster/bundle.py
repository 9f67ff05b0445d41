"""
Join bundles: all that a machine needs to become a node, in one line of text under a passphrase.

Owns: the form of a bundle and its encryption. In: facts, secrets, a passphrase; out: a line, and back. Secrets go from
page to page; the passphrase is stretched into a key with Argon2id, since whoever finds the line may guess for ever.

    rustbalance-bundle-1:BASE64URL      of   salt 16 | nonce 24 | sealed: plaintext + 16
    plaintext:  length of the facts 4 | facts (MessagePack) | the secrets, one after the other

Argon2id version 1.3 with 64 MiB, 3 passes, 1 lane (RFC 9106; what libsodium does), then XChaCha20-Poly1305 with the
text before the base64 as associated data. A ticket in the facts says until when, and with which id, one may join.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from rustbalance.cluster.messages import NodeRecord, Ticket, sentence
from rustbalance.secrets import Secret, burn_stack, ffi, sodium

PREFIX: Final = "rustbalance-bundle-1:"
LEAST_PASSPHRASE: Final = 12
"""Bytes of the shortest passphrase for a new bundle."""
LONGEST: Final = 65536
"""Characters of the longest bundle."""
_MEMORY: Final = 64 * 1024 * 1024
_PASSES: Final = 3
_SALT, _NONCE, _TAG, _KEY, _LENGTH = 16, 24, 16, 32, 4

Setting: TypeAlias = str | int | bool


class BundleError(ValueError):
    """A line is no bundle that can be used; the sentence says why and never what is in it."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a bundle says besides its secrets.

    ``address`` is the master address; ``settings`` are the keys of config.toml that all nodes share (by dotted name),
    ``records`` the members that can be reached from the start; ``created`` is Unix time.
    """

    ticket: Ticket
    address: str
    created: int
    records: tuple[NodeRecord, ...] = ()
    settings: dict[str, Setting] = {}


@dataclass(frozen=True, eq=False)
class Bundle:
    """An open bundle; ``secrets`` have names of the sealer's choice and belong to whoever opened it."""

    facts: Facts
    secrets: Mapping[str, Secret]

    def wipe(self) -> None:
        """Forget the secrets for good."""
        for secret in self.secrets.values():
            secret.wipe()


class _Contents(msgspec.Struct, frozen=True, kw_only=True):
    """The part of the plaintext that is no secret."""

    facts: Facts
    sizes: Annotated[dict[str, Annotated[int, Meta(ge=0, le=LONGEST)]], Meta(max_length=16)]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Contents).decode


def seal_bundle(
    facts: Facts, secrets: Mapping[str, Secret], passphrase: Secret, random_bytes: Callable[[int], bytes]
) -> str:
    """
    Return the line; the secrets stay the caller's. Takes 64 MiB of memory and some tenths of a second.

    :raises BundleError: the passphrase is too short, or there is too much to say.
    """
    if len(passphrase) < LEAST_PASSPHRASE:
        raise BundleError(f"a passphrase must have at least {LEAST_PASSPHRASE} characters")
    public = _encode(_Contents(facts=facts, sizes={name: len(secret) for name, secret in secrets.items()}))
    salt, nonce = random_bytes(_SALT), random_bytes(_NONCE)
    with _plaintext(public, secrets) as plain, _stretched(passphrase, salt) as key:
        sealed = _encrypt(plain, nonce, key)
    line = PREFIX + urlsafe_b64encode(salt + nonce + sealed).decode("ascii").rstrip("=")
    if len(line) > LONGEST:
        raise BundleError(f"a bundle must have at most {LONGEST} characters, not {len(line)}")
    return line


def open_bundle(line: str, passphrase: Secret, wall: float) -> Bundle:
    """
    Return what is in a bundle at the Unix time ``wall``. Takes as much time and memory as sealing it did.

    :raises BundleError: no bundle of this version, another passphrase, a changed line, or it has expired.
    """
    raw = _decode_line(line.strip())
    salt, nonce, sealed = raw[:_SALT], raw[_SALT : _SALT + _NONCE], raw[_SALT + _NONCE :]
    with _stretched(passphrase, salt) as key, Secret(len(sealed) - _TAG) as plain:
        _decrypt(sealed, plain, nonce, key)
        contents, start = _read_contents(plain)
        _check_valid(contents.facts.ticket, wall)
        return Bundle(contents.facts, _cut(plain, start, contents.sizes))


def _check_valid(ticket: Ticket, wall: float) -> None:
    if wall >= ticket.expires:
        ended = datetime.fromtimestamp(min(ticket.expires, 2**37), UTC).strftime("%Y-%m-%d %H:%M UTC")
        raise BundleError(f"the bundle has expired ({ended}); ask for a new one: rustbalance bundle")


def _decode_line(line: str) -> bytes:
    if not line.startswith(PREFIX) or len(line) > LONGEST:
        raise BundleError(f"a join bundle is one line that begins with {PREFIX}")
    text = line[len(PREFIX) :]
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, binascii.Error):
        raise BundleError("the bundle is damaged; was all of the line copied?") from None
    if len(raw) < _SALT + _NONCE + _LENGTH + _TAG:
        raise BundleError("the bundle is too short; was all of the line copied?")
    return raw


def _read_contents(plain: Secret) -> tuple[_Contents, int]:
    """Return what is no secret, and where the secrets begin."""
    with plain.expose() as view:
        end = _LENGTH + int.from_bytes(view[:_LENGTH])
        try:
            contents = _decode(view[_LENGTH:end])
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise BundleError(f"the bundle was made by another version: {sentence(error)}") from None
    if end + sum(contents.sizes.values()) != len(plain):
        raise BundleError("the bundle was made by another version: its secrets have other sizes")
    return contents, end


def _cut(plain: Secret, start: int, sizes: Mapping[str, int]) -> dict[str, Secret]:
    found: dict[str, Secret] = {}
    with plain.expose() as view:
        for name, size in sizes.items():
            found[name] = Secret.copy_of(view[start : start + size])
            start += size
    return found


@contextmanager
def _plaintext(public: bytes, secrets: Mapping[str, Secret]) -> Iterator[Secret]:
    """Yield a page with everything, and wipe it."""
    start = _LENGTH + len(public)
    with Secret(start + sum(map(len, secrets.values()))) as plain, plain.expose() as view:
        view[:start] = len(public).to_bytes(_LENGTH) + public
        for secret in secrets.values():
            with secret.expose() as source:
                view[start : start + len(secret)] = source
            start += len(secret)
        yield plain


def _stretched(passphrase: Secret, salt: bytes) -> Secret:
    """Return the key that follows from the passphrase (Argon2id)."""
    key = Secret(_KEY)
    with passphrase.pointer() as text, key.pointer() as out:
        algorithm = sodium.crypto_pwhash_alg_argon2id13()
        failed = sodium.crypto_pwhash(
            *(out, _KEY, ffi.cast("char *", text), len(passphrase), salt, _PASSES, _MEMORY, algorithm)
        )
    burn_stack()
    if failed:
        key.wipe()
        raise BundleError(f"Argon2id needs {_MEMORY // 1024 // 1024} MiB of free memory")
    return key


def _encrypt(plain: Secret, nonce: bytes, key: Secret) -> bytes:
    sealed, about = ffi.new("unsigned char[]", len(plain) + _TAG), PREFIX.encode("ascii")
    with plain.pointer() as source, key.pointer() as start:
        sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(
            *(sealed, ffi.NULL, source, len(plain), about, len(about), ffi.NULL, nonce, start)
        )
    burn_stack()
    return bytes(ffi.buffer(sealed))


def _decrypt(sealed: bytes, plain: Secret, nonce: bytes, key: Secret) -> None:
    about = PREFIX.encode("ascii")
    with plain.pointer() as out, key.pointer() as start:
        failed = sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
            *(out, ffi.NULL, ffi.NULL, sealed, len(sealed), about, len(about), nonce, start)
        )
    burn_stack()
    if failed:
        raise BundleError("this is not the passphrase of the bundle, or the line was changed")
