"""Tests for L{rustbalance.onion.certificate}."""

import base64
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st
from stem.descriptor.certificate import Ed25519Certificate
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.onion.certificate import (
    TAG,
    Certificate,
    CertificateType,
    decode_certificate,
    encode_certificate,
    expired,
    introduction_certificate_expiry,
    signing_certificate_expiry,
)
from rustbalance.onion.netdoc import Item, MalformedDescriptor, encode_object, parse_items
from tests.onion.descriptors import SIGNING_KEY

KIND = CertificateType.INTRODUCTION_AUTH_KEY
OURS = Certificate(500_000, b"k" * 32, SIGNING_KEY.public)


def item_of(text: str) -> Item:
    """Return the item that an object follows."""
    return parse_items("auth-key\n" + text)[0]


def signed(body: bytes) -> Item:
    """Return a certificate with any contents and a right signature."""
    return item_of(encode_object(TAG, body + SIGNING_KEY.sign(body)))


class LifetimeTests(SynchronousTestCase):
    """Certificates last as long as Tor's do: C tor makes one with the hour begun and one with the time itself."""

    def test_tor_rounds_up(self) -> None:
        """A signing certificate is rounded up; one of a point starts at the hour begun, so it is an hour shorter."""
        self.assertEqual(signing_certificate_expiry(3600 * 10 + 1), 65)
        self.assertEqual(introduction_certificate_expiry(3600 * 10 + 3599), 64)

    def test_on_the_hour(self) -> None:
        """At a full hour both are the same."""
        self.assertEqual(signing_certificate_expiry(36_000), 64)
        self.assertEqual(introduction_certificate_expiry(36_000), 64)

    def test_expiry_is_the_last_second(self) -> None:
        """Like C tor, the second of the expiry itself still counts."""
        self.assertFalse(expired(10, 36_000))
        self.assertTrue(expired(10, 36_001))


class CodecTests(SynchronousTestCase):
    """Certificates are written and read as by Tor."""

    @settings(deadline=None)
    @given(st.sampled_from(CertificateType), st.integers(0, 2**32 - 1), st.binary(min_size=32, max_size=32))
    def test_round_trip(self, kind: CertificateType, expiry: int, key: bytes) -> None:
        """What was certified is read back."""
        certificate = Certificate(expiry, key, SIGNING_KEY.public)
        text = encode_certificate(kind, certificate, SIGNING_KEY.sign)
        self.assertEqual(decode_certificate(item_of(text), kind, signed_by=SIGNING_KEY.public), certificate)

    def test_stem_reads_ours(self) -> None:
        """Stem finds the same type, key, expiry and signing key, and writes the same bytes."""
        text = encode_certificate(KIND, OURS, SIGNING_KEY.sign)
        found = Ed25519Certificate.from_base64(text.rstrip("\n"))
        self.assertEqual((found.version, found.type_int, found.key_type, found.key), (1, 9, 1, OURS.key))
        self.assertEqual(found.expiration, datetime.fromtimestamp(OURS.expiry * 3600, UTC).replace(tzinfo=None))
        self.assertEqual(found.signing_key(), OURS.signing_key)
        self.assertEqual(found.to_base64(pem=True) + "\n", text)

    def test_conditions(self) -> None:
        """Type, signer, signature and expiry are each checked."""
        item = item_of(encode_certificate(KIND, OURS, SIGNING_KEY.sign))
        decode_certificate(item, KIND, signed_by=SIGNING_KEY.public, now=500_000 * 3600)
        for check, reason in (
            (lambda: decode_certificate(item, CertificateType.INTRODUCTION_ENC_KEY), "type"),
            (lambda: decode_certificate(item, KIND, signed_by=bytes(32)), "another key"),
            (lambda: decode_certificate(item, KIND, now=500_000 * 3600 + 1), "expired"),
            (
                lambda: decode_certificate(item_of(encode_certificate(KIND, OURS, lambda _: bytes(64))), KIND),
                "signature",
            ),
            (lambda: decode_certificate(parse_items("auth-key")[0], KIND), "object"),
        ):
            with self.assertRaisesRegex(MalformedDescriptor, reason):
                check()

    def test_fields(self) -> None:
        """Version, key type and extensions must be ones that we understand."""
        head, key = b"\x01\x09\x00\x07\xa1\x20\x01", b"k" * 32
        extension = b"\x00\x20\x04\x00" + SIGNING_KEY.public
        harmless = b"\x00\x01\x99\x00x"
        decode_certificate(signed(head + key + b"\x02" + harmless + extension), KIND)
        for body in (
            b"\x02" + head[1:] + key + b"\x01" + extension,
            head[:-1] + b"\x02" + key + b"\x01" + extension,
            head + key + b"\x00",
            head + key + b"\x02" + extension + extension,
            head + key + b"\x01" + extension + b"rest",
            head + key + b"\x02" + extension,
            head + key + b"\x01\x00\x1f\x04\x00" + SIGNING_KEY.public[:31],
            head + key + b"\x02" + b"\x00\x01\x99\x01x" + extension,
            head,
        ):
            with self.assertRaises(MalformedDescriptor):
                decode_certificate(signed(body), KIND)

    @settings(deadline=None)
    @given(st.binary(max_size=160))
    def test_any_bytes(self, data: bytes) -> None:
        """No bytes give anything but the one error."""
        item = item_of(encode_object(TAG, data))
        with self.assertRaises(MalformedDescriptor):
            decode_certificate(item, KIND)

    def test_any_change_of_a_bit(self) -> None:
        """No bit of a certificate can be changed unnoticed."""
        data = base64.b64decode("".join(encode_certificate(KIND, OURS, SIGNING_KEY.sign).splitlines()[1:-1]))
        self.assertEqual(len(data), 140)
        for place in range(len(data) * 8):
            changed = bytearray(data)
            changed[place // 8] ^= 1 << place % 8
            with self.assertRaises(MalformedDescriptor):
                decode_certificate(item_of(encode_object(TAG, bytes(changed))), KIND, signed_by=SIGNING_KEY.public)
