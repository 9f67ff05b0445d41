"""Tests for L{rustbalance.cluster.keys}."""

from itertools import combinations

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.keys import (
    Accepted,
    InvalidToken,
    KeyRing,
    NodeKey,
    Purpose,
    TokenKeys,
    hkdf_expand,
    hkdf_extract,
)
from rustbalance.onion.keys import verify
from rustbalance.secrets import Secret, SecretWiped, locked_bytes
from tests.cluster.samples import TOKEN, token_keys
from tests.locked import locked_before

unhex = bytes.fromhex
#: RFC 5869 appendix A, tests 1 to 3: material, salt, info, pseudorandom key, output.
RFC_5869 = [
    (
        "0b" * 22,
        "000102030405060708090a0b0c",
        "f0f1f2f3f4f5f6f7f8f9",
        "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    ),
    (
        "".join(f"{octet:02x}" for octet in range(0x50)),
        "".join(f"{octet:02x}" for octet in range(0x60, 0xB0)),
        "".join(f"{octet:02x}" for octet in range(0xB0, 0x100)),
        "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
        "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
    ),
    (
        "0b" * 22,
        "",
        "",
        "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    ),
]


class HkdfTests(SynchronousTestCase):
    """HKDF-SHA256, from page to page."""

    def test_vectors_of_the_rfc(self) -> None:
        """The three published values for SHA-256 come out."""
        for material, salt, info, root, output in RFC_5869:
            found = hkdf_extract(unhex(salt), Secret.copy_of(unhex(material)))
            self.assertEqual(found, unhex(root))
            self.assertEqual(hkdf_expand(found, unhex(info), len(output) // 2), unhex(output))

    @settings(deadline=None)
    @given(st.binary(min_size=1, max_size=100), st.binary(max_size=80), st.binary(max_size=80), st.integers(1, 200))
    def test_openssl_agrees(self, material: bytes, salt: bytes, info: bytes, size: int) -> None:
        """For any input OpenSSL derives the same."""
        ours = hkdf_expand(hkdf_extract(salt, Secret.copy_of(material)), info, size)
        self.assertEqual(ours, HKDF(SHA256(), size, salt, info).derive(material))

    def test_longest(self) -> None:
        """There are 255 blocks and no more."""
        root = Secret.copy_of(bytes(32))
        self.assertEqual(len(hkdf_expand(root, b"", 255 * 32)), 8160)
        self.assertRaises(ValueError, hkdf_expand, root, b"", 255 * 32 + 1)


class TokenKeysTests(SynchronousTestCase):
    """What follows from a cluster token."""

    def test_one_key_for_each_purpose(self) -> None:
        """No two purposes share a key, and no key is the token."""
        keys = token_keys()
        derived = [keys.of(purpose) for purpose in Purpose]
        self.assertEqual([len(key) for key in derived], [32, 32, 32])
        self.assertFalse(any(one == other for one, other in combinations(derived, 2)))
        self.assertFalse(any(key == TOKEN for key in derived))

    def test_everybody_derives_the_same(self) -> None:
        """Nodes that have the same token have the same keys, and another byte in it changes all of them."""
        one, two, other = token_keys(), token_keys(), token_keys(TOKEN[:-1] + b"3")
        self.assertEqual(one.key_id, two.key_id)
        self.assertNotEqual(one.key_id, other.key_id)
        for purpose in Purpose:
            self.assertEqual(one.of(purpose), two.of(purpose))
            self.assertNotEqual(one.of(purpose), other.of(purpose))

    def test_the_derivation_stays(self) -> None:
        """The keys are those that docs/protocol.md describes: nodes of other versions derive them too."""
        keys = token_keys()
        for info, size, found in (
            (b"rustbalance mesh v1", 32, keys.of(Purpose.MESH)),
            (b"rustbalance join v1", 32, keys.of(Purpose.JOIN)),
            (b"rustbalance key id v1", 8, keys.key_id),
        ):
            self.assertEqual(found, HKDF(SHA256(), size, b"rustbalance cluster token v1", info).derive(TOKEN))

    def test_keys_are_secrets(self) -> None:
        """The keys are in locked memory and gone when they are wiped; the token stays the caller's."""
        before = locked_before()
        with Secret.copy_of(TOKEN) as token:
            keys = TokenKeys(token)
            self.assertTrue(all(keys.of(purpose).locked for purpose in Purpose))
            keys.wipe()
            self.assertEqual(token, TOKEN)
        self.assertRaises(SecretWiped, keys.of(Purpose.MESH).__eq__, bytes(32))
        self.assertEqual(locked_bytes(), before)

    def test_weak_token(self) -> None:
        """A token that cannot have 128 bit is refused, an empty one too, and is not shown."""
        for token in (b"", b"short", b"x" * 15):
            with Secret.copy_of(token) as secret:
                error = self.assertRaises(InvalidToken, TokenKeys, secret)
            self.assertNotIn("short", str(error))
        token_keys(b"x" * 16)


class KeyRingTests(SynchronousTestCase):
    """Several tokens are valid while one takes the place of another."""

    def test_current(self) -> None:
        """The current keys are found, at any time, and unknown ones are not."""
        ring = KeyRing(token_keys())
        self.assertIs(ring.find(token_keys().key_id, 0.0), ring.current)
        self.assertIsNone(ring.find(token_keys(b"another token of the tests").key_id, 0.0))

    def test_accepted(self) -> None:
        """Keys of before and after are found, each until its time is over."""
        old, new = token_keys(b"the token of yesterday"), token_keys(b"the token of tomorrow")
        ring = KeyRing(token_keys(), (Accepted(old, until=100.0), Accepted(new)))
        self.assertIs(ring.find(old.key_id, 99.9), old)
        self.assertIsNone(ring.find(old.key_id, 100.0))
        self.assertIs(ring.find(new.key_id, 1e10), new)

    def test_wipe(self) -> None:
        """All of them go at once."""
        ring = KeyRing(token_keys(), (Accepted(token_keys(b"the token of yesterday")),))
        ring.wipe()
        self.assertFalse(ring.current.of(Purpose.MESH).alive)
        self.assertFalse(ring.accepted[0].keys.of(Purpose.JOIN).alive)


class NodeKeyTests(SynchronousTestCase):
    """The key that tells one node from all others."""

    def test_signs(self) -> None:
        """What it signs is verified with its public key, and with no other."""
        key, other = NodeKey(Secret.copy_of(b"1" * 32)), NodeKey(Secret.copy_of(b"2" * 32))
        signature = key.sign(b"message")
        self.assertTrue(verify(key.public, signature, b"message"))
        self.assertFalse(verify(other.public, signature, b"message"))
        key.wipe()
        self.assertRaises(SecretWiped, key.sign, b"message")
