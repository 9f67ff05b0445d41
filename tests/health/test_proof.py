"""Visits of the cluster, and the answers to them."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.keys import Accepted, KeyRing, Purpose, TokenKeys, hkdf_expand, hkdf_extract
from rustbalance.health.proof import FRESH, NONCE, credentials, is_genuine, new_nonce, recognise, token_key, visit_keys
from rustbalance.secrets import Secret

WALL = 1_800_000_000.0
NONCES = new_nonce(WALL, lambda size: bytes(range(size)))


def key(text: bytes = b"a token that nobody guesses") -> Secret:
    """Return a key."""
    return token_key(Secret.copy_of(text))


def behind_scheme(value: bytes) -> bytes:
    """Return what the page looks at."""
    return value.partition(b" ")[2]


class ProofTests(SynchronousTestCase):
    """Who has the key can prove it, and nobody else."""

    def test_round(self) -> None:
        """A visit is recognised by whoever has the key, and its answer is genuine."""
        visit = recognise(behind_scheme(credentials(key(), NONCES)), [key(b"another key, tried first"), key()], WALL)
        assert visit is not None
        self.assertEqual(visit.nonce, NONCES)
        self.assertTrue(is_genuine([visit.prove(b"body")], key(), NONCES, b"body"))

    def test_other_key(self) -> None:
        """Another key recognises no visit, and makes no answer that is genuine."""
        self.assertIsNone(recognise(behind_scheme(credentials(key(b"another key"), NONCES)), [key()], WALL))
        visit = recognise(behind_scheme(credentials(key(), NONCES)), [key()], WALL)
        assert visit is not None
        self.assertFalse(is_genuine([visit.prove(b"body")], key(b"another key"), NONCES, b"body"))

    def test_other_content(self) -> None:
        """An answer is one to its visit, and to nothing else: neither another nonce nor another body will do."""
        visit = recognise(behind_scheme(credentials(key(), NONCES)), [key()], WALL)
        assert visit is not None
        proof = visit.prove(b"body")
        self.assertFalse(is_genuine([proof], key(), NONCES, b"bodY"))
        self.assertFalse(is_genuine([proof], key(), NONCES[::-1], b"body"))
        self.assertFalse(is_genuine([proof, proof], key(), NONCES, b"body"))
        self.assertFalse(is_genuine([], key(), NONCES, b"body"))
        self.assertFalse(is_genuine([proof[:-1]], key(), NONCES, b"body"))
        self.assertFalse(is_genuine([proof[:-1] + b"g"], key(), NONCES, b"body"))

    def test_recording(self) -> None:
        """Who has recorded a visit cannot ask with it for long who answers, nor can anybody before its time."""
        given_ = behind_scheme(credentials(key(), NONCES))
        for wall, known in ((WALL + FRESH, True), (WALL - FRESH, True), (WALL + FRESH + 1, False), (0.0, False)):
            self.assertEqual(recognise(given_, [key()], wall) is not None, known)

    def test_nonces(self) -> None:
        """A nonce says when it was made, to the second, and is otherwise unpredictable."""
        self.assertEqual(len(NONCES), NONCE)
        self.assertEqual(NONCES, int(WALL).to_bytes(6) + bytes(range(10)))

    def test_visit_is_no_answer(self) -> None:
        """What proves a visit proves no answer: nobody can reflect one."""
        proof = behind_scheme(credentials(key(), NONCES)).partition(b" ")[2]
        self.assertFalse(is_genuine([proof], key(), NONCES, b""))

    @settings(deadline=None, max_examples=100)
    @given(st.binary(max_size=120))
    def test_any_bytes(self, given_: bytes) -> None:
        """Whatever is given is a visit of ours or nothing."""
        self.assertIsNone(recognise(given_, [key()], WALL))

    def test_nothing_secret(self) -> None:
        """The proof is HMAC-SHA256 over the label and the nonce; neither key nor token can be seen in it."""
        value = credentials(key(), NONCES)
        self.assertRegex(value.decode(), r"RustBalance [0-9a-f]{32} [0-9a-f]{64}")
        root = hkdf_extract(b"rustbalance canary token v1", Secret.copy_of(b"a token that nobody guesses"))
        again = hkdf_expand(root, b"rustbalance canary visit v1\0" + NONCES, 32)
        self.assertTrue(again == bytes.fromhex(value.decode()[-64:]))


class KeysTests(SynchronousTestCase):
    """Which keys are good."""

    def test_cluster(self) -> None:
        """The cluster token's come first, then the former one's for as long as it is heard."""
        new, old = (TokenKeys(Secret.copy_of(letter * 32)) for letter in (b"n", b"o"))
        ring = KeyRing(new, (Accepted(old, 100.0),))
        lone = key()
        self.assertEqual(visit_keys(ring, lone, 99.0), (new.of(Purpose.CANARY), old.of(Purpose.CANARY)))
        self.assertEqual(visit_keys(ring, lone, 100.0), (new.of(Purpose.CANARY),))

    def test_alone(self) -> None:
        """Without a cluster token it is the one key that is given."""
        lone = key()
        self.assertEqual(visit_keys(None, lone, 0.0), (lone,))
