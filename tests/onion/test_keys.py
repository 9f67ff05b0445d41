"""Tests for L{rustbalance.onion.keys}."""

import hashlib
import threading

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.onion.keys import (
    BlindedKey,
    DescriptorSigningKey,
    InvalidKey,
    MasterKey,
    blind_public,
    blinded_point,
    blinding_parameter,
    subcredential,
    verify,
)
from rustbalance.onion.periods import TimePeriod
from rustbalance.secrets import Secret, SecretWiped, locked_bytes
from tests.locked import locked_before
from tests.vectors import load

unhex = bytes.fromhex
TODAY = TimePeriod(20000, 1440)
#: Order of the prime-order group (RFC 8032 section 5.1).
ORDER = 2**252 + 27742317777372353535851937790883648493


def master(seed: bytes = bytes(32)) -> MasterKey:
    """Return the key of a seed."""
    return MasterKey.from_seed(Secret.copy_of(seed))


def accepts(public: bytes, signature: bytes, message: bytes) -> bool:
    """Ask OpenSSL whether the signature is right."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


class VectorTests(SynchronousTestCase):
    """The published values of C tor and arti."""

    def test_blinding_of_c_tor(self) -> None:
        """Ten seeds expand, sign and blind to exactly what C tor's own tests expect."""
        vectors = load("ed25519_blinding")["vectors"]
        self.assertEqual(len(vectors), 10)
        for vector in vectors:
            key = master(unhex(vector["seed"]))
            parameter = unhex(vector["blinding_param"])
            self.assertEqual(key.secret, unhex(vector["expanded_secret"]))
            self.assertEqual(key.public, unhex(vector["public"]))
            self.assertEqual(key.sign(key.public), unhex(vector["signature_of_own_public_key"]))
            self.assertEqual(key.blinded_secret(parameter), unhex(vector["blinded_expanded_secret"]))
            self.assertEqual(blinded_point(key.public, parameter), unhex(vector["blinded_public"]))

    def test_chain_of_c_tor(self) -> None:
        """Identity, parameter, blinded pair and subcredential of one period follow from each other."""
        vector = load("blinding_chain")["vectors"][0]
        key = MasterKey.from_expanded(Secret.copy_of(unhex(vector["identity_expanded_secret"])))
        period = TimePeriod(vector["period_num"], vector["period_length_minutes"])
        blinded = key.blind(period)
        self.assertEqual(key.public, unhex(vector["identity_public"]))
        self.assertEqual(blinding_parameter(key.public, period), unhex(vector["blinding_param"]))
        self.assertEqual(blinded.secret, unhex(vector["blinded_expanded_secret"]))
        self.assertEqual(blinded.public, unhex(vector["blinded_public"]))
        self.assertEqual(blinded.period, period)
        self.assertEqual(subcredential(key.public, blinded.public), unhex(vector["subcredential"]))

    def test_public_chain_of_arti(self) -> None:
        """A client that knows only the address finds the same blinded key and subcredential."""
        vector = load("blinding_chain")["vectors"][1]
        public = unhex(vector["identity_public"])
        blinded = blind_public(public, TimePeriod(vector["period_num"], vector["period_length_minutes"]))
        self.assertEqual(blinded, unhex(vector["blinded_public"]))
        self.assertEqual(subcredential(public, blinded), unhex(vector["subcredential"]))

    def test_tor_key_file(self) -> None:
        """The expanded key of a Tor file has the address that Onionbalance found."""
        vector = load("tor_key_file")["vectors"][0]
        key = MasterKey.from_expanded(Secret.copy_of(unhex(vector["file_hex"])[32:]))
        self.assertEqual(key.address.text, vector["address"])

    def test_revision_key(self) -> None:
        """The key of the counters hashes C tor's label with its NUL, then the whole blinded key."""
        seed = hashlib.sha512(b"\x01" * 32).digest()
        expanded = bytes([seed[0] & 248]) + seed[1:31] + bytes([seed[31] & 63 | 64]) + seed[32:]
        blinded = MasterKey.from_expanded(Secret.copy_of(expanded)).blind(TimePeriod(3740415, 8))
        with blinded.secret.expose() as view:
            self.assertEqual(
                blinded.revision_key(), hashlib.sha3_256(b"rev-counter-generation\0" + bytes(view)).digest()
            )


