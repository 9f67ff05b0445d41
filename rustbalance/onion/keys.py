"""
The keys of an onion service: identity, blinded for a time period, and descriptor signing.

Owns: key blinding, ed25519 with expanded keys, subcredentials. In: secrets, periods, messages; out: public keys and
signatures. Every secret intermediate (nonces too: one of them gives the key away) stays in locked memory.

Sources: rend-spec-v3 appendix A.2 (blinding) and section 2.1 (subcredential); RFC 8032 section 5.1 (ed25519); C tor's
hs_common.c and ed25519_ref10/blinding.c where the text leaves a choice.
"""

import ctypes
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final

from rustbalance.onion.address import OnionAddress
from rustbalance.onion.periods import TimePeriod, int8
from rustbalance.secrets import CData, Secret, SecretWiped, address_of, burn_stack, ffi, libsodium, sodium

_BASE_POINT: Final = (
    b"(15112221349535400772501151409588531511454012693041857206046113283949847762202, "
    b"46316835694926478169428394003475163141307993866256225615783033603165251855960)"
)
_BLIND_STRING: Final = b"Derive temporary signing key\0"
_PREFIX_STRING: Final = b"Derive temporary signing key hash input"
# The specification and arti leave the NUL out; C tor hashes it, and its counters are the ones to outbid.
_REVISION_STRING: Final = b"rev-counter-generation\0"

_STATE: Final = 0  # where things lie in the workspace of a key: the SHA-512 state (208 bytes),
_NONCE_HASH: Final = 256  # then scalars; everything is wiped after each use
_NONCE: Final = 320
_POINT: Final = 352
_PRODUCT: Final = 384
_SUM: Final = 416
_WORKSPACE: Final = 448

for _name, _arguments in {
    "crypto_hash_sha512_init": [ctypes.c_void_p],
    "crypto_hash_sha512_update": [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ulonglong],
    "crypto_hash_sha512_final": [ctypes.c_void_p, ctypes.c_void_p],
    "crypto_sign_detached": [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ulonglong, ctypes.c_void_p],
    "crypto_sign_verify_detached": [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ulonglong, ctypes.c_void_p],
}.items():
    getattr(libsodium, _name).argtypes = _arguments


class InvalidKey(ValueError):
    """A key breaks a rule of ed25519; the message names the rule and never the key."""


class ExpandedKey:
    """
    An ed25519 key in expanded form: the scalar (32 bytes), then the prefix that nonces are made from (32 bytes).

    Takes ``secret`` over: ``wipe`` wipes it. May be used from several threads.

    :raises InvalidKey: the scalar is zero, or there are not 64 bytes.
    """

    def __init__(self, secret: Secret) -> None:
        if len(secret) != 64:
            raise InvalidKey(f"an expanded ed25519 key has 64 bytes, not {len(secret)}")
        self.secret = secret
        self._workspace = Secret(_WORKSPACE)
        self._lock = Lock()
        self.public = self._derive_public()

    def _derive_public(self) -> bytes:
        with self._opened() as (key, work):
            return _times_base(work + _POINT, key)

    def sign(self, message: bytes) -> bytes:
        """Return the signature of ``message`` (64 bytes); the same each time, as RFC 8032 has it."""
        with self._opened() as (key, work):
            point = self._choose_nonce(key, work, message)
            challenge = _reduced(hashlib.sha512(point + self.public + message).digest())
            sodium.crypto_core_ed25519_scalar_mul(work + _PRODUCT, challenge, key)
            sodium.crypto_core_ed25519_scalar_add(work + _SUM, work + _PRODUCT, work + _NONCE)
            return point + bytes(ffi.buffer(work + _SUM, 32))

    @staticmethod
    def _choose_nonce(key: CData, work: CData, message: bytes) -> bytes:
        """Leave r in the workspace and return R; libsodium uses the output of the multiplication as scratch for r."""
        state = address_of(work + _STATE)
        libsodium.crypto_hash_sha512_init(state)
        libsodium.crypto_hash_sha512_update(state, address_of(key + 32), 32)
        libsodium.crypto_hash_sha512_update(state, message, len(message))
        libsodium.crypto_hash_sha512_final(state, address_of(work + _NONCE_HASH))
        sodium.crypto_core_ed25519_scalar_reduce(work + _NONCE, work + _NONCE_HASH)
        return _times_base(work + _POINT, work + _NONCE)

    @contextmanager
    def _opened(self) -> Iterator[tuple[CData, CData]]:
        """
        Yield the key and a workspace, to one thread at a time, and clean up behind.

        Raises ``SecretWiped`` when the key went away meanwhile: half a signature with it could give it away.
        """
        with self._lock, self.secret.pointer() as key, self._workspace.pointer() as work:
            try:
                yield key, work
            finally:
                sodium.sodium_memzero(work, _WORKSPACE)
                burn_stack()
            if not self.secret.alive or not self._workspace.alive:
                raise SecretWiped("the key was wiped while it was used")

    def wipe(self) -> None:
        """Forget the key for good."""
        with self._lock:
            self.secret.wipe()
            self._workspace.wipe()


