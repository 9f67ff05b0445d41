"""
TLS with the target.

Owns: what its certificate must be. In: ``TlsSettings`` and the target's host; out: what ``wrapClientTLS`` needs, and a
check for after the handshake. The libraries are loaded by the first call only: most targets are onions and need none.
"""

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rustbalance.proxy.failures import CertificateRefused
from rustbalance.proxy.settings import TlsSettings

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
Check = Callable[[Any], None]


class BadAuthorities(ValueError):
    """The file of authorities is of no use."""


def tls_creator(settings: TlsSettings, host: str) -> Any:
    """
    Return an ``IOpenSSLClientConnectionCreator`` for connections to ``host``.

    :raises BadAuthorities: (form ``authority``) the file holds no certificate, or a broken one.
    :raises OSError: it cannot be read.
    """
    from twisted.internet.ssl import optionsForClientTLS, platformTrust

    if settings.form in ("off", "pin"):
        return _unverified(host)
    trust = platformTrust() if settings.form == "system" else _authorities(settings.authorities or Path())
    return optionsForClientTLS(host, trustRoot=trust)


def tls_check(settings: TlsSettings) -> Check | None:
    """Return what a transport must pass after the handshake and before anything is sent."""
    pin = settings.pin
    if settings.form != "pin" or pin is None:
        return None

    def check(transport: Any) -> None:
        found = hashlib.sha256(_certificate(transport)).digest()
        if not hmac.compare_digest(found, pin):
            raise CertificateRefused("the certificate is not the pinned one")

    return check


def _certificate(transport: Any) -> bytes:
    """Return the peer's certificate in DER form, empty when it showed none."""
    from cryptography.hazmat.primitives.serialization import Encoding

    certificate = transport.getPeerCertificate()
    return b"" if certificate is None else bytes(certificate.to_cryptography().public_bytes(Encoding.DER))


def _authorities(path: Path) -> Any:
    from OpenSSL.crypto import Error
    from twisted.internet.ssl import Certificate, trustRootFromCertificates

    found = _PEM.findall(path.read_bytes())
    if not found:
        raise BadAuthorities(f"{path} holds no certificate in PEM form")
    try:
        return trustRootFromCertificates([Certificate.loadPEM(pem) for pem in found])
    except (Error, ValueError):
        raise BadAuthorities(f"{path} holds a certificate that cannot be read") from None


def _unverified(host: str) -> Any:
    from OpenSSL import SSL
    from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
    from twisted.internet.ssl import CertificateOptions
    from zope.interface import implementer

    context = CertificateOptions(verify=False).getContext()

    @implementer(IOpenSSLClientConnectionCreator)
    class Unverified:
        """Encrypts, and believes whoever answers; the pin is compared later."""

        def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:  # noqa: N802, N803  (Twisted's names)
            """Return a connection that names the host it wants (RFC 6066 section 3), unless that is an IP address."""
            connection = SSL.Connection(context, None)
            if not _is_literal(host):
                connection.set_tlsext_host_name(host.encode("ascii"))
            return connection

    return Unverified()


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
