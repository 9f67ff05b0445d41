"""
The keys of the mesh: those that a cluster token gives, and the one that each node has for itself.

Owns: HKDF-SHA256 from page to page, which keys are valid at a time, node keys and ticket keys. In: the cluster token, a
seed; out: keys that stay in locked memory, key ids and signatures, which are public.

The token is only ever hashed: it is sent to nobody, and none of the keys leads back to it. Each purpose has a key of
its own, so that what was sealed for one cannot be opened for another.

Source: RFC 5869 (HKDF), RFC 8032 (ed25519).
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from rustbalance.onion.keys import DescriptorSigningKey
from rustbalance.secrets import Secret, address_of, burn_stack, ffi, libsodium

KEY_SIZE: Final = 32
KEY_ID_SIZE: Final = 8
LEAST_TOKEN: Final = 16
"""Bytes of the shortest token: 128 bit."""
_HASH: Final = 32
_SALT: Final = b"rustbalance cluster token v1"
_SIZE, _POINTER = ctypes.c_size_t, ctypes.c_void_p
for _name, _arguments in {
    "crypto_auth_hmacsha256_init": [_POINTER, _POINTER, _SIZE],
    "crypto_auth_hmacsha256_update": [_POINTER, _POINTER, ctypes.c_ulonglong],
    "crypto_auth_hmacsha256_final": [_POINTER, _POINTER],
}.items():
    getattr(libsodium, _name).argtypes = _arguments
libsodium.crypto_auth_hmacsha256_statebytes.restype = ctypes.c_size_t
_STATE: Final = libsodium.crypto_auth_hmacsha256_statebytes()


class InvalidToken(ValueError):
    """The cluster token is too short; the message never shows it."""


class Purpose(StrEnum):
    """What a key is for."""

    MESH = "mesh"
    JOIN = "join"
    CANARY = "canary"


class TokenKeys:
    """
    The keys of one cluster token, which stays the caller's.

    ``key_id`` (8 bytes, public) names the token on the wire.

    :raises InvalidToken: the token has less than 16 bytes, which cannot be 128 bit.
    """

    def __init__(self, token: Secret) -> None:
        if len(token) < LEAST_TOKEN:
            raise InvalidToken(f"a cluster token must have at least {LEAST_TOKEN} bytes, not {len(token)}")
        with hkdf_extract(_SALT, token) as root:
            self._keys = {purpose: hkdf_expand(root, _info(purpose), KEY_SIZE) for purpose in Purpose}
            with hkdf_expand(root, _info("key id"), KEY_ID_SIZE) as name, name.pointer() as start:
                self.key_id: bytes = ffi.buffer(start, KEY_ID_SIZE)[:]

    def of(self, purpose: Purpose) -> Secret:
        """Return the key (32 bytes) of a purpose; it stays ours."""
        return self._keys[purpose]

    def wipe(self) -> None:
        """Forget the keys for good."""
        for key in self._keys.values():
            key.wipe()


@dataclass(frozen=True, eq=False)
class Accepted:
    """Keys that are still (or already) taken, until the Unix time ``until``; None: until told otherwise."""

    keys: TokenKeys
    until: float | None = None


@dataclass(frozen=True, eq=False)
class KeyRing:
    """The keys to seal with, and all that may have sealed what arrives: a token is changed without a gap that way."""

    current: TokenKeys
    accepted: Sequence[Accepted] = ()

    def find(self, key_id: bytes, wall: float) -> TokenKeys | None:
        """Return the keys that ``key_id`` names if they are valid at the Unix time ``wall``."""
        if key_id == self.current.key_id:
            return self.current
        return next((other.keys for other in self.accepted if _is_valid(other, key_id, wall)), None)

    def wipe(self) -> None:
        """Forget all of them for good."""
        for keys in (self.current, *(other.keys for other in self.accepted)):
            keys.wipe()


def _is_valid(accepted: Accepted, key_id: bytes, wall: float) -> bool:
    return accepted.keys.key_id == key_id and (accepted.until is None or wall < accepted.until)


class NodeKey(DescriptorSigningKey):
    """
    The ed25519 key of one node, which tells it from all others that know the token.

    ``seed`` (32 bytes) stays the caller's.

    :raises rustbalance.onion.keys.InvalidKey: another length.
    """


class TicketKey(DescriptorSigningKey):
    """
    The ed25519 key of one join bundle, which is in no other place: its signature tells who has opened that.

    ``seed`` (32 bytes) stays the caller's.

    :raises rustbalance.onion.keys.InvalidKey: another length.
    """


def _info(purpose: str) -> bytes:
    return b"rustbalance " + purpose.encode("ascii") + b" v1"


def hkdf_extract(salt: bytes, material: Secret) -> Secret:
    """Return the pseudorandom key of ``material`` (RFC 5869 section 2.2)."""
    root = Secret(_HASH)
    with material.pointer() as start, root.pointer() as out, Secret(_STATE) as state, state.pointer() as work:
        place = address_of(work)
        libsodium.crypto_auth_hmacsha256_init(place, salt, len(salt))
        libsodium.crypto_auth_hmacsha256_update(place, address_of(start), len(material))
        libsodium.crypto_auth_hmacsha256_final(place, address_of(out))
    burn_stack()
    return root


def hkdf_expand(root: Secret, info: bytes, size: int) -> Secret:
    """
    Return ``size`` bytes that follow from ``root`` and ``info`` (RFC 5869 section 2.3).

    :raises ValueError: more than 255 times 32 bytes.
    """
    blocks = -(-size // _HASH)
    if blocks > 255:
        raise ValueError(f"HKDF-SHA256 gives at most {255 * _HASH} bytes, not {size}")
    with Secret(blocks * _HASH) as whole:
        for number in range(1, blocks + 1):
            _expand_block(root, whole, info, number)
        with whole.expose() as view:
            return Secret.copy_of(view[:size])


def _expand_block(root: Secret, whole: Secret, info: bytes, number: int) -> None:
    """Write block ``number`` (from 1) into ``whole``: it hashes the one before it, the info and its number."""
    tail = info + bytes([number])
    with root.pointer() as key, whole.pointer() as out, Secret(_STATE) as state, state.pointer() as work:
        place, block = address_of(work), address_of(out) + (number - 1) * _HASH
        libsodium.crypto_auth_hmacsha256_init(place, address_of(key), len(root))
        if number > 1:
            libsodium.crypto_auth_hmacsha256_update(place, block - _HASH, _HASH)
        libsodium.crypto_auth_hmacsha256_update(place, tail, len(tail))
        libsodium.crypto_auth_hmacsha256_final(place, block)
    burn_stack()