class MasterKey(ExpandedKey):
    """The identity key of an onion service (KS_hs_id)."""

    @classmethod
    def from_seed(cls, seed: Secret) -> "MasterKey":
        """
        Expand a seed of 32 bytes as RFC 8032 section 5.1.5 does; the seed stays the caller's.

        :raises InvalidKey: another length.
        """
        if len(seed) != 32:
            raise InvalidKey(f"an ed25519 seed has 32 bytes, not {len(seed)}")
        secret = Secret(64)
        with seed.pointer() as source, secret.pointer() as expanded, secret.expose() as view:
            sodium.crypto_hash_sha512(expanded, source, 32)
            view[0] &= 248
            view[31] = view[31] & 63 | 64
        burn_stack()
        return cls(secret)

    @classmethod
    def from_expanded(cls, secret: Secret) -> "MasterKey":
        """
        Take over 64 bytes as Tor stores them.

        :raises InvalidKey: another length, or a scalar that is not clamped (RFC 8032 section 5.1.5), which is no key
            that Tor would make or use safely.
        """
        if len(secret) == 64:
            with secret.expose() as view:
                clamped = view[0] & 7 == 0 and view[31] & 192 == 64
            if not clamped:
                raise InvalidKey("the scalar of an expanded ed25519 key must be clamped; is this another kind of file?")
        return cls(secret)

    @property
    def address(self) -> OnionAddress:
        """The onion address of the service."""
        return OnionAddress(self.public)

    def blind(self, period: TimePeriod) -> "BlindedKey":
        """Return the key that signs for this service in ``period``."""
        return BlindedKey(self.blinded_secret(blinding_parameter(self.public, period)), period)

    def blinded_secret(self, parameter: bytes) -> Secret:
        """Return the expanded key that ``parameter`` (32 bytes, clamped here) turns this one into (appendix A.2)."""
        with self._opened() as (key, work), (blinded := Secret(64)).pointer() as out:
            sodium.crypto_core_ed25519_scalar_mul(out, _clamped(parameter), key)
            state = address_of(work + _STATE)
            libsodium.crypto_hash_sha512_init(state)
            libsodium.crypto_hash_sha512_update(state, _PREFIX_STRING, len(_PREFIX_STRING))
            libsodium.crypto_hash_sha512_update(state, address_of(key + 32), 32)
            libsodium.crypto_hash_sha512_final(state, address_of(work + _NONCE_HASH))
            ffi.memmove(out + 32, work + _NONCE_HASH, 32)
        return blinded


class BlindedKey(ExpandedKey):
    """The identity key blinded for one time period (KS_hs_blind_id)."""

    def __init__(self, secret: Secret, period: TimePeriod) -> None:
        super().__init__(secret)
        self.period = period

    def revision_key(self) -> bytes:
        """Return the key of the revision counters of this period (32 bytes; C tor's hs_ob.c and hs_service.c)."""
        with self.secret.expose() as view:
            digest = hashlib.sha3_256(_REVISION_STRING)
            digest.update(view)
        return digest.digest()


