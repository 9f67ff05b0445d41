"""Tests for L{rustbalance.cluster.bundle}."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt, crypto_aead_xchacha20poly1305_ietf_encrypt
from nacl.pwhash import argon2id
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.bundle import LONGEST, PREFIX, Bundle, BundleError, Facts, open_bundle, seal_bundle
from rustbalance.cluster.records import check_ticket
from rustbalance.secrets import Secret, SecretWiped, locked_bytes
from tests.cluster.samples import NOW, PUBLIC, random_bytes, record, ticket
from tests.locked import locked_before

PASSPHRASE = b"correct horse battery"
SECRETS = {"master_key": bytes(range(64)), "cluster_token": b"the token of the cluster", "join_secret": b"join" * 8}
FACTS = Facts(
    ticket=ticket(),
    address="a" * 56 + ".onion",
    created=int(NOW.wall),
    records=(record("a"),),
    settings={"target.port": 80, "target.use_tls": False, "coordination.mode": "tor"},
)


def sealed(facts: Facts = FACTS, passphrase: bytes = PASSPHRASE) -> str:
    """Return a bundle of the samples."""
    secrets = {name: Secret.copy_of(value) for name, value in SECRETS.items()}
    with Secret.copy_of(passphrase) as words:
        line = seal_bundle(facts, secrets, words, random_bytes)
    for secret in secrets.values():
        secret.wipe()
    return line


def opened(line: str, passphrase: bytes = PASSPHRASE, wall: float = NOW.wall) -> Bundle:
    """Open a bundle."""
    with Secret.copy_of(passphrase) as words:
        return open_bundle(line, words, wall)


#: Each takes 64 MiB and a while, so that the tests share one.
LINE = sealed()


class BundleTests(SynchronousTestCase):
    """All that a machine needs, in one line."""

    def test_whole(self) -> None:
        """What was put in comes out, and the ticket in it is valid."""
        found = opened(LINE)
        self.assertEqual(found.facts, FACTS)
        self.assertEqual(list(found.secrets), list(SECRETS))
        for name, value in SECRETS.items():
            self.assertEqual(found.secrets[name], value)
        check_ticket(found.facts.ticket, PUBLIC["a"], NOW.wall)

    def test_one_line(self) -> None:
        """It is one line without spaces that survives a terminal, and a newline at its end does no harm."""
        self.assertTrue(LINE.startswith("rustbalance-bundle-1:"))
        self.assertRegex(LINE, r"\A[a-z0-9:A-Z_-]+\Z")
        self.assertLess(len(LINE), 1500)
        self.assertEqual(opened(f"\n{LINE}\r\n").facts, FACTS)

    def test_every_byte(self) -> None:
        """The bytes are those that docs/protocol.md shows, taken apart with other implementations."""
        raw = urlsafe_b64decode(LINE[len(PREFIX) :] + "==")
        key = argon2id.kdf(32, PASSPHRASE, raw[:16], opslimit=3, memlimit=64 * 1024 * 1024)
        plain = crypto_aead_xchacha20poly1305_ietf_decrypt(raw[40:], PREFIX.encode(), raw[16:40], key)
        end = 4 + int.from_bytes(plain[:4])
        public = msgspec.msgpack.decode(plain[4:end])
        self.assertEqual(public["sizes"], {name: len(value) for name, value in SECRETS.items()})
        self.assertEqual(public["facts"]["address"], FACTS.address)
        self.assertEqual(plain[end:], b"".join(SECRETS.values()))

    def test_never_the_same(self) -> None:
        """Two bundles of the same contents have nothing in common."""
        self.assertNotEqual(sealed()[len(PREFIX) :][:40], LINE[len(PREFIX) :][:40])

    def test_nothing_stays_open(self) -> None:
        """Sealing leaves no page behind, and opening only those that it gives away."""
        before = locked_before()
        found = opened(LINE)
        self.assertEqual(locked_bytes() - before, len(SECRETS) * 4096)
        found.wipe()
        self.assertEqual(locked_bytes(), before)
        self.assertRaises(SecretWiped, found.secrets["master_key"].__eq__, bytes(64))

    def test_without_secrets(self) -> None:
        """There need not be any."""
        with Secret.copy_of(PASSPHRASE) as words:
            self.assertEqual(open_bundle(seal_bundle(FACTS, {}, words, random_bytes), words, 0.0).secrets, {})


class RefusalTests(SynchronousTestCase):
    """What cannot be used is refused with a reason that shows nothing."""

    def refused(self, line: str, passphrase: bytes = PASSPHRASE, wall: float = NOW.wall) -> str:
        """Return why a bundle is refused; no page stays behind."""
        before = locked_before()
        sentence = str(self.assertRaises(BundleError, opened, line, passphrase, wall))
        self.assertEqual(locked_bytes(), before)
        self.assertNotIn(PASSPHRASE.decode(), sentence)
        return sentence

    def test_another_passphrase(self) -> None:
        """Another passphrase opens nothing; an empty one neither."""
        for words in (b"", b"Correct horse battery", PASSPHRASE + b"\n"):
            self.assertIn("passphrase", self.refused(LINE, words))

    def test_weak_passphrase(self) -> None:
        """Nothing is sealed with a passphrase that is soon guessed."""
        self.assertRaises(BundleError, sealed, passphrase=b"11 letters.")

    def test_expired(self) -> None:
        """It is valid until its last second is over, and then says since when it is not."""
        opened(LINE, wall=FACTS.ticket.expires - 0.1)
        self.assertIn("2027-01-15 09:00 UTC", self.refused(LINE, wall=float(FACTS.ticket.expires)))

    def test_changed(self) -> None:
        """A changed character is noticed, in the salt, the nonce, the contents and the version."""
        for place in (len(PREFIX) + 3, len(PREFIX) + 40, len(LINE) // 2, -3):
            other = "A" if LINE[place] != "A" else "B"
            changed = list(LINE)
            changed[place] = other
            self.refused("".join(changed))
        self.refused(LINE.replace("bundle-1", "bundle-2"))

    def test_cut(self) -> None:
        """A line of which the end was not copied is refused, mostly at once."""
        for length in (0, 5, len(PREFIX), len(PREFIX) + 30, len(PREFIX) + 77):
            self.refused(LINE[:length])
        self.refused(LINE[:-1])
        self.refused(LINE[: len(PREFIX)] + "ä" * 100)
        self.refused(PREFIX + "A" * LONGEST)

    def test_too_much(self) -> None:
        """A bundle cannot grow without bounds."""
        many = msgspec.structs.replace(FACTS, records=(record("a"),) * 500)
        self.assertRaises(BundleError, sealed, many)

    def test_contents_of_another_version(self) -> None:
        """Contents that this version cannot read are refused though the passphrase is right."""
        for plain in (b"\0\0\0\0", b"\0\0\0\1\x80", b"\xff\xff\xff\xff", b"\0\0\0\1\xc1" + bytes(9)):
            self.assertIn("version", self.refused(by_hand(plain)))
        facts = msgspec.to_builtins(FACTS, builtin_types=(bytes,))
        for sizes in ({"x": 5}, {"x": -1}, {"x": 2**40}):
            public = msgspec.msgpack.encode({"facts": facts, "sizes": sizes})
            self.assertIn("version", self.refused(by_hand(len(public).to_bytes(4) + public + b"four")))

    @settings(deadline=None, max_examples=200)
    @given(st.text(max_size=60), st.binary(max_size=60))
    def test_noise(self, text: str, data: bytes) -> None:
        """Any text that is too short for a bundle is refused."""
        for line in (text, PREFIX + text, PREFIX + urlsafe_b64encode(data[:59]).decode()):
            self.assertRaises(BundleError, opened, line)


def by_hand(plain: bytes) -> str:
    """Return a bundle of any contents under the right passphrase."""
    key = argon2id.kdf(32, PASSPHRASE, bytes(16), opslimit=3, memlimit=64 * 1024 * 1024)
    body = crypto_aead_xchacha20poly1305_ietf_encrypt(plain, PREFIX.encode(), bytes(24), key)
    return PREFIX + urlsafe_b64encode(bytes(40) + body).decode().rstrip("=")
