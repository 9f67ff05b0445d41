"""Tests for L{rustbalance.cluster.envelope}."""

import contextlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.envelope import (
    OVERHEAD,
    Envelope,
    Header,
    MalformedFrame,
    _encrypt,
    pack,
    read_header,
    unpack,
)
from rustbalance.cluster.keys import Purpose
from rustbalance.onion.keys import verify
from rustbalance.secrets import Secret
from tests.cluster.samples import KEYS, NOW, PUBLIC, node_ids

KEY = Secret.copy_of(b"k" * 32)
HEADER = Header(Purpose.MESH, b"key id 8")
NONCE = bytes(range(24))
ENVELOPE = Envelope("a", b"b" * 16, 258, NOW.wall, b"message")


def frame(envelope: Envelope = ENVELOPE, header: Header = HEADER) -> bytes:
    """Return a frame of node a."""
    return pack(envelope, header, KEY, KEYS["a"], NONCE)


def sealed(body: bytes) -> bytes:
    """Return a frame with any body, as somebody who has the token can make it."""
    return HEADER.encode() + NONCE + _encrypt(body, HEADER.encode(), NONCE, KEY)


class LayoutTests(SynchronousTestCase):
    """The bytes are those that docs/protocol.md shows."""

    def test_every_byte(self) -> None:
        """A frame taken apart by hand, with other implementations of its parts."""
        data = frame()
        self.assertEqual(data[:10], b"\x01\x01key id 8")
        self.assertEqual(data[10:34], NONCE)
        body = crypto_aead_xchacha20poly1305_ietf_decrypt(data[34:], data[:10], NONCE, b"k" * 32)
        covered = b"rustbalance frame v1\0" + data[:10] + body[64:]
        Ed25519PublicKey.from_public_bytes(PUBLIC["a"]).verify(body[:64], covered)
        self.assertEqual(body[64:80], b"b" * 16)
        self.assertEqual(int.from_bytes(body[80:88]), 258)
        self.assertEqual(int.from_bytes(body[88:96]), 1_800_000_000_000_000)
        self.assertEqual(body[96:], b"\x01amessage")

    def test_purposes(self) -> None:
        """Frames for joining have another number than those of the mesh."""
        self.assertEqual(Header(Purpose.JOIN, b"key id 8").encode(), b"\x01\x02key id 8")

    def test_overhead(self) -> None:
        """The longest name makes the longest frame, and no frame is longer than stated."""
        longest = Envelope("a" * 64, bytes(16), 1, 1.0, b"")
        self.assertEqual(len(frame(longest)), OVERHEAD)


class RoundTripTests(SynchronousTestCase):
    """What is packed comes out again."""

    @settings(deadline=None)
    @given(
        st.builds(
            Envelope,
            node_ids,
            st.binary(min_size=16, max_size=16),
            st.integers(0, 2**64 - 1),
            st.integers(0, 2**33).map(float),
            st.binary(max_size=3000),
        ),
        st.builds(Header, st.sampled_from([Purpose.MESH, Purpose.JOIN]), st.binary(min_size=8, max_size=8)),
    )
    def test_any(self, envelope: Envelope, header: Header) -> None:
        """Any sender, time, sequence number and message."""
        data = frame(envelope, header)
        self.assertEqual(read_header(data), header)
        signed = unpack(data, header, KEY)
        assert signed is not None
        self.assertEqual(signed.envelope, envelope)
        self.assertTrue(signed.is_signed_by(PUBLIC["a"]))
        self.assertFalse(signed.is_signed_by(PUBLIC["b"]))

    def test_time(self) -> None:
        """The time is true to a microsecond."""
        signed = unpack(frame(Envelope("a", bytes(16), 1, 1_800_000_000.123456, b"")), HEADER, KEY)
        assert signed is not None
        self.assertAlmostEqual(signed.envelope.wall, 1_800_000_000.123456, places=5)


class RefusalTests(SynchronousTestCase):
    """What was changed, or is no frame, is noticed."""

    def test_any_changed_bit(self) -> None:
        """No bit of a frame can be turned round without notice."""
        data = frame()
        for place in range(len(data) * 8):
            changed = bytearray(data)
            changed[place // 8] ^= 1 << place % 8
            try:
                header = read_header(bytes(changed))
            except MalformedFrame:
                continue
            self.assertTrue(header != HEADER or unpack(bytes(changed), header, KEY) is None, place)
            self.assertIsNone(unpack(bytes(changed), header, KEY))

    def test_another_key(self) -> None:
        """Another token's key does not open it."""
        self.assertIsNone(unpack(frame(), HEADER, Secret.copy_of(b"l" * 32)))

    def test_cut(self) -> None:
        """A frame that lost its end is refused wherever it was cut."""
        data = frame()
        for length in range(len(data)):
            try:
                self.assertIsNone(unpack(data[:length], read_header(data[:length]), KEY))
            except MalformedFrame:
                self.assertLess(length, OVERHEAD)

    def test_versions_and_purposes(self) -> None:
        """Numbers that are not known are not guessed at."""
        for start in (b"\x00\x01", b"\x02\x01", b"\x01\x00", b"\x01\x03"):
            self.assertRaises(MalformedFrame, read_header, start + frame()[2:])

    def test_signature_covers_the_header(self) -> None:
        """What a node signed for one token or purpose cannot be sealed anew for another."""
        body = crypto_aead_xchacha20poly1305_ietf_decrypt(frame()[34:], frame()[:10], NONCE, b"k" * 32)
        for header in (Header(Purpose.JOIN, HEADER.key_id), Header(Purpose.MESH, b"other id")):
            covered = b"rustbalance frame v1\0" + header.encode() + body[64:]
            self.assertFalse(verify(PUBLIC["a"], body[:64], covered))

    def test_names(self) -> None:
        """Somebody who has the token cannot bring in a name that is none."""
        for length, rest in (
            (0, b""),
            (1, b"A"),
            (2, b"a"),
            (3, b"a\nb"),
            (1, b"\xff"),
            (255, b"a" * 255),
            (65, b"a" * 65),
        ):
            body = bytes(64 + 32) + bytes([length]) + rest.ljust(1, b"a" if length else b"x")
            self.assertRaises(MalformedFrame, unpack, sealed(body), HEADER, KEY)

    @settings(deadline=None, max_examples=500)
    @given(st.binary(max_size=400))
    def test_noise(self, body: bytes) -> None:
        """Any body under the right key is an envelope or is refused, and nothing else happens."""
        for data in (body, HEADER.encode() + body, sealed(bytes(96) + body)):
            with contextlib.suppress(MalformedFrame):
                unpack(data, read_header(data), KEY)
