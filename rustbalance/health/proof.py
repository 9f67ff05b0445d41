"""
How the nodes of a cluster know each other's visits to the address, and each other's answers.

Owns: the two proofs. In: a nonce, an answer, keys; out: fields of HTTP, which are public. Pure.

Whoever visits the canary sends a nonce and proves by it that it has a key of the cluster; whoever answers proves the
same of the nonce and the whole answer, in which its name is. No secret is sent: what the visit reaches may be somebody
else's, or the target of a node that has no canary.

    Authorization: RustBalance NONCE PROOF          (hexadecimal digits; 16 and 32 bytes)
    Authentication-Info: PROOF                      (RFC 9110 section 11.6.3)

A nonce begins with the time, so that whoever has recorded a visit cannot repeat it for long: it tells him who answers.

A proof is HKDF-Expand (RFC 5869) with the key, a label and what is proved: HMAC-SHA256 by another name.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from rustbalance.cluster.keys import KeyRing, Purpose, hkdf_expand, hkdf_extract
from rustbalance.secrets import Secret, ffi

NONCE: Final = 16
"""Bytes that make a visit different from all others, of which the first ``_TIME`` say when it began (Unix time)."""
FRESH: Final = 300.0
"""Seconds by which that may differ from our time: circuits are slow, and clocks differ."""
_TIME: Final = 6
SIZE: Final = 32
SCHEME: Final = b"rustbalance"
_VISIT: Final = b"rustbalance canary visit v1\0"
_ANSWER: Final = b"rustbalance canary answer v1\0"
_SALT: Final = b"rustbalance canary token v1"
_CREDENTIALS: Final = re.compile(rb"([0-9a-f]{32}) ([0-9a-f]{64})")
_PROOF: Final = re.compile(rb"[0-9a-f]{64}")


@dataclass(frozen=True, eq=False)
class Visit:
    """A visit that has proved to come from the cluster: its nonce, and the key that it and the answer are proved by."""

    nonce: bytes
    key: Secret

    def prove(self, body: bytes) -> bytes:
        """Return the value of Authentication-Info for an answer with this body."""
        return _proof(self.key, _ANSWER + self.nonce + body)


def visit_keys(ring: KeyRing | None, otherwise: Secret, wall: float) -> tuple[Secret, ...]:
    """
    Return the keys that are good at the Unix time ``wall``, ours first; they stay the caller's.

    They come from the cluster token. Without one it is ``otherwise``: what the canary's token gives, or for want of
    that a random one, by which a node alone knows itself.
    """
    if ring is None:
        return (otherwise,)
    former = (old.keys for old in ring.accepted if old.until is None or wall < old.until)
    return tuple(keys.of(Purpose.CANARY) for keys in (ring.current, *former))


def token_key(token: Secret) -> Secret:
    """Return the key that the canary's token gives; ``token`` stays the caller's."""
    return hkdf_extract(_SALT, token)


def new_nonce(wall: float, random_bytes: Callable[[int], bytes]) -> bytes:
    """Return the nonce for a visit that begins at the Unix time ``wall``."""
    return int(wall).to_bytes(_TIME) + random_bytes(NONCE - _TIME)


def credentials(key: Secret, nonce: bytes) -> bytes:
    """Return the value of Authorization for a visit with ``nonce``."""
    return b"RustBalance %b %b" % (nonce.hex().encode("ascii"), _proof(key, _VISIT + nonce))


def recognise(given: bytes, keys: Iterable[Secret], wall: float) -> Visit | None:
    """Return the visit if what stands behind the scheme proves one of the keys, and is not older than ``FRESH``."""
    found = _CREDENTIALS.fullmatch(given)
    if found is None:
        return None
    nonce = bytes.fromhex(found[1].decode("ascii"))
    if abs(wall - int.from_bytes(nonce[:_TIME])) > FRESH:
        return None
    key = next((key for key in keys if _is_proof(key, _VISIT + nonce, found[2])), None)
    return None if key is None else Visit(nonce, key)


def is_genuine(given: Sequence[bytes], key: Secret, nonce: bytes, body: bytes) -> bool:
    """Say whether the values of Authentication-Info prove that ``body`` answers the visit with ``nonce``."""
    return (
        len(given) == 1 and _PROOF.fullmatch(given[0]) is not None and _is_proof(key, _ANSWER + nonce + body, given[0])
    )


def _proof(key: Secret, what: bytes) -> bytes:
    """Return the proof in hexadecimal digits; it is public, and tells nothing of the key."""
    with hkdf_expand(key, what, SIZE) as proof, proof.pointer() as start:
        return ffi.buffer(start, SIZE)[:].hex().encode("ascii")  # type: ignore[no-any-return]


def _is_proof(key: Secret, what: bytes, given: bytes) -> bool:
    with hkdf_expand(key, what, SIZE) as proof:
        return proof == bytes.fromhex(given.decode("ascii"))
