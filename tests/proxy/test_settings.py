"""What the proxy is told."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.proxy.place import Place
from rustbalance.proxy.settings import OnionTarget, ProxySettings, TcpTarget, TlsSettings, UnixTarget


class PlaceTests(SynchronousTestCase):
    """The names by which each target goes."""

    def test_names(self) -> None:
        """Hosts in lower case, IPv6 in brackets, a Unix socket as localhost on the scheme's own port."""
        for target, tls, place in (
            (OnionTarget("ABC.onion"), None, Place(b"abc.onion", 80)),
            (TcpTarget("Site.example.", 8080), None, Place(b"site.example", 8080)),
            (TcpTarget("::1", 80), None, Place(b"[::1]", 80)),
            (UnixTarget(Path("/run/site")), None, Place(b"localhost", 80)),
            (UnixTarget(Path("/run/site")), TlsSettings(), Place(b"localhost", 443, tls=True)),
        ):
            self.assertEqual(ProxySettings(0, target, tls).place, place)

    def test_preserve(self) -> None:
        """The choice of Host goes with the place."""
        settings = ProxySettings(0, OnionTarget("abc.onion"), host_header="preserve")
        self.assertTrue(settings.place.preserve)
