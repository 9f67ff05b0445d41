"""
Where to connect to or listen at.

Owns: the two forms ``HOST:PORT`` and ``unix:PATH``. In: text; out: ``HostPort`` or ``UnixPath``, or ``Refused``.
"""

import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path

from rustbalance.config.complaints import Refused

#: sun_path of unix(7) has 108 bytes, one of them for the closing zero.
LONGEST_UNIX_PATH = 107
_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?", re.ASCII)
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)


@dataclass(frozen=True)
class HostPort:
    """A TCP address; ``host`` is a name or an IP address, an IPv6 one without its brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class UnixPath:
    """A Unix socket in the file system; ``path`` is absolute."""

    path: Path

    def __str__(self) -> str:
        return f"unix:{self.path}"


Address = HostPort | UnixPath


def parse_address(text: str, base: Path) -> Address:
    """
    Read ``HOST:PORT`` or ``unix:PATH``; a relative path is meant from the directory ``base``.

    :raises Refused: neither of them.
    """
    return parse_unix(text, base) if text.startswith("unix:") else parse_host_port(text)


def parse_unix(text: str, base: Path) -> UnixPath:
    """
    Read ``unix:PATH``.

    :raises Refused: another form, or a path too long for a Unix socket.
    """
    if not text.startswith("unix:"):
        raise Refused("must have the form unix:PATH")
    return UnixPath(socket_path(text.removeprefix("unix:"), base))


def socket_path(text: str, base: Path) -> Path:
    """
    Read the path of a Unix socket.

    :raises Refused: empty, or longer than 107 bytes when made absolute.
    """
    path = absolute(text, base)
    length = len(os.fsencode(path))
    if length > LONGEST_UNIX_PATH:
        raise Refused(f"must be a path of at most {LONGEST_UNIX_PATH} bytes (it has {length}), as Unix sockets need")
    return path


def absolute(text: str, base: Path) -> Path:
    """
    Return the absolute path that ``text`` means in a file in the directory ``base``.

    :raises Refused: empty, or it holds characters that no path can hold.
    """
    if not text or not text.isprintable():
        raise Refused("must be a path: not empty, no control characters")
    return Path(os.path.normpath(base.absolute() / text))


def parse_host_port(text: str) -> HostPort:
    """
    Read ``HOST:PORT``, with an IPv6 address in brackets.

    :raises Refused: no port, a bad one, or a host that is neither a name nor an IP address.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not _PORT.fullmatch(port) or not 1 <= int(port) <= 65535:
        raise Refused("must have the form HOST:PORT with a port from 1 to 65535, or unix:PATH")
    return HostPort(parse_host(host), int(port))


def parse_host(text: str) -> str:
    """
    Read a host name, an IPv4 address, or an IPv6 address in brackets (which are dropped).

    :raises Refused: none of them.
    """
    if text.startswith("[") and text.endswith("]"):
        return _ipv6(text[1:-1])
    if len(text) > 253 or not _NAME.fullmatch(text):
        raise Refused("must name a host: a name, an IPv4 address, or an IPv6 address in brackets")
    return text.lower()


def _ipv6(text: str) -> str:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        raise Refused("must hold an IPv6 address between the brackets") from None
