"""
What a key of the configuration is, and the kinds there are.

Owns: ``Key``, which sits in the annotation of each field of ``schema.py`` and holds the sentence, the rule and the
reading of that key, so that all of it stands in one place. In: a value as tomllib gives it; out: the value we use.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from rustbalance.config.addresses import absolute, parse_address, parse_host, parse_unix, socket_path
from rustbalance.config.complaints import Refused, shortened, shown
from rustbalance.config.tls_check import parse_tls_check
from rustbalance.onion.address import AddressError, OnionAddress
from rustbalance.secrets import Secret

#: Reads a value; a path in it is meant from the directory given. Raises Refused.
Reader = Callable[[object, Path], object]


@dataclass(frozen=True)
class Key:
    """
    One key: ``says`` what it does, ``kind`` is its type in words, ``rule`` what a value must keep.

    ``later``: the feature comes with a later version, so only the default is accepted. ``secret``: never shown.
    ``default`` words the default where it is found out rather than fixed. ``check`` raises Refused for a secret that
    breaks the rule, and never shows it.
    """

    says: str
    kind: str
    rule: str
    read: Reader
    show: Callable[[object], str] = shown
    later: bool = False
    secret: bool = False
    default: str | None = None
    check: Callable[[Secret], None] | None = None


def later(key: Key) -> Key:
    """Mark a key that this version knows but cannot serve yet."""
    return replace(key, later=True)


def found_out(key: Key, default: str) -> Key:
    """Mark a key whose default is found out in the way that ``default`` words."""
    return replace(key, default=default)


def whole(says: str, low: int, high: int) -> Key:
    """Return a key for an integer from ``low`` to ``high``."""

    def read(value: object, _: Path) -> int:
        if type(value) is not int or not low <= value <= high:
            raise Refused
        return value

    return Key(says, "integer", f"must be a whole number from {low} to {high}", read)


def port(says: str) -> Key:
    """Return a key for a TCP port."""
    return whole(says, 1, 65535)


def seconds(says: str, low: float, high: float) -> Key:
    """Return a key for a time in seconds, whole or not."""

    def read(value: object, _: Path) -> float:
        if type(value) not in (int, float) or not low <= value <= high:  # type: ignore[operator]
            raise Refused
        return float(value)  # type: ignore[arg-type]

    return Key(says, "seconds", f"must be a number of seconds from {low:g} to {high:g}", read)


def switch(says: str) -> Key:
    """Return a key that is true or false."""

    def read(value: object, _: Path) -> bool:
        if type(value) is not bool:
            raise Refused
        return value

    return Key(says, "boolean", "must be true or false", read)


def choice(says: str, *options: str) -> Key:
    """Return a key that takes one of a few words."""

    def read(value: object, _: Path) -> str:
        if value not in options or not isinstance(value, str):
            raise Refused
        return value

    words = ", ".join(f'"{option}"' for option in options)
    return Key(says, "string", f"must be one of {words}" if len(options) > 1 else f"must be {words}", read)


def matching(says: str, rule: str, pattern: str) -> Key:
    """Return a key for a string that ``pattern`` matches as a whole."""
    compiled = re.compile(pattern, re.ASCII)

    def read(value: object, _: Path) -> str:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            raise Refused
        return value

    return Key(says, "string", rule, read)


def _from_text(says: str, rule: str, parse: Callable[[str, Path], object]) -> Key:
    def read(value: object, base: Path) -> object:
        if not isinstance(value, str):
            raise Refused
        return parse(value, base)

    return Key(says, "string", rule, read)


def path(says: str) -> Key:
    """Return a key for a path, relative to the directory of the configuration file."""
    return _from_text(says, "must be a path", absolute)


def file(says: str) -> Key:
    """Return a key for the path of a file that can be read."""

    def parse(text: str, base: Path) -> Path:
        found = absolute(text, base)
        if not os.path.isfile(found) or not os.access(found, os.R_OK):
            raise Refused("must name a file that exists and can be read")
        return found

    return _from_text(says, "must name a file that exists and can be read", parse)


def program(says: str) -> Key:
    """Return a key for a program: a name looked up on PATH, or a path."""

    def parse(text: str, base: Path) -> str:
        return str(absolute(text, base)) if "/" in text else matching("", "", r"[!-~]{1,255}").read(text, base)  # type: ignore[return-value]

    return _from_text(says, "must be the name or the path of a program", parse)


def unix_socket(says: str) -> Key:
    """Return a key for the path of a Unix socket (without ``unix:``)."""
    return _from_text(says, "must be a path of at most 107 bytes, as Unix sockets need", socket_path)


def unix_address(says: str) -> Key:
    """Return a key for ``unix:PATH``."""
    return _from_text(says, "must have the form unix:PATH, with at most 107 bytes of path", parse_unix)


def address(says: str) -> Key:
    """Return a key for ``HOST:PORT`` or ``unix:PATH``."""
    return _from_text(says, "must have the form HOST:PORT or unix:PATH", parse_address)


def tls_check(says: str) -> Key:
    """Return a key for what a target's certificate must be."""
    rule = 'must be "system", "off", "sha256:" with 64 hexadecimal digits, or the path of a PEM file'
    return _from_text(says, rule, parse_tls_check)


def host(says: str) -> Key:
    """Return a key for a host name or IP address."""
    return _from_text(says, "must be a host name or an IP address (IPv6 in brackets)", lambda text, _: parse_host(text))


def onion(says: str) -> Key:
    """Return a key for an onion address; its value is only ever shown shortened."""

    def parse(text: str, _: Path) -> OnionAddress:
        try:
            return OnionAddress.parse(text)
        except AddressError as error:
            raise Refused(f"must be a v3 onion address: {error}") from None

    key = _from_text(says, "must be a v3 onion address with a right checksum", parse)
    return replace(key, show=shortened)


def statuses(says: str) -> Key:
    """Return a key for a status of HTTP, or two with ``-`` between the first and the last."""
    form = re.compile(r"([1-5][0-9][0-9])(?:-([1-5][0-9][0-9]))?")

    def read(value: object, _: Path) -> str:
        found = form.fullmatch(value) if isinstance(value, str) else None
        if found is None or found[1] > (found[2] or found[1]):
            raise Refused
        return found[0]

    return Key(says, "string", "must be a status or two like 200-399, the lower one first", read)


def texts(says: str, rule: str = "must be an array of strings") -> Key:
    """Return a key for an array of strings."""

    def read(value: object, _: Path) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
            raise Refused
        return tuple(value)

    return Key(says, "array", rule, read)


def hidden(says: str, check: Callable[[Secret], None] | None = None, rule: str | None = None) -> Key:
    """Return a key for a secret; ``secret_keys.py`` fetches it, no reader ever sees it."""

    def read(_: object, __: Path) -> object:
        raise Refused

    form = "must be given in its file, or as one plain string of at least one character in double quotes"
    return Key(says, "secret", rule or form, read, secret=True, check=check)
