"""Tests for L{rustbalance.onion.middle}."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.onion.client_auth import fake_lines
from rustbalance.onion.middle import MiddleLayer, decode_middle, encode_middle
from rustbalance.onion.netdoc import MalformedDescriptor
from tests.onion.descriptors import damaged, random_bytes

MIDDLE = MiddleLayer(b"e" * 32, tuple(fake_lines(16, random_bytes())), b"x" * 500)
PLAINTEXT = encode_middle(MIDDLE)


class MiddleTests(SynchronousTestCase):
    """The middle layer is written and read as by Tor."""

    def test_lines(self) -> None:
        """Type, ephemeral key, clients and message come in Tor's order, with keys unpadded where Tor's are."""
        lines = PLAINTEXT.rstrip(b"\0").decode().split("\n")
        self.assertEqual(lines[0], "desc-auth-type x25519")
        self.assertEqual(lines[1], "desc-auth-ephemeral-key ZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWU=")
        for line in lines[2:18]:
            self.assertRegex(line, r"^auth-client [A-Za-z0-9+/]{11} [A-Za-z0-9+/]{22} [A-Za-z0-9+/]{22}$")
        self.assertEqual(lines[18:20], ["encrypted", "-----BEGIN MESSAGE-----"])

    def test_no_newline_at_the_end(self) -> None:
        """Like C tor we write none after the last END line, and take it with and without."""
        bare = PLAINTEXT.rstrip(b"\0")
        self.assertTrue(bare.endswith(b"-----END MESSAGE-----"))
        for text in (bare, bare + b"\n", bare + b"\n" + bytes(100)):
            self.assertEqual(decode_middle(text), MIDDLE)

    @settings(deadline=None)
    @given(st.integers(1, 20_000))
    def test_padding(self, size: int) -> None:
        """The plaintext is filled to the next multiple of 10,000 bytes, and not beyond."""
        plaintext = encode_middle(MiddleLayer(b"e" * 32, MIDDLE.clients, b"x" * size))
        self.assertEqual(len(plaintext) % 10_000, 0)
        self.assertLess(len(plaintext) - len(plaintext.rstrip(b"\0")), 10_000)
        self.assertEqual(decode_middle(plaintext).encrypted, b"x" * size)

    def test_full_padding(self) -> None:
        """A plaintext that is a multiple by itself, as this one is, gets no padding at all."""
        plaintext = encode_middle(MiddleLayer(b"e" * 32, tuple(fake_lines(11, random_bytes())), b"x" * 6_708))
        self.assertEqual((len(plaintext), plaintext[-1:]), (10_000, b"-"))

    def test_conditions(self) -> None:
        """What C tor misses, we miss."""
        text = PLAINTEXT.rstrip(b"\0")
        for wrong in (
            b"",
            text.replace(b"x25519", b"password"),
            text.replace(b"desc-auth-type", b"other"),
            text.replace(b"desc-auth-ephemeral-key ", b"desc-auth-ephemeral-key A"),
            text.replace(b"auth-client", b"other"),
            text.replace(b"auth-client ", b"auth-client AAAA ", 1),
            text.replace(b"encrypted", b"other"),
            text + b"\nencrypted\n-----BEGIN MESSAGE-----\n-----END MESSAGE-----\n",
            text[: text.index(b"-----BEGIN")],
            text.replace(b"desc-auth-type", b"desc-auth-\xffype"),
        ):
            with self.assertRaises(MalformedDescriptor):
                decode_middle(wrong)

    def test_unknown_lines(self) -> None:
        """A line of a later Tor is passed over."""
        self.assertEqual(decode_middle(b"new line\n" + PLAINTEXT), MIDDLE)

    @settings(deadline=None)
    @given(damaged(PLAINTEXT.rstrip(b"\0")))
    def test_damaged(self, text: bytes) -> None:
        """However it is damaged, it parses or raises the one error."""
        try:
            decode_middle(text)
        except MalformedDescriptor:
            return
