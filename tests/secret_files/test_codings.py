"""Tests for L{rustbalance.secret_files.codings}."""

import base64

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.secret_files import decode_base64, decode_hex, encode_base64, encode_hex
from rustbalance.secrets import Secret

KEY = bytes(range(222, 254))


class HexTests(SynchronousTestCase):
    """L{decode_hex} reads digits of either case and nothing else; L{encode_hex} writes them."""

    @settings(deadline=None)
    @given(st.binary(max_size=64))
    def test_writes(self, contents: bytes) -> None:
        """Two digits in lower case for each byte."""
        self.assertEqual(encode_hex(Secret.copy_of(contents)), contents.hex().encode())

    @settings(deadline=None)
    @given(st.binary(max_size=64))
    def test_reads(self, contents: bytes) -> None:
        """Whatever is written as hexadecimal comes back, in either case."""
        for text in (contents.hex(), contents.hex().upper()):
            self.assertEqual(decode_hex(Secret.copy_of(text.encode())), contents)

    @settings(deadline=None)
    @given(st.binary(max_size=20))
    def test_all_or_nothing(self, text: bytes) -> None:
        """Any bytes are either hexadecimal as Python understands it, or one ValueError that does not show them."""
        try:
            expected = bytes.fromhex(text.decode("ascii")) if text.isalnum() or not text else None
        except ValueError:
            expected = None
        if expected is None:
            error = self.assertRaises(ValueError, decode_hex, Secret.copy_of(text))
            self.assertEqual(str(error), "must be an even number of hexadecimal digits")
        else:
            self.assertEqual(decode_hex(Secret.copy_of(text)), expected)


class Base64Tests(SynchronousTestCase):
    """L{decode_base64} and L{encode_base64} speak WireGuard's form."""

    @settings(deadline=None)
    @given(st.binary(max_size=100))
    def test_round_trip(self, contents: bytes) -> None:
        """Secrets of any length are encoded as the standard library does it, and come back padded or not."""
        text = base64.b64encode(contents)
        secret = Secret.copy_of(contents)
        self.assertEqual(encode_base64(secret), text)
        self.assertEqual(decode_base64(Secret.copy_of(text), len(contents)), contents)
        self.assertEqual(decode_base64(Secret.copy_of(text.rstrip(b"=")), len(contents)), contents)

    def test_whole_pages(self) -> None:
        """Text that fills its page exactly does not run over the end of it."""
        contents = bytes(3072)
        self.assertEqual(encode_base64(Secret.copy_of(contents)), base64.b64encode(contents))

    def test_refused(self) -> None:
        """Other lengths, other alphabets, blanks and stray bits are refused with the rule and without the text."""
        text = base64.b64encode(KEY)
        wrong = [b"", text[:-4], text + b"AAAA", text[:-1] + b"\n", b" " + text, text + b"=", text[:-2] + b"9="]
        wrong += [base64.urlsafe_b64encode(KEY), KEY.hex().encode(), text.replace(b"=", b"!")]
        for bad in wrong:
            error = self.assertRaises(ValueError, decode_base64, Secret.copy_of(bad))
            self.assertEqual(str(error), "must be 32 bytes in base64")
