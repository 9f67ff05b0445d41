"""
Ways to the target.

Owns: which endpoint leads there (onion through Tor, TCP, Unix socket; with TLS or without). In: settings and where
Tor's SOCKS ports are right now; out: connections that are ready for a request, or a failure in time.

Where there are two SOCKS ports, the second one is tried at once when the first does not do its part. A "general
failure" is one of the moment, so who has said that is asked once more when nobody else is left. What the target
answers, or that it cannot be found, is the target's own affair: another Tor would hear the same.
"""

import ipaddress
from collections.abc import Sequence
from typing import Any, Protocol

from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    UNIXClientEndpoint,
    wrapClientTLS,
)
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.python.failure import Failure

from rustbalance.proxy.failures import NoWay
from rustbalance.proxy.settings import OnionTarget, ProxySettings, TcpTarget, UnixTarget
from rustbalance.proxy.socks import SocksAddress, SocksEndpoint, SocksFailure, SocksRefused
from rustbalance.proxy.stream import QuietFactory
from rustbalance.proxy.target import SecureTargetConnection, TargetConnection
from rustbalance.proxy.tls import tls_check, tls_creator

#: SOCKS reply "general failure": a circuit could not be had, or Tor could not do it just now. Tor 0.4.9 gives it to
#: every stream that waits while a descriptor goes (NEWNYM) and its introduction points turn out to be dead.
GENERAL_FAILURE = 0x01


class Socks(Protocol):
    """Who knows where Tor's SOCKS ports are."""

    def socks_addresses(self) -> Sequence[SocksAddress]:
        """Return the one to use and, maybe, another one for when it fails; none while no Tor is ready."""

    def socks_failed(self, address: SocksAddress, reason: str) -> None:
        """That one did not do its part."""


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
        target = self._settings.target
        opening = self._open(self._direct(target)) if not isinstance(target, OnionTarget) else self._through_tor(target)
        return opening.addTimeout(self._settings.connect_timeout, self._reactor)

    def _open(self, endpoint: IStreamClientEndpoint) -> Deferred[TargetConnection]:
        connection = TargetConnection()
        if self._creator is not None:
            endpoint = wrapClientTLS(self._creator, endpoint)
            connection = SecureTargetConnection(self._check)
        connecting = endpoint.connect(QuietFactory(lambda: connection))
        opening: Deferred[TargetConnection] = connecting.addCallback(lambda _: connection.ready)
        return opening

    def _direct(self, target: TcpTarget | UnixTarget) -> IStreamClientEndpoint:
        patience = self._settings.connect_timeout
        if isinstance(target, UnixTarget):
            return UNIXClientEndpoint(self._reactor, str(target.path), timeout=patience)
        kind = _tcp_kind(target.host)
        tcp: IStreamClientEndpoint = kind(self._reactor, target.host, target.port, timeout=patience)
        return tcp

    def _through_tor(self, target: OnionTarget) -> Deferred[TargetConnection]:
        proxies = list(self._socks.socks_addresses())
        if not proxies:
            return fail(NoWay("no Tor is ready"))
        return self._through(proxies, target)

    def _through(
        self, proxies: list[SocksAddress], target: OnionTarget, *, again: bool = True
    ) -> Deferred[TargetConnection]:
        """Go through the first of ``proxies``, and through the others when it does not do its part; one ``again``."""
        proxy, *others = proxies
        settings = self._settings
        endpoint = SocksEndpoint(
            self._reactor, proxy, target.host, target.port, settings.isolation, settings.connect_timeout
        )

        def failed(failure: Failure) -> Deferred[TargetConnection]:
            if not _is_of_proxy(failure.value):
                return fail(failure)
            refused = isinstance(failure.value, SocksRefused)
            if not refused:
                self._socks.socks_failed(proxy, str(failure.value))
            left = [*others, proxy] if refused and again else others
            return self._through(left, target, again=again and not refused) if left else fail(failure)

        return self._open(endpoint).addErrback(failed)


def _is_of_proxy(error: BaseException | None) -> bool:
    """Tell whether the proxy itself failed, so that another one may do better."""
    if isinstance(error, SocksRefused):
        return error.code == GENERAL_FAILURE
    return isinstance(error, SocksFailure)


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
