"""
Encryption of the two layers of a descriptor.

Owns: layer keys, AES-256-CTR and the MAC. In: plaintext, salt and what both sides know; out: the blob that goes into a
MESSAGE object, and back. The keys of a layer are known to every client of the address (with restricted discovery: to
every authorized one) and die with the descriptor, so they are ordinary bytes; the descriptor cookie is a ``Secret``.
Source: rend-spec-v3 section 2.5.3, "Deriving hidden service descriptor encryption keys".
"""

import hashlib
from dataclasses import dataclass
from hmac import compare_digest

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from rustbalance.onion.netdoc import MalformedDescriptor
from rustbalance.onion.periods import int8
from rustbalance.secrets import Secret

SALT = 16
"""Bytes of fresh randomness in front of each layer."""
SUPERENCRYPTED = b"hsdir-superencrypted-data"
ENCRYPTED = b"hsdir-encrypted-data"
_KEY = 32
_IV = 16
_MAC = 32


class WrongLayerKey(MalformedDescriptor):
    """A layer does not authenticate with the keys at hand, or was damaged."""


@dataclass(frozen=True)
class LayerCipher:
    """What the keys of both layers come from: one period of a service, and one revision of its descriptor."""

    blinded_public: bytes
    subcredential: bytes
    revision: int

    def encrypt(self, constant: bytes, plaintext: bytes, salt: bytes, cookie: Secret | None = None) -> bytes:
        """Return salt, ciphertext and MAC of the layer that ``constant`` names; only the inner one has a ``cookie``."""
        key, iv, mac_key = self._keys(constant, salt, cookie)
        ciphertext = _aes_ctr(key, iv, plaintext)
        return salt + ciphertext + _mac(mac_key, salt, ciphertext)

    def decrypt(self, constant: bytes, blob: bytes, cookie: Secret | None = None) -> bytes:
        """
        Return the plaintext of the layer that ``constant`` names.

        :raises WrongLayerKey: it was encrypted with other keys, or damaged.
        """
        salt, ciphertext, mac = blob[:SALT], blob[SALT:-_MAC], blob[-_MAC:]
        key, iv, mac_key = self._keys(constant, salt, cookie)
        if len(blob) < SALT + _MAC or not compare_digest(mac, _mac(mac_key, salt, ciphertext)):
            raise WrongLayerKey(f"the layer {constant.decode()} does not authenticate")
        return _aes_ctr(key, iv, ciphertext)

    def _keys(self, constant: bytes, salt: bytes, cookie: Secret | None) -> tuple[bytes, bytes, bytes]:
        hashed = hashlib.shake_256(self.blinded_public)
        if cookie is not None:
            with cookie.expose() as view:
                hashed.update(view)
        hashed.update(self.subcredential + int8(self.revision) + salt + constant)
        keys = hashed.digest(_KEY + _IV + _MAC)
        return keys[:_KEY], keys[_KEY : _KEY + _IV], keys[_KEY + _IV :]


def _aes_ctr(key: bytes, iv: bytes, data: bytes) -> bytes:
    return Cipher(algorithms.AES256(key), modes.CTR(iv)).encryptor().update(data)


def _mac(key: bytes, salt: bytes, ciphertext: bytes) -> bytes:
    hashed = hashlib.sha3_256(int8(len(key)) + key + int8(len(salt)) + salt)
    hashed.update(ciphertext)
    return hashed.digest()
