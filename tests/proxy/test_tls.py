"""TLS with the target: whom we believe."""

import datetime
import hashlib
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.internet.ssl import PrivateCertificate

from rustbalance.proxy.settings import TcpTarget, TlsSettings
from rustbalance.proxy.tls import BadAuthorities, tls_check, tls_creator
from tests.proxy.origin import Asked, Origin, Talk
from tests.proxy.wire import ProxyCase, get, reactor


def certificate(name: str = "localhost") -> tuple[PrivateCertificate, bytes, bytes]:
    """Return a self-signed certificate for ``name``, as Twisted has it, in PEM and in DER."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    today = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(today)
        .not_valid_after(today + datetime.timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(Encoding.PEM)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return PrivateCertificate.loadPEM(pem + private), pem, made.public_bytes(Encoding.DER)


class TlsTests(ProxyCase):
    """Against a real server with a certificate of its own."""

    def setUp(self) -> None:
        """Make the certificate and serve with it."""
        self.site = Origin()
        made, self.pem, self.der = certificate()
        port = reactor.listenSSL(0, self.site, made.options(), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.cleanup(self.site.close)
        self.target = TcpTarget("localhost", port.getHost().port)

    async def status(self, tls: TlsSettings) -> int:
        """Return what a visitor gets."""
        front = self.front(self.target, tls=tls)
        return (await self.ask(front, get()))[0]

    async def test_off(self) -> None:
        """Anything goes."""
        self.assertEqual(await self.status(TlsSettings("off")), 200)
        self.assertEqual(self.site.asked[0]["host"], f"localhost:{self.target.port}")

    async def test_system(self) -> None:
        """Nobody that the system trusts has signed it: nothing is sent."""
        self.assertEqual(await self.status(TlsSettings("system")), 502)
        self.assertEqual(self.site.asked, [])

    async def test_authority(self) -> None:
        """Its own authority, in a file, is enough for its name."""
        path = self.folder() / "ca.pem"
        path.write_bytes(self.pem)
        self.assertEqual(await self.status(TlsSettings("authority", authorities=path)), 200)

    async def test_wrong_name(self) -> None:
        """The right authority for another name is not: nothing is sent."""
        path = self.folder() / "ca.pem"
        path.write_bytes(self.pem)
        self.target = TcpTarget("127.0.0.1", self.target.port)
        self.assertEqual(await self.status(TlsSettings("authority", authorities=path)), 502)
        self.assertEqual(self.site.asked, [])

    async def test_pin(self) -> None:
        """The pinned certificate is enough, whoever signed it; for another one nothing is sent."""
        self.assertEqual(await self.status(TlsSettings("pin", pin=bytes(32))), 502)
        self.assertEqual(self.site.asked, [])
        self.assertEqual(await self.status(TlsSettings("pin", pin=hashlib.sha256(self.der).digest())), 200)

    async def test_streams(self) -> None:
        """Large bodies both ways, over one connection."""
        size = 4_000_000
        self.site.whole["/"] = lambda talk, asked: talk.say(200, bytes(size))
        front = self.front(self.target, tls=TlsSettings("off"))
        client = await self.connect(front)
        for _ in range(2):
            client.send(get("/", f"Content-Length: {size}", method="POST") + bytes(size))
            self.assertEqual(len((await client.response())[2]), size)
            self.assertEqual(self.site.asked[-1].size, size)
        self.assertEqual(len(self.site.talks), 1)

    async def test_cut_off(self) -> None:
        """D-51: a body without a length that ends without TLS's goodbye was cut off."""

        def cut(talk: Talk, asked: Asked) -> None:
            talk.transport.write(b"HTTP/1.1 200 OK\r\n\r\nhalf")
            reactor.callLater(0.05, talk.transport.abortConnection)

        self.site.whole["/"] = cut
        client = await self.connect(self.front(self.target, tls=TlsSettings("off")))
        client.send(get())
        await client.until(b"half")
        self.assertFalse(await client.closed())

    async def test_no_tls_there(self) -> None:
        """A target that answers in plain text is a 502."""

        def deaf(addr: Any) -> Talk:
            talk = Talk(plain)
            talk.raw = lambda data: talk.transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            return talk

        plain = self.origin()
        plain.buildProtocol = deaf  # type: ignore[method-assign]
        self.target = plain.target
        self.assertEqual(await self.status(TlsSettings("off")), 502)


class SettingsTests(ProxyCase):
    """What is said before the first connection."""

    def test_no_authorities(self) -> None:
        """A file without a certificate, or with a broken one, is refused at the start."""
        path = self.folder() / "ca.pem"
        for text in ("nothing", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
            path.write_text(text)
            self.assertRaises(BadAuthorities, tls_creator, TlsSettings("authority", authorities=path), "localhost")
        missing = TlsSettings("authority", authorities=Path("/nonexistent/ca.pem"))
        self.assertRaises(OSError, tls_creator, missing, "localhost")

    def test_check(self) -> None:
        """Only a pin needs a look at the certificate afterwards."""
        self.assertIsNone(tls_check(TlsSettings("off")))
        self.assertIsNotNone(tls_check(TlsSettings("pin", pin=bytes(32))))
