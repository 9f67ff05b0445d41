"""
Restricted discovery: descriptors that only chosen clients can read.

Owns: the auth-client lines of the middle layer, real and fake. In: the clients' public keys and a descriptor cookie,
or a client's own key; out: lines, or the cookie. Cookie and private keys stay in locked memory; the key that wraps the
cookie for one client is derived for one line and dies with it.
Source: rend-spec-v3 sections 2.5.1.2 and 2.5.1.3, appendix G ("client authorization").
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hmac import compare_digest

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from rustbalance.onion.netdoc import MalformedDescriptor
from rustbalance.onion.shuffle import shuffled
from rustbalance.secrets import Secret, burn_stack, ffi, sodium

COOKIE = 16
"""Bytes of a descriptor cookie."""
LINES = 16
"""The number of client lines is a multiple of this, so that it says little about the number of clients."""
_ID = 8
_IV = 16
_LINE = _ID + _IV + COOKIE
_X25519 = 32


class InvalidClientKey(ValueError):
    """The public key of a client has the wrong length, or is a point with which there is no shared secret."""


@dataclass(frozen=True)
class ClientLine:
    """One auth-client line: which client it is for, and the descriptor cookie encrypted to that client."""

    client_id: bytes
    iv: bytes
    encrypted_cookie: bytes


@dataclass(frozen=True, eq=False)
class AuthorizedClients:
    """
    Who may read one descriptor: x25519 public keys, its cookie (16 bytes) and an ephemeral private key (32 bytes).

    Cookie and ephemeral key must be fresh for each descriptor; they stay the caller's.

    :raises InvalidClientKey: a key has not 32 bytes.
    """

    public_keys: tuple[bytes, ...]
    cookie: Secret
    ephemeral: Secret

    def __post_init__(self) -> None:
        if any(len(key) != _X25519 for key in self.public_keys):
            raise InvalidClientKey(f"a client's key must have {_X25519} bytes")
        if len(self.cookie) != COOKIE or len(self.ephemeral) != _X25519:
            raise ValueError(f"a descriptor cookie has {COOKIE} bytes, an ephemeral key {_X25519}")


def x25519_public(private: Secret) -> bytes:
    """Return the public key of an x25519 private key."""
    # libsodium uses the result as scratch for the clamped scalar, so it must be locked as well.
    with Secret(_X25519) as public, private.pointer() as scalar, public.pointer() as point:
        sodium.crypto_scalarmult_base(point, scalar)
        burn_stack()
        return bytes(ffi.buffer(point, _X25519))


def public_ephemeral(random: bytes) -> bytes:
    """Return an x25519 public key for a descriptor that anybody may read: nobody needs its private key."""
    point = ffi.new("unsigned char[32]")
    sodium.crypto_scalarmult_base(point, random)
    return bytes(ffi.buffer(point))


def lines_for(
    clients: AuthorizedClients, subcredential: bytes, random_bytes: Callable[[int], bytes]
) -> list[ClientLine]:
    """
    Return a line for each client among fake ones, in random order.

    :raises InvalidClientKey: there is no shared secret with a client's key.
    """
    real = [_line_for(clients, public_key, subcredential, random_bytes(_IV)) for public_key in clients.public_keys]
    return shuffled(real + fake_lines(-len(real) % LINES if real else LINES, random_bytes), random_bytes)


def fake_lines(count: int, random_bytes: Callable[[int], bytes]) -> list[ClientLine]:
    """Return lines that are for nobody and look like others."""
    pool = random_bytes(count * _LINE)
    return [
        ClientLine(pool[place : place + _ID], pool[place + _ID : place + _ID + _IV], pool[place + _ID + _IV :][:COOKIE])
        for place in range(0, len(pool), _LINE)
    ]


def _line_for(clients: AuthorizedClients, public_key: bytes, subcredential: bytes, iv: bytes) -> ClientLine:
    with Secret(_X25519) as seed:
        if not _exchange(seed, clients.ephemeral, public_key):
            raise InvalidClientKey("a client's key is a point of low order")
        client_id, key = _client_keys(seed, subcredential)
    with clients.cookie.expose() as cookie:
        encrypted = Cipher(algorithms.AES256(key), modes.CTR(iv)).encryptor().update(cookie)
    return ClientLine(client_id, iv, encrypted)


def find_cookie(
    lines: Sequence[ClientLine], ephemeral_public: bytes, client: Secret, subcredential: bytes
) -> Secret | None:
    """
    Return the descriptor cookie that one of ``lines`` has for the private key ``client``, or None.

    :raises MalformedDescriptor: the ephemeral key of the descriptor is a point of low order.
    """
    with Secret(_X25519) as seed:
        if not _exchange(seed, client, ephemeral_public):
            raise MalformedDescriptor("desc-auth-ephemeral-key must not be a point of low order")
        client_id, key = _client_keys(seed, subcredential)
    ours = next((line for line in lines if compare_digest(line.client_id, client_id)), None)
    return None if ours is None else _unwrapped(ours, key)


def _unwrapped(line: ClientLine, key: bytes) -> Secret:
    # update_into wants room for nearly a block more than it writes.
    with Secret(2 * COOKIE) as room, room.expose() as view:
        Cipher(algorithms.AES256(key), modes.CTR(line.iv)).decryptor().update_into(line.encrypted_cookie, view)
        with view[:COOKIE] as cookie:
            return Secret.copy_of(cookie)


def _exchange(seed: Secret, private: Secret, public: bytes) -> bool:
    """Write the shared secret into ``seed``; tell whether there is one."""
    with seed.pointer() as shared, private.pointer() as scalar:
        found: bool = sodium.crypto_scalarmult(shared, scalar, public) == 0
    burn_stack()
    return found


def _client_keys(seed: Secret, subcredential: bytes) -> tuple[bytes, bytes]:
    """Return the client id and the key that wraps the cookie."""
    hashed = hashlib.shake_256(subcredential)
    with seed.expose() as view:
        hashed.update(view)
    keys = hashed.digest(_ID + 32)
    return keys[:_ID], keys[_ID:]
