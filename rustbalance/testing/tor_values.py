"""
How tor writes the values of its options, and what it was given.

Owns: the quoting of a FakeTor, kept apart from that of the code under test, and its record of a descriptor. In: values;
out: text, and the other way round. Pure.
"""

import re
from dataclasses import dataclass

_PAIR = re.compile(r'(\w+)(?:=(?:"((?:[^"\\]|\\.)*)"|(\S*)))?')


@dataclass(frozen=True)
class Posted:
    """One HSPOST that was accepted."""

    text: bytes
    address: str
    directories: tuple[str, ...]


def settings(text: str) -> list[tuple[str, str]]:
    """Return the options in what follows SETCONF."""
    return [(key, re.sub(r"\\(.)", r"\1", quoted) or plain) for key, quoted, plain in _PAIR.findall(text)]


def shown(value: str) -> str:
    """Return a value as GETCONF shows it: bare, unless something in it is not printable ASCII or begins a comment."""
    plain = value.isascii() and value.isprintable() and "#" not in value
    return value if plain else f'"{escaped(value)}"'


def escaped(value: str) -> str:
    """Write quotes and backslashes with a backslash, and what is not printable ASCII in octal."""
    plain = value.replace("\\", "\\\\").replace('"', '\\"')
    return "".join(chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}" for byte in plain.encode())
