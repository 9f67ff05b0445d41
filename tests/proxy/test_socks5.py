"""SOCKS5 without a wire."""

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.proxy.socks5 import SocksConnect, SocksFailure, SocksMalformed, SocksRefused

REQUEST = b"\x05\x01\x00\x03\x0aabcd.onion\x00\x50"
BOUND = {
    "IPv4": b"\x01" + bytes(6),
    "name": b"\x03\x04host\x00\x50",
    "empty name": b"\x03\x00\x00\x50",
    "IPv6": b"\x04" + bytes(18),
}


def feed(connect: SocksConnect, data: bytes, size: int = 1) -> bytes:
    """Hand over ``data`` in pieces of ``size`` and return what is to be sent."""
    return b"".join(connect.receive(data[start : start + size]) for start in range(0, len(data), size))


class SocksConnectTests(SynchronousTestCase):
    """The negotiation, byte by byte and whole."""

    def test_plain(self) -> None:
        """Without isolation greeting and request are one write."""
        connect = SocksConnect("abcd.onion", 80)
        self.assertEqual(connect.begin(), b"\x05\x01\x00" + REQUEST)
        self.assertEqual(feed(connect, b"\x05\x00\x05\x00\x00" + BOUND["IPv4"]), b"")
        self.assertTrue(connect.done)

    def test_isolated_in_two_steps(self) -> None:
        """With isolation the greeting goes alone, since Tor loses its answer otherwise; then all the rest at once."""
        connect = SocksConnect("abcd.onion", 80, "group")
        self.assertEqual(connect.begin(), b"\x05\x01\x02")
        self.assertEqual(connect.receive(b"\x05\x02"), b"\x01\x05group\x05group" + REQUEST)
        self.assertEqual(feed(connect, b"\x01\x00\x05\x00\x00" + BOUND["IPv4"]), b"")
        self.assertTrue(connect.done)

    def test_literals(self) -> None:
        """IP addresses are sent as such."""
        self.assertIn(b"\x05\x01\x00\x01\x7f\x00\x00\x01\x1f\x90", SocksConnect("127.0.0.1", 8080).begin())
        self.assertIn(b"\x05\x01\x00\x04" + bytes(15) + b"\x01\x00\x50", SocksConnect("::1", 80).begin())

    def test_every_form_of_reply(self) -> None:
        """D-58: a reply is as long as its address says, and what follows it belongs to the other side."""
        for name, bound in BOUND.items():
            for size in (1, 2, 1000):
                connect = SocksConnect("abcd.onion", 80)
                feed(connect, b"\x05\x00\x05\x00\x00" + bound + b"HTTP", size)
                self.assertTrue(connect.done, name)
                self.assertEqual(connect.rest(), b"HTTP", name)

    def test_refused(self) -> None:
        """A refusal carries Tor's code and what it means."""
        for code, meaning in ((0x05, "connection refused"), (0xF0, "descriptor not found"), (0x42, "unknown code")):
            with self.assertRaisesRegex(SocksRefused, f"0x{code:02X}: .*{meaning}") as caught:
                feed(SocksConnect("abcd.onion", 80), b"\x05\x00\x05" + bytes([code]))
            self.assertEqual(caught.exception.code, code)

    def test_malformed(self) -> None:
        """What is no SOCKS5 is said to be none."""
        for isolation, data in (
            (None, b"HTTP/1.1 400"),
            (None, b"\x05\xff"),
            (None, b"\x05\x02"),
            ("group", b"\x05\x00"),
            ("group", b"\x05\x02\x01\x01"),
            (None, b"\x05\x00\x04\x00"),
            (None, b"\x05\x00\x05\x00\x01\x01\x00"),
            (None, b"\x05\x00\x05\x00\x00\x02\x00"),
        ):
            with self.assertRaises(SocksMalformed, msg=repr(data)):
                feed(SocksConnect("abcd.onion", 80, isolation), data)

    def test_lengths(self) -> None:
        """Names that SOCKS5 cannot say are refused before anything is sent."""
        for host, isolation in (("a" * 256, None), ("", None), ("a", ""), ("a", "i" * 256)):
            with self.assertRaises(ValueError):
                SocksConnect(host, 80, isolation)

    @settings(deadline=None)
    @given(st.binary(), st.sampled_from([None, "group"]), st.integers(1, 7))
    def test_anything(self, data: bytes, isolation: str | None, size: int) -> None:
        """Whatever a proxy says, it is understood, waited for, or one failure."""
        with contextlib.suppress(SocksFailure):
            feed(SocksConnect("abcd.onion", 80, isolation), data, size)
