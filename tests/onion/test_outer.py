"""Tests for L{rustbalance.onion.outer}."""

import base64

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.onion.keys import DescriptorSigningKey
from rustbalance.onion.netdoc import MalformedDescriptor
from rustbalance.onion.outer import OuterLayer, decode_outer, encode_outer
from rustbalance.secrets import Secret
from tests.onion.descriptors import BLINDED, NOW, REVISION, SIGNING_KEY, damaged
from tests.vectors import load

TEXT = encode_outer(b"s" * 1000, BLINDED, SIGNING_KEY, revision=REVISION, now=NOW)
EXPECTED = OuterLayer(
    lifetime_minutes=180,
    revision=REVISION,
    blinded_public=BLINDED.public,
    signing_key=SIGNING_KEY.public,
    signing_certificate_expiry=-(-NOW // 3600) + 54,
    superencrypted=b"s" * 1000,
)
SIGNED = TEXT[: TEXT.index(b"signature ")]


def signed(text: bytes) -> bytes:
    """Return a text with a right signature."""
    signature = SIGNING_KEY.sign(b"Tor onion service descriptor sig v3" + text)
    return text + b"signature " + base64.b64encode(signature).rstrip(b"=") + b"\n"


class OuterTests(SynchronousTestCase):
    """The outer layer is written as by Tor, and what a directory checks is checked."""

    def test_round_trip(self) -> None:
        """All that everybody can see is read back."""
        self.assertEqual(decode_outer(TEXT), EXPECTED)

    def test_lines(self) -> None:
        """The lines stand in the order of the specification, and the signature ends the text."""
        keywords = [line.split()[0].decode() for line in TEXT.split(b"\n") if line[:1].islower() and b"-" in line[:30]]
        self.assertEqual(
            TEXT.split(b"\n")[:3], [b"hs-descriptor 3", b"descriptor-lifetime 180", b"descriptor-signing-key-cert"]
        )
        self.assertIn("revision-counter", keywords)
        self.assertRegex(TEXT[len(SIGNED) :].decode(), r"\Asignature [A-Za-z0-9+/]{86}\n\Z")
        self.assertEqual(signed(SIGNED), TEXT)

    @settings(deadline=None)
    @given(st.integers(0, 2**64 - 1), st.integers(0, 2**33), st.binary(max_size=100))
    def test_any_values(self, revision: int, now: int, superencrypted: bytes) -> None:
        """Every counter, time and contents are read back."""
        found = decode_outer(encode_outer(superencrypted, BLINDED, SIGNING_KEY, revision=revision, now=now), now=now)
        self.assertEqual((found.revision, found.superencrypted), (revision, superencrypted))

    def test_expiry(self) -> None:
        """The signing certificate holds for 54 hours and the hour begun."""
        decode_outer(TEXT, now=NOW + 54 * 3600)
        with self.assertRaisesRegex(MalformedDescriptor, "expired"):
            decode_outer(TEXT, now=NOW + 55 * 3600 + 1)

    def test_last_newline(self) -> None:
        """A control port may have dropped the last newline."""
        self.assertEqual(decode_outer(TEXT.removesuffix(b"\n")), EXPECTED)

    def test_line_of_a_later_tor(self) -> None:
        """An unknown line is passed over."""
        self.assertEqual(decode_outer(signed(SIGNED + b"new line\n")), EXPECTED)

    def test_conditions(self) -> None:
        """Missing, repeated and misplaced lines are refused even under a right signature."""
        for wrong in (
            b"",
            b"new line\n" + SIGNED,
            SIGNED.replace(b"hs-descriptor 3", b"hs-descriptor 2"),
            SIGNED.replace(b"hs-descriptor 3", b"hs-descriptor"),
            SIGNED.replace(b"180", b"721"),
            SIGNED.replace(b"180", b"-1"),
            SIGNED.replace(b"revision-counter ", b"revision-counter x"),
            SIGNED.replace(str(REVISION).encode(), str(2**64).encode()),
            SIGNED.replace(b"superencrypted", b"other"),
            SIGNED.replace(b"descriptor-signing-key-cert", b"other"),
            SIGNED + b"revision-counter 1\n",
            SIGNED + b"hs-descriptor 3\n",
        ):
            with self.assertRaises(MalformedDescriptor):
                decode_outer(signed(wrong))

    def test_signature(self) -> None:
        """A signature that is missing, short, twice there, not the last line or of another key is refused."""
        with Secret.copy_of(b"o" * 32) as seed:
            other = DescriptorSigningKey(seed)
        forged = encode_outer(b"s" * 1000, BLINDED, other, revision=REVISION, now=NOW)
        for wrong in (
            SIGNED,
            TEXT.replace(b"signature ", b"signature A"),
            TEXT[:-2] + b"\n",
            signed(TEXT),
            TEXT + b"new line\n",
            SIGNED + forged[forged.index(b"signature ") :],
        ):
            with self.assertRaises(MalformedDescriptor):
                decode_outer(wrong)

    def test_bad_signature_line_of_c_tor(self) -> None:
        """The descriptor that C tor's own test refuses is refused."""
        with self.assertRaises(MalformedDescriptor):
            decode_outer(load("descriptor_bad_signature_line")["descriptor"].encode())

    @settings(deadline=None)
    @given(damaged(TEXT) | st.binary(max_size=300))
    def test_damaged(self, text: bytes) -> None:
        """A damaged text raises the one error, unless the damage is outside what is signed."""
        try:
            found = decode_outer(text)
        except MalformedDescriptor:
            return
        self.assertEqual(found, EXPECTED)

    def test_every_truncation(self) -> None:
        """No truncation is taken for a whole descriptor."""
        for end in range(len(TEXT) - 1):
            with self.assertRaises(MalformedDescriptor):
                decode_outer(TEXT[:end])