class DescriptorSigningKey:
    """
    An ordinary ed25519 key that signs one descriptor and the certificates in it (KS_hs_desc_sign).

    ``seed`` (32 bytes) stays the caller's.

    :raises InvalidKey: another length.
    """

    def __init__(self, seed: Secret) -> None:
        if len(seed) != 32:
            raise InvalidKey(f"an ed25519 seed has 32 bytes, not {len(seed)}")
        self._secret = Secret(64)
        public = ffi.new("unsigned char[32]")
        with seed.pointer() as source, self._secret.pointer() as key:
            sodium.crypto_sign_seed_keypair(public, key, source)
        burn_stack()
        self.public: bytes = ffi.buffer(public)[:]

    def sign(self, message: bytes) -> bytes:
        """Return the signature of ``message`` (64 bytes)."""
        signature = ctypes.create_string_buffer(64)
        with self._secret.pointer() as key:
            libsodium.crypto_sign_detached(signature, None, message, len(message), address_of(key))
        burn_stack()
        if not self._secret.alive:
            raise SecretWiped("the key was wiped while it was used")
        return signature.raw

    def wipe(self) -> None:
        """Forget the key for good."""
        self._secret.wipe()


def verify(public: bytes, signature: bytes, message: bytes) -> bool:
    """Tell whether ``signature`` (64 bytes) of ``message`` was made with the key of ``public`` (32 bytes)."""
    if len(public) != 32 or len(signature) != 64:
        return False
    return bool(libsodium.crypto_sign_verify_detached(signature, message, len(message), public) == 0)


def blinding_parameter(identity_public: bytes, period: TimePeriod) -> bytes:
    """Return the factor h of appendix A.2 before it is clamped (32 bytes)."""
    nonce = b"key-blind" + int8(period.number) + int8(period.length)
    return hashlib.sha3_256(_BLIND_STRING + identity_public + _BASE_POINT + nonce).digest()


def blind_public(identity_public: bytes, period: TimePeriod) -> bytes:
    """
    Return the blinded public key of a service in ``period`` (32 bytes).

    :raises InvalidKey: ``identity_public`` is no point of the prime-order group.
    """
    return blinded_point(identity_public, blinding_parameter(identity_public, period))


def blinded_point(identity_public: bytes, parameter: bytes) -> bytes:
    """Return the public key that ``parameter`` (32 bytes, clamped here) turns ``identity_public`` into."""
    point = ffi.new("unsigned char[32]")
    if len(identity_public) != 32 or sodium.crypto_scalarmult_ed25519_noclamp(
        point, _clamped(parameter), identity_public
    ):
        raise InvalidKey("an identity key must be a point of ed25519's prime-order group")
    return bytes(ffi.buffer(point))


def subcredential(identity_public: bytes, blinded_public: bytes) -> bytes:
    """Return what a client of the address must know to decrypt the descriptors of one period (section 2.1)."""
    credential = hashlib.sha3_256(b"credential" + identity_public).digest()
    return hashlib.sha3_256(b"subcredential" + credential + blinded_public).digest()


def _times_base(out: CData, scalar: CData) -> bytes:
    """Return scalar times B; ``out`` must be locked, because libsodium keeps the scalar there while it works."""
    if sodium.crypto_scalarmult_ed25519_base_noclamp(out, scalar) != 0:
        raise InvalidKey("the scalar of an ed25519 key must not be zero")
    return bytes(ffi.buffer(out, 32))


def _clamped(parameter: bytes) -> bytes:
    return bytes([parameter[0] & 248, *parameter[1:31], parameter[31] & 63 | 64])


def _reduced(digest: bytes) -> CData:
    """Return a public digest of 64 bytes modulo the group order."""
    scalar = ffi.new("unsigned char[32]")
    sodium.crypto_core_ed25519_scalar_reduce(scalar, digest)
    return scalar
