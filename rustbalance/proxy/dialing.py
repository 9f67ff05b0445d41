"""
Ways to the target.

Owns: which endpoint leads there (onion through Tor, TCP, Unix socket; with TLS or without). In: settings and where
Tor's SOCKS port is right now; out: connections that are ready for a request, or a failure in time.
"""

import ipaddress
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    UNIXClientEndpoint,
    wrapClientTLS,
)
from twisted.internet.interfaces import IStreamClientEndpoint

from rustbalance.proxy.failures import NoWay
from rustbalance.proxy.settings import OnionTarget, ProxySettings, TcpTarget
from rustbalance.proxy.socks import SocksAddress, SocksEndpoint
from rustbalance.proxy.stream import QuietFactory
from rustbalance.proxy.target import SecureTargetConnection, TargetConnection
from rustbalance.proxy.tls import tls_check, tls_creator

Socks = Callable[[], SocksAddress | None]


class Dialer:
    """Opens connections to the one target. ``socks`` is asked anew each time, since the ready Tor may change."""

    def __init__(self, settings: ProxySettings, socks: Socks, reactor: Any) -> None:
        self._settings = settings
        self._socks = socks
        self._reactor = reactor
        self._check = None if settings.tls is None else tls_check(settings.tls)
        self._creator = None if settings.tls is None else tls_creator(settings.tls, _name(settings))

    def dial(self) -> Deferred[TargetConnection]:
        """
        Return a Deferred of a connection that is ready; cancelling it gives the attempt up.

        It fails with what :func:`rustbalance.proxy.failures.trouble` understands.
        """
        try:
            endpoint = self._endpoint()
        except NoWay as error:
            return fail(error)
        connection = TargetConnection()
        if self._creator is not None:
            endpoint = wrapClientTLS(self._creator, endpoint)
            connection = SecureTargetConnection(self._check)
        connecting = endpoint.connect(QuietFactory(lambda: connection))
        opening: Deferred[TargetConnection] = connecting.addCallback(lambda _: connection.ready)
        return opening.addTimeout(self._settings.connect_timeout, self._reactor)

    def _endpoint(self) -> IStreamClientEndpoint:
        target, patience = self._settings.target, self._settings.connect_timeout
        if isinstance(target, OnionTarget):
            return self._through_tor(target)
        if isinstance(target, TcpTarget):
            tcp: IStreamClientEndpoint = _tcp_kind(target.host)(
                self._reactor, target.host, target.port, timeout=patience
            )
            return tcp
        return UNIXClientEndpoint(self._reactor, str(target.path), timeout=patience)

    def _through_tor(self, target: OnionTarget) -> SocksEndpoint:
        proxy = self._socks()
        if proxy is None:
            raise NoWay("no Tor is ready")
        settings = self._settings
        return SocksEndpoint(
            self._reactor, proxy, target.host, target.port, settings.isolation, settings.connect_timeout
        )


def _tcp_kind(host: str) -> Any:
    """Choose by the host's form; for an IP address ``HostnameEndpoint`` would cost half a millisecond more."""
    try:
        literal = ipaddress.ip_address(host)
    except ValueError:
        return HostnameEndpoint
    return TCP4ClientEndpoint if literal.version == 4 else TCP6ClientEndpoint


def _name(settings: ProxySettings) -> str:
    """Return the name that the certificate must bear; a Unix socket's target goes by ``localhost``."""
    return settings.place.host.decode("ascii").strip("[]")
