"""HOST:PORT and unix:PATH."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.config.addresses import HostPort, UnixPath, absolute, parse_address, parse_host, socket_path
from rustbalance.config.complaints import Refused

BASE = Path("/base")


class AddressTests(SynchronousTestCase):
    """What people write, and what it means."""

    def test_forms(self) -> None:
        """Names, both kinds of IP address and Unix paths, relative ones from the base."""
        for text, meant in (
            ("example.com:80", HostPort("example.com", 80)),
            ("EXAMPLE.com:80", HostPort("example.com", 80)),
            ("10.0.0.1:65535", HostPort("10.0.0.1", 65535)),
            ("[::1]:1", HostPort("::1", 1)),
            ("unix:/run/x.sock", UnixPath(Path("/run/x.sock"))),
            ("unix:a/../x.sock", UnixPath(Path("/base/x.sock"))),
        ):
            self.assertEqual(parse_address(text, BASE), meant)

    def test_bad_forms(self) -> None:
        """Each of these is refused."""
        for text in (
            "",
            ":",
            ":80",
            "a",
            "a:",
            "a:0",
            "a:65536",
            "a:\uff18",
            "a:+80",
            "a:8 0",
            "-a:80",
            "a b:80",
            "::1:80",
        ):
            self.assertRaises(Refused, parse_address, text, BASE)
        for text in (
            "[]:80",
            "[::1]",
            "[::1]80",
            "[1.2.3.4]:80",
            "unix:",
            "unix:\n",
            f"{'a' * 64}:80",
            f"{'a.' * 130}:80",
        ):
            self.assertRaises(Refused, parse_address, text, BASE)

    def test_longest_socket_path(self) -> None:
        """107 bytes are a path, 108 are none; bytes count, not characters."""
        self.assertEqual(len(str(socket_path("/" + "x" * 106, BASE))), 107)
        self.assertRaises(Refused, socket_path, "/" + "x" * 107, BASE)
        self.assertRaises(Refused, socket_path, "/" + "ä" * 54, BASE)
        self.assertRaises(Refused, socket_path, "x" * 102, BASE)

    def test_absolute(self) -> None:
        """Relative paths start at the base, absolute ones stay."""
        self.assertEqual(absolute("x", BASE), Path("/base/x"))
        self.assertEqual(absolute("/x", BASE), Path("/x"))
        self.assertRaises(Refused, absolute, "a\0b", BASE)

    @settings(deadline=None)
    @given(st.text(max_size=300))
    def test_any_text(self, text: str) -> None:
        """Every text is an address or refused, and an address reads back as itself."""
        try:
            address = parse_address(text, BASE)
        except Refused:
            return
        self.assertEqual(parse_address(str(address), BASE), address)

    def test_host(self) -> None:
        """A host by itself loses its brackets."""
        self.assertEqual(parse_host("[::1]"), "::1")
        self.assertRaises(Refused, parse_host, "")
