"""
Onion service addresses, version 3.

Owns: the 56-character encoding of an identity key. In: text or a public key; out: ``OnionAddress``.
Source: rend-spec-v3 section 6, "Encoding onion addresses".
"""

import base64
import hashlib
import re
from dataclasses import dataclass

VERSION = b"\x03"
_SUFFIX = ".onion"
_LABEL = re.compile(r"([A-Za-z2-7]{56})(?:\.onion)?", re.IGNORECASE | re.ASCII)


class AddressError(ValueError):
    """The text is no version 3 onion address; the message names the rule and never the text."""


@dataclass(frozen=True, repr=False)
class OnionAddress:
    """
    The address of the service whose ed25519 identity key is ``public_key`` (32 bytes).

    ``str`` and ``repr`` are shortened, so that a log line cannot give an address away; ``text`` is the whole of it.
    """

    public_key: bytes

    def __post_init__(self) -> None:
        if len(self.public_key) != 32:
            raise AddressError(f"an identity key has 32 bytes, not {len(self.public_key)}")

    @classmethod
    def parse(cls, text: str) -> "OnionAddress":
        """
        Read an address in either case, with or without ``.onion``.

        :raises AddressError: wrong length, alphabet, version or checksum.
        """
        found = _LABEL.fullmatch(text)
        if found is None:
            raise AddressError("an onion address has 56 characters of a-z and 2-7, then .onion or nothing")
        raw = base64.b32decode(found[1].upper())
        public_key, checksum, version = raw[:32], raw[32:34], raw[34:]
        if version != VERSION:
            raise AddressError(f"an onion address must have version 3, not {version[0]}")
        if checksum != _checksum(public_key):
            raise AddressError("the checksum of the onion address is wrong; is a character mistyped?")
        return cls(public_key)

    @property
    def label(self) -> str:
        """The 56 characters in lower case, as HSPOST's HSADDRESS and GETINFO take them."""
        raw = self.public_key + _checksum(self.public_key) + VERSION
        return base64.b32encode(raw).decode("ascii").lower()

    @property
    def text(self) -> str:
        """The whole address, ``.onion`` included."""
        return self.label + _SUFFIX

    def __str__(self) -> str:
        return f"{self.label[:6]}…{self.label[-4:]}{_SUFFIX}"

    def __repr__(self) -> str:
        return f"<OnionAddress {self}>"


def _checksum(public_key: bytes) -> bytes:
    return hashlib.sha3_256(b".onion checksum" + public_key + VERSION).digest()[:2]