class SigningTests(SynchronousTestCase):
    """Signatures are those of RFC 8032, whatever kind of key makes them."""

    @settings(deadline=None, max_examples=50)
    @given(st.binary(min_size=32, max_size=32), st.binary(max_size=300))
    def test_agrees_with_openssl(self, seed: bytes, message: bytes) -> None:
        """Identity and descriptor signing keys of any seed sign as OpenSSL does, byte for byte."""
        expected = Ed25519PrivateKey.from_private_bytes(seed)
        for key in (master(seed), DescriptorSigningKey(Secret.copy_of(seed))):
            self.assertEqual(key.public, expected.public_key().public_bytes_raw())
            self.assertEqual(key.sign(message), expected.sign(message))
            key.wipe()

    @settings(deadline=None, max_examples=30)
    @given(st.binary(min_size=32, max_size=32), st.integers(0, 2**32), st.integers(1, 2**16), st.binary(max_size=9000))
    def test_blinded(self, seed: bytes, number: int, length: int, message: bytes) -> None:
        """In any period the blinded pair belongs together, and what it signs verifies anywhere."""
        period = TimePeriod(number, length)
        key = master(seed)
        blinded = key.blind(period)
        self.assertEqual(blinded.public, blind_public(key.public, period))
        signature = blinded.sign(message)
        self.assertTrue(accepts(blinded.public, signature, message))
        self.assertTrue(verify(blinded.public, signature, message))

    def test_verify_refuses(self) -> None:
        """Another message, another key, a changed or cut signature, and lengths that are wrong are all refused."""
        key = DescriptorSigningKey(Secret.random(32))
        signature = key.sign(b"message")
        self.assertTrue(verify(key.public, signature, b"message"))
        self.assertFalse(verify(key.public, signature, b"Message"))
        self.assertFalse(verify(master().public, signature, b"message"))
        self.assertFalse(verify(key.public, bytes(64), b"message"))
        self.assertFalse(verify(key.public, signature[:63], b"message"))
        self.assertFalse(verify(key.public[:31], signature, b"message"))
        for position in range(64):
            changed = bytearray(signature)
            changed[position] ^= 1
            self.assertFalse(verify(key.public, bytes(changed), b"message"))

    def test_threads_do_not_mix_nonces(self) -> None:
        """One key used by several threads at once gives each its own right signature."""
        blinded = master().blind(TODAY)
        expected = {message: blinded.sign(message) for message in (b"a" * 5000, b"b" * 5000, b"c", b"d")}
        wrong: list[bytes] = []

        def work(message: bytes) -> None:
            wrong.extend(message for _ in range(300) if blinded.sign(message) != expected[message])

        threads = [threading.Thread(target=work, args=(message,)) for message in expected]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])


class LifetimeTests(SynchronousTestCase):
    """Keys end when they are told to, and hold few pages."""

    def test_wiped_keys_do_nothing(self) -> None:
        """After a wipe each kind of key refuses to be used, and its pages are gone."""
        before = locked_before()
        key = master()
        blinded = key.blind(TODAY)
        signing = DescriptorSigningKey(Secret.random(32))
        for each in (key, blinded, signing):
            each.wipe()
            each.wipe()
            self.assertRaises(SecretWiped, each.sign, b"")
        self.assertRaises(SecretWiped, key.blind, TODAY)
        self.assertRaises(SecretWiped, blinded.revision_key)
        self.assertEqual(locked_bytes(), before)

    def test_signing_allocates_nothing(self) -> None:
        """Signing uses the pages a key has, however long the message."""
        blinded = master().blind(TODAY)
        before = locked_before()
        blinded.sign(bytes(100_000))
        self.assertEqual(locked_bytes(), before)

    def test_workspace_is_left_clean(self) -> None:
        """Nothing of the nonce stays in the workspace after a signature."""
        blinded = master().blind(TODAY)
        blinded.sign(b"message")
        self.assertEqual(blinded._workspace, bytes(len(blinded._workspace)))

    def test_the_seed_stays_the_callers(self) -> None:
        """Making a key of a seed neither changes nor wipes it."""
        with Secret.copy_of(b"s" * 32) as seed:
            MasterKey.from_seed(seed)
            DescriptorSigningKey(seed)
            self.assertEqual(seed, b"s" * 32)

    def test_keys_do_not_print(self) -> None:
        """The text of a key shows neither the secret nor the address."""
        key = master()
        for each in (key, key.blind(TODAY), DescriptorSigningKey(Secret.random(32))):
            self.assertNotIn(key.address.label, repr(each))
            self.assertRegex(repr(each), r"^<rustbalance\.onion\.keys\.\w+ object at 0x[0-9a-f]+>$")


class RefusalTests(SynchronousTestCase):
    """What is no key is refused with the rule."""

    def test_lengths(self) -> None:
        """Seeds have 32 bytes and expanded keys 64."""
        for size in (0, 31, 33, 64):
            self.assertRaises(InvalidKey, MasterKey.from_seed, Secret(size))
            self.assertRaises(InvalidKey, DescriptorSigningKey, Secret(size))
        for size in (0, 32, 63, 65, 96):
            self.assertRaises(InvalidKey, MasterKey.from_expanded, Secret(size))
            self.assertRaises(InvalidKey, BlindedKey, Secret(size), TODAY)

    def test_scalars_that_are_not_clamped(self) -> None:
        """An expanded key with any of the clamped bits wrong is refused."""
        with master().secret.expose() as view:
            good = bytes(view)
        for position, bit in ((0, 1), (0, 2), (0, 4), (31, 64), (31, 128)):
            bad = bytearray(good)
            bad[position] ^= bit
            error = self.assertRaises(InvalidKey, MasterKey.from_expanded, Secret.copy_of(bytes(bad)))
            self.assertIn("clamped", str(error))
        self.assertEqual(MasterKey.from_expanded(Secret.copy_of(good)).public, master().public)

    def test_zero(self) -> None:
        """The scalar zero signs nothing."""
        self.assertRaises(InvalidKey, BlindedKey, Secret(64), TODAY)
        self.assertRaises(InvalidKey, BlindedKey, Secret.copy_of(ORDER.to_bytes(32, "little") + bytes(32)), TODAY)

    def test_identities_that_are_no_points(self) -> None:
        """A public key that is too short, off the curve, or of small order cannot be blinded."""
        identity_of_the_group = b"\x01" + bytes(31)
        not_on_the_curve = b"\x02" + bytes(31)
        for public in (b"", bytes(31), bytes(32), identity_of_the_group, not_on_the_curve, b"\xff" * 32):
            self.assertRaises(InvalidKey, blind_public, public, TODAY)
