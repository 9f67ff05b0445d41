"""Tests for L{rustbalance.onion.layers}."""

from dataclasses import replace
from hashlib import sha256

from hypothesis import given, settings
from hypothesis import strategies as st
from stem.descriptor.hidden_service import _decrypt_layer, _encrypt_layer
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.onion.keys import subcredential
from rustbalance.onion.layers import ENCRYPTED, SUPERENCRYPTED, WrongLayerKey
from rustbalance.onion.middle import MESSAGE, decode_middle
from rustbalance.onion.netdoc import encode_object, parse_items
from rustbalance.onion.outer import decode_outer
from rustbalance.secrets import Secret
from tests.onion.descriptors import BLINDED, CIPHER, REVISION, SUBCREDENTIAL, layers_of
from tests.vectors import load

SALT = b"salt" * 4


class LayerTests(SynchronousTestCase):
    """Both layers are encrypted as by everybody else."""

    @settings(deadline=None)
    @given(st.binary(max_size=300), st.binary(min_size=16, max_size=16))
    def test_round_trip(self, plaintext: bytes, salt: bytes) -> None:
        """What was encrypted is decrypted, and the blob starts with its salt."""
        blob = CIPHER.encrypt(ENCRYPTED, plaintext, salt)
        self.assertEqual(len(blob), 16 + len(plaintext) + 32)
        self.assertEqual(blob[:16], salt)
        self.assertEqual(CIPHER.decrypt(ENCRYPTED, blob), plaintext)

    def test_stem_reads_ours(self) -> None:
        """Stem's layer cipher decrypts ours."""
        text = encode_object(MESSAGE, CIPHER.encrypt(SUPERENCRYPTED, b"plain text", SALT)).rstrip("\n")
        self.assertEqual(_decrypt_layer(text, SUPERENCRYPTED, REVISION, SUBCREDENTIAL, BLINDED.public), "plain text")

    def test_we_read_stems(self) -> None:
        """Ours decrypts what stem's encrypted."""
        text = _encrypt_layer(b"plain text", ENCRYPTED, REVISION, SUBCREDENTIAL, BLINDED.public).decode()
        blob = parse_items("encrypted\n" + text)[0].object(MESSAGE)
        self.assertEqual(CIPHER.decrypt(ENCRYPTED, blob), b"plain text")

    def test_plaintexts_of_a_real_descriptor(self) -> None:
        """Both plaintexts of a descriptor made by Tor have the published hashes."""
        vector = load("descriptor_stem")
        text = vector["descriptor"].encode()
        known = subcredential(bytes.fromhex(vector["identity_public"]), decode_outer(text).blinded_public)
        _, cipher, middle = layers_of(text, known)
        inner = cipher.decrypt(ENCRYPTED, decode_middle(middle).encrypted)
        self.assertEqual(sha256(middle.rstrip(b"\0")).hexdigest(), vector["expect"]["middle_plaintext_sha256"])
        self.assertEqual(sha256(inner).hexdigest(), vector["expect"]["inner_plaintext_sha256"])

    def test_everything_is_authenticated(self) -> None:
        """Another key, revision, constant or cookie, a changed bit or a cut is noticed."""
        blob = CIPHER.encrypt(ENCRYPTED, b"plain text", SALT)
        changed = bytearray(blob)
        changed[20] ^= 1
        with Secret.copy_of(b"c" * 16) as cookie:
            for wrong in (
                lambda: replace(CIPHER, revision=REVISION + 1).decrypt(ENCRYPTED, blob),
                lambda: replace(CIPHER, subcredential=bytes(32)).decrypt(ENCRYPTED, blob),
                lambda: replace(CIPHER, blinded_public=bytes(32)).decrypt(ENCRYPTED, blob),
                lambda: CIPHER.decrypt(SUPERENCRYPTED, blob),
                lambda: CIPHER.decrypt(ENCRYPTED, blob, cookie),
                lambda: CIPHER.decrypt(ENCRYPTED, bytes(changed)),
                lambda: CIPHER.decrypt(ENCRYPTED, blob[:-1]),
                lambda: CIPHER.decrypt(ENCRYPTED, blob[:40]),
                lambda: CIPHER.decrypt(ENCRYPTED, b""),
            ):
                with self.assertRaises(WrongLayerKey):
                    wrong()

    def test_descriptor_cookie(self) -> None:
        """With a cookie, the same cookie is needed to decrypt."""
        with Secret.copy_of(b"c" * 16) as cookie, Secret.copy_of(b"d" * 16) as other:
            blob = CIPHER.encrypt(ENCRYPTED, b"plain text", SALT, cookie)
            self.assertEqual(CIPHER.decrypt(ENCRYPTED, blob, cookie), b"plain text")
            for wrong in (None, other):
                with self.assertRaises(WrongLayerKey):
                    CIPHER.decrypt(ENCRYPTED, blob, wrong)
