"""
What ``--target`` may look like.

Owns: the forms people type. In: ``xxx.onion``, ``HOST:PORT``, ``unix:PATH``, or an http(s) URL of the first two; out:
the keys of the ``[target]`` table.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from rustbalance.config.addresses import parse_address, parse_host_port
from rustbalance.config.complaints import Refused
from rustbalance.config.writing import Value
from rustbalance.onion.address import AddressError, OnionAddress

FORMS = "ADDRESS.onion[:PORT], HOST:PORT, unix:PATH, or http(s):// with a host"
_URL = re.compile(r"(?P<scheme>https?)://(?P<host>[^/?#@\s]+)/?", re.IGNORECASE)
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class _Wanted:
    """Host and port as typed; ``port`` is what to take when none was."""

    text: str
    port: int | None
    tls: bool


def parse_target(text: str, base: Path) -> dict[str, Value]:
    """
    Return the settings, by dotted key, that make ``text`` the target; ``base`` is what a relative path starts at.

    :raises Refused: it is none of the forms.
    """
    if text.startswith("unix:"):
        return {"target.address": str(parse_address(text, base))}
    wanted = _wanted(text)
    settings = _onion(wanted) if _is_onion(wanted.text) else _host(wanted)
    return {**settings, **({"target.use_tls": True} if wanted.tls else {})}


def _wanted(text: str) -> _Wanted:
    if "://" not in text:
        return _Wanted(text, None, tls=False)
    found = _URL.fullmatch(text)
    if found is None:
        raise Refused(f"must be one of {FORMS}; a path, a user name or a query has no place in it")
    scheme = found["scheme"].lower()
    return _Wanted(found["host"], _PORTS[scheme], tls=scheme == "https")


def _is_onion(text: str) -> bool:
    return text.partition(":")[0].lower().endswith(".onion")


def _onion(wanted: _Wanted) -> dict[str, Value]:
    host, colon, _ = wanted.text.partition(":")
    try:
        address = OnionAddress.parse(host)
    except AddressError as error:
        raise Refused(f"is no v3 onion address: {error}") from None
    port = parse_host_port(wanted.text).port if colon else wanted.port or _PORTS["http"]
    return {"target.onion_address": address.text, "target.port": port}


def _host(wanted: _Wanted) -> dict[str, Value]:
    has_port = re.search(r":\d+$", wanted.text) is not None
    if not has_port and wanted.port is None:
        raise Refused(f"needs a port: it must be one of {FORMS}")
    return {"target.address": str(parse_host_port(wanted.text if has_port else f"{wanted.text}:{wanted.port}"))}
