"""
The words of the control protocol.

Owns: quoting and reading what control-spec (sections 2 and 3) leaves to the parties. In: values; out: command text,
and the other way round. Pure; the connection itself is txtorcon's.
"""

import re
from collections.abc import Iterable, Sequence

from rustbalance.onion.address import OnionAddress

#: Option and value; the value is None when Tor uses its default (control-spec 3.3).
Setting = tuple[str, str | None]

_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)
_LETTERS = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_UNKNOWN_SERVER = re.compile(r'Server "\$?([0-9A-Fa-f]{40})[^"]*" not found')
_STANDING_INTRODUCTION = re.compile(r"^\d+ BUILT .*\bPURPOSE=HS_SERVICE_INTRO\b.*\bHS_STATE=HSSI_ESTABLISHED\b", re.M)
_HIDDEN_SERVICE_CIRCUIT = re.compile(r"PURPOSE=HS_SERVICE_\w+.*REND_QUERY=([a-z2-7]{56})")


def quoted(value: str) -> str:
    """
    Return ``value`` as a QuotedString (control-spec 2.1.1), which torrc files take too.

    :raises ValueError: it has a line break, which neither can carry as it is.
    """
    if "\n" in value or "\r" in value:
        raise ValueError("a value for Tor must not contain a line break")
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquoted(value: str) -> str:
    """
    Return what the QuotedString says; a value without quotes is what it is.

    Tor writes every byte that is not printable ASCII in octal, so what is no UTF-8 comes out with surrogate escapes.
    """
    if len(value) < 2 or not (value[0] == value[-1] == '"'):
        return value
    inside = value[1:-1].encode("utf-8", "surrogateescape")
    return _ESCAPE.sub(_unescaped, inside).decode("utf-8", "surrogateescape")


def _unescaped(found: re.Match[bytes]) -> bytes:
    what = found[1]
    return bytes([int(what, 8) & 255]) if what.isdigit() and what < b"8" else _LETTERS.get(what, what)


def setconf(settings: Iterable[tuple[str, str]]) -> bytes:
    """Return one SETCONF command for all ``settings``, in order."""
    return ("SETCONF " + " ".join(f"{key}={quoted(value)}" for key, value in settings)).encode(
        "utf-8", "surrogateescape"
    )


def parse_settings(text: str) -> tuple[Setting, ...]:
    """Read the answer to GETCONF: one ``Key=value`` or ``Key`` a line."""
    return tuple(_setting(line) for line in text.splitlines() if line)


def _setting(line: str) -> Setting:
    key, equals, value = line.partition("=")
    return key, unquoted(value) if equals else None


def hspost(text: bytes, address: OnionAddress, directories: Sequence[str]) -> bytes:
    """
    Return the command that hands ``text`` to each of ``directories`` (fingerprints), without the last line ending.

    SERVER= is repeated, a list with commas is one unknown server; without HSADDRESS Tor never answers.
    Lines end with CRLF and a leading dot is doubled (control-spec 2.3).
    """
    servers = "".join(f" SERVER={fingerprint}" for fingerprint in directories)
    lines = (b"." + line if line.startswith(b".") else line for line in text.splitlines())
    return f"+HSPOST{servers} HSADDRESS={address.label}\r\n".encode() + b"\r\n".join(lines) + b"\r\n."


def unknown_server(text: str) -> str | None:
    """Return the fingerprint that a 552 answer to HSPOST complains about."""
    found = _UNKNOWN_SERVER.search(text)
    return found[1].upper() if found else None


def standing_introductions(text: str) -> int:
    """Return how many introduction points of our own are ready for visitors, from GETINFO circuit-status."""
    return len(_STANDING_INTRODUCTION.findall(text))


def services_on_circuits(text: str) -> frozenset[OnionAddress]:
    """Return the onion services for which GETINFO circuit-status shows circuits."""
    return frozenset(OnionAddress.parse(label) for label in _HIDDEN_SERVICE_CIRCUIT.findall(text))
