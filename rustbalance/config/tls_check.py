"""
How far a target's certificate is to be believed.

Owns: the forms of ``target.tls_verify``. In: text; out: ``TlsCheck``, or ``Refused``.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rustbalance.config.addresses import absolute
from rustbalance.config.complaints import Refused

_PIN = re.compile(r"sha256:([0-9a-fA-F]{64})", re.ASCII)


@dataclass(frozen=True)
class TlsCheck:
    """
    What must be true of the certificate.

    ``system``: signed by an authority that the system trusts. ``off``: nothing. ``authority``: signed by one in
    ``authorities`` (a PEM file). ``pin``: the SHA-256 of the certificate (DER) is ``pin``, 32 bytes.
    """

    form: Literal["system", "off", "authority", "pin"]
    authorities: Path | None = None
    pin: bytes | None = None


def parse_tls_check(text: str, base: Path) -> TlsCheck:
    """
    Read ``system``, ``off``, ``sha256:HEX`` or the path of a PEM file.

    :raises Refused: the file cannot be read, or the digest is not one.
    """
    if text == "system":
        return TlsCheck("system")
    if text == "off":
        return TlsCheck("off")
    if text.startswith("sha256:"):
        return _pinned(text)
    path = absolute(text, base)
    if not os.path.isfile(path):
        raise Refused('must be "system", "off", "sha256:" with 64 hexadecimal digits, or a PEM file that exists')
    return TlsCheck("authority", authorities=path)


def _pinned(text: str) -> TlsCheck:
    found = _PIN.fullmatch(text)
    if found is None:
        raise Refused('must have 64 hexadecimal digits after "sha256:"')
    return TlsCheck("pin", pin=bytes.fromhex(found[1]))
