"""
What the proxy is told at its start.

Owns: the settings of the front and of the target. In: nothing; out: ``ProxySettings``, frozen. Times are seconds,
sizes bytes. Made from the configuration by whoever starts the proxy; nothing here knows the configuration's form.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rustbalance.proxy.place import DEFAULT_PORTS, Place


@dataclass(frozen=True)
class OnionTarget:
    """An onion service, reached through Tor. ``host`` is the address with ``.onion``."""

    host: str
    port: int = 80


@dataclass(frozen=True)
class TcpTarget:
    """``host`` is a name or an IP address, an IPv6 one without brackets."""

    host: str
    port: int


@dataclass(frozen=True)
class UnixTarget:
    """A Unix socket; it is called ``localhost`` where a name is needed."""

    path: Path


Target = OnionTarget | TcpTarget | UnixTarget


@dataclass(frozen=True)
class TlsSettings:
    """
    TLS with the target. Its certificate must be: ``system``, signed by an authority of the system and for its name;
    ``authority``, signed by one in the PEM file ``authorities`` and for its name; ``pin``, exactly the one whose DER
    form has the SHA-256 ``pin`` (32 bytes); ``off``, anything.
    """

    form: Literal["system", "off", "authority", "pin"] = "system"
    authorities: Path | None = None
    pin: bytes | None = None


@dataclass(frozen=True)
class ProxySettings:
    """
    ``listen``: a path for a Unix socket (mode 0600), or a port on 127.0.0.1 (0 picks one).

    ``tls`` None: plain HTTP. ``host_header``: whether the target sees its own name or what the visitor asked for.
    ``connect_timeout`` covers Tor's circuits and TLS as well. ``idle_timeout`` is silence, never the total.
    ``max_connections`` to the target at once, past it a 503; ``max_visitors`` connections of visitors, likewise.
    ``isolation``: streams of the target use circuits of their own under this name. ``drain_timeout``: how long running
    requests may go on after the stop, ``afterglow`` what Tor then has for the last of their answers, which it took from
    us but does not tell when it has sent. ``head_timeout``: from a head's first byte to its last. ``keep_alive``:
    silence between two requests of a visitor; ``pool_idle``: the same on a connection to the target, of which
    ``pool_size`` are kept. ``tick``: how often deadlines are looked at.
    """

    listen: Path | int
    target: Target
    tls: TlsSettings | None = None
    host_header: Literal["target", "preserve"] = "target"
    connect_timeout: float = 30.0
    idle_timeout: float = 300.0
    max_connections: int = 2048
    max_visitors: int = 8192
    isolation: str | None = None
    drain_timeout: float = 10.0
    afterglow: float = 1.0
    head_timeout: float = 30.0
    keep_alive: float = 75.0
    pool_idle: float = 30.0
    pool_size: int = 64
    tick: float = 1.0

    @property
    def place(self) -> Place:
        """The names by which the target goes in headers."""
        tls, preserve = self.tls is not None, self.host_header == "preserve"
        if isinstance(self.target, UnixTarget):
            return Place(b"localhost", DEFAULT_PORTS[tls], tls, preserve)
        host = self.target.host.lower().removesuffix(".").encode("ascii")
        return Place(b"[%b]" % host if b":" in host else host, self.target.port, tls, preserve)
