"""
The bytes of a frame.

Owns: where things lie in it, its encryption, what its signature covers. In: the parts, or bytes; out: the other, or
``MalformedFrame``. Who may say what, and when, is for ``frames.py``.

    frame:  version 1 | purpose 1 | key id 8 | nonce 24 | sealed: body + 16
    body:   signature 64 | boot id 16 | sequence 8 | time 8 | length of the sender's name 1 | name | message

XChaCha20-Poly1305 with the key of the purpose; the first ten bytes are its associated data. The signature covers them
too, so that what was signed for one token or purpose cannot be sealed again for another.
"""

from dataclasses import dataclass
from struct import Struct
from typing import Final

from rustbalance.cluster.keys import KEY_ID_SIZE, NodeKey, Purpose
from rustbalance.cluster.messages import NODE_ID, NodeId
from rustbalance.onion.keys import verify
from rustbalance.secrets import Secret, burn_stack, ffi, sodium

VERSION: Final = 1
MAX_FRAME: Final = 1024 * 1024
"""Bytes of the largest frame."""
BOOT: Final = 16
"""Bytes of a boot id: random, new for each start of a node."""
NONCE: Final = 24
_TAG: Final = 16
_SIGNATURE: Final = 64
_CONTEXT: Final = b"rustbalance frame v1\0"
_MICROSECONDS: Final = 1_000_000
_CODES: Final = {Purpose.MESH: 1, Purpose.JOIN: 2}
_PURPOSES: Final = {code: purpose for purpose, code in _CODES.items()}
_HEADER: Final = Struct(f">BB{KEY_ID_SIZE}s")
_FIELDS: Final = Struct(f">{BOOT}sQQB")
_SEALED_AT: Final = _HEADER.size + NONCE
_LEAST: Final = _SEALED_AT + _SIGNATURE + _FIELDS.size + 1 + _TAG
OVERHEAD: Final = _LEAST + 63
"""Bytes that a frame can be longer than its message."""


class MalformedFrame(ValueError):
    """The bytes are no frame of this version; the sentence says what is wrong."""


@dataclass(frozen=True)
class Header:
    """What anybody sees of a frame: which token, and for what."""

    purpose: Purpose
    key_id: bytes

    def encode(self) -> bytes:
        """Return its bytes."""
        return _HEADER.pack(VERSION, _CODES[self.purpose], self.key_id)


@dataclass(frozen=True)
class Envelope:
    """
    Who says it, when, and for which time, with the message still encoded.

    ``boot`` has 16 bytes; ``sequence`` grows with each frame of a boot; ``wall`` is the sender's Unix time.
    """

    sender: NodeId
    boot: bytes
    sequence: int
    wall: float
    message: bytes

    def encode(self) -> bytes:
        """Return its bytes, which are what is signed."""
        name = self.sender.encode("ascii")
        time = round(self.wall * _MICROSECONDS)
        return _FIELDS.pack(self.boot, self.sequence, time, len(name)) + name + self.message


@dataclass(frozen=True)
class Signed:
    """An envelope that was opened; whether its signature is right is yet to be seen."""

    envelope: Envelope
    signature: bytes
    covered: bytes

    def is_signed_by(self, public_key: bytes) -> bool:
        """Tell whether the node with this key has sealed it."""
        return verify(public_key, self.signature, self.covered)


def pack(envelope: Envelope, header: Header, key: Secret, node_key: NodeKey, nonce: bytes) -> bytes:
    """Return the frame. ``nonce`` (24 bytes) must be random."""
    start, fields = header.encode(), envelope.encode()
    body = node_key.sign(_CONTEXT + start + fields) + fields
    return start + nonce + _encrypt(body, start, nonce, key)


def read_header(frame: bytes) -> Header:
    """
    Return which key a frame wants.

    :raises MalformedFrame: it is too short, of another version, or for a purpose that nobody knows.
    """
    if len(frame) < _LEAST:
        raise MalformedFrame(f"a frame must have at least {_LEAST} bytes, not {len(frame)}")
    version, code, key_id = _HEADER.unpack_from(frame)
    if version != VERSION:
        raise MalformedFrame(f"a frame must be of version {VERSION}, not {version}")
    if code not in _PURPOSES:
        raise MalformedFrame(f"a frame cannot be for purpose {code}")
    return Header(_PURPOSES[code], key_id)


def unpack(frame: bytes, header: Header, key: Secret) -> Signed | None:
    """
    Return what is in a frame, or None when it was not sealed with ``key``, or changed since.

    :raises MalformedFrame: whoever sealed it did not keep to the layout.
    """
    start = header.encode()
    body = _decrypt(frame[_SEALED_AT:], start, frame[_HEADER.size : _SEALED_AT], key)
    if body is None:
        return None
    fields = body[_SIGNATURE:]
    return Signed(_read_fields(fields), body[:_SIGNATURE], _CONTEXT + start + fields)


def _read_fields(fields: bytes) -> Envelope:
    boot, sequence, time, length = _FIELDS.unpack_from(fields)
    end = _FIELDS.size + length
    name = fields[_FIELDS.size : end].decode("latin-1")
    if len(name) != length or not NODE_ID.fullmatch(name):
        raise MalformedFrame("the sender of a frame must be the name of a node")
    return Envelope(name, boot, sequence, time / _MICROSECONDS, fields[end:])


def _encrypt(body: bytes, associated: bytes, nonce: bytes, key: Secret) -> bytes:
    out = ffi.new("unsigned char[]", len(body) + _TAG)
    with key.pointer() as start:
        sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(
            *(out, ffi.NULL, body, len(body), associated, len(associated), ffi.NULL, nonce, start)
        )
    burn_stack()
    return bytes(ffi.buffer(out))


def _decrypt(sealed: bytes, associated: bytes, nonce: bytes, key: Secret) -> bytes | None:
    out = ffi.new("unsigned char[]", len(sealed) - _TAG)
    with key.pointer() as start:
        failed = sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
            *(out, ffi.NULL, ffi.NULL, sealed, len(sealed), associated, len(associated), nonce, start)
        )
    burn_stack()
    return None if failed else bytes(ffi.buffer(out))
