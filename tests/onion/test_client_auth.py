"""Tests for L{rustbalance.onion.client_auth}."""

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.onion.client_auth import (
    AuthorizedClients,
    ClientLine,
    InvalidClientKey,
    fake_lines,
    find_cookie,
    lines_for,
    public_ephemeral,
    x25519_public,
)
from rustbalance.onion.netdoc import MalformedDescriptor
from rustbalance.secrets import Secret, locked_bytes
from tests.locked import locked_before
from tests.onion.descriptors import SUBCREDENTIAL, random_bytes
from tests.vectors import load

unhex = bytes.fromhex


def private(number: int) -> Secret:
    """Return a client's private key."""
    return Secret.copy_of(bytes([number]) * 32)


def authorized(*public_keys: bytes) -> AuthorizedClients:
    """Return an authorization for clients, with a cookie of C{c}s."""
    return AuthorizedClients(public_keys, Secret.copy_of(b"c" * 16), Secret.copy_of(b"e" * 32))


class LineTests(SynchronousTestCase):
    """Each client finds the cookie in its own line, and nobody else does."""

    def test_vector_of_c_tor(self) -> None:
        """Client id and encrypted cookie are those that C tor's own test expects."""
        (vector,) = load("client_auth")["vectors"]
        clients = AuthorizedClients(
            (unhex(vector["client_public"]),),
            Secret.copy_of(unhex(vector["descriptor_cookie"])),
            Secret.copy_of(unhex(vector["ephemeral_secret"])),
        )
        lines = lines_for(clients, unhex(vector["subcredential"]), lambda count: b"\x01" * count)
        ours = ClientLine(unhex(vector["client_id"]), unhex(vector["iv"]), unhex(vector["encrypted_cookie"]))
        self.assertIn(ours, lines)

    def test_public_keys(self) -> None:
        """Public keys are those that OpenSSL derives."""
        for number in range(5):
            raw = bytes([number]) * 32
            expected = X25519PrivateKey.from_private_bytes(raw).public_key().public_bytes_raw()
            self.assertEqual(x25519_public(private(number)), expected)
            self.assertEqual(public_ephemeral(raw), expected)

    @settings(deadline=None)
    @given(st.integers(1, 35), st.integers())
    def test_who_finds_the_cookie(self, count: int, seed: int) -> None:
        """Every client of any number finds it, a stranger does not, and the lines are a multiple of 16."""
        clients = authorized(*(x25519_public(private(number)) for number in range(count)))
        lines = lines_for(clients, SUBCREDENTIAL, random_bytes(seed))
        self.assertEqual(len(lines) % 16, 0)
        self.assertLess(len(lines) - count, 16)
        ephemeral = x25519_public(clients.ephemeral)
        for number in (0, count - 1):
            found = find_cookie(lines, ephemeral, private(number), SUBCREDENTIAL)
            self.assertEqual(found, b"c" * 16)
        self.assertIsNone(find_cookie(lines, ephemeral, private(200), SUBCREDENTIAL))
        self.assertIsNone(find_cookie(lines, ephemeral, private(0), bytes(32)))

    def test_places_are_random(self) -> None:
        """The real line may stand anywhere among the fake ones."""
        clients = authorized(x25519_public(private(1)))
        real = {lines_for(clients, SUBCREDENTIAL, random_bytes(0))[place].client_id for place in range(16)}
        places = set()
        for seed in range(200):
            ids = [line.client_id for line in lines_for(clients, SUBCREDENTIAL, random_bytes(seed))]
            known = real & set(ids)
            places.add(ids.index(known.pop()))
        self.assertEqual(places, set(range(16)))

    def test_without_clients(self) -> None:
        """No client at all still gives 16 lines."""
        self.assertEqual(len(lines_for(authorized(), SUBCREDENTIAL, random_bytes())), 16)

    def test_fake_lines_differ(self) -> None:
        """Fake lines have the sizes of real ones, and none is like another."""
        lines = fake_lines(16, random_bytes())
        self.assertEqual(len(set(lines)), 16)
        self.assertEqual(
            {(len(line.client_id), len(line.iv), len(line.encrypted_cookie)) for line in lines}, {(8, 16, 16)}
        )


class KeyTests(SynchronousTestCase):
    """Keys with which nothing can be agreed are refused, and secrets do not stay."""

    def test_point_of_low_order(self) -> None:
        """A client key or an ephemeral key of low order would make the cookie readable for all."""
        with self.assertRaises(InvalidClientKey):
            lines_for(authorized(bytes(32)), SUBCREDENTIAL, random_bytes())
        with self.assertRaises(MalformedDescriptor):
            find_cookie(fake_lines(16, random_bytes()), bytes(32), private(1), SUBCREDENTIAL)

    def test_lengths(self) -> None:
        """Keys and cookie must have their lengths."""
        with self.assertRaises(InvalidClientKey):
            authorized(bytes(31))
        with self.assertRaises(ValueError):
            AuthorizedClients((), Secret(15), Secret(32))
        with self.assertRaises(ValueError):
            AuthorizedClients((), Secret(16), Secret(31))

    def test_nothing_is_left_locked(self) -> None:
        """Shared secrets and work space are wiped at once: only the cookie that is handed out stays."""
        clients = authorized(x25519_public(private(1)))
        client = private(1)
        before = locked_before()
        lines = lines_for(clients, SUBCREDENTIAL, random_bytes())
        found = find_cookie(lines, x25519_public(clients.ephemeral), client, SUBCREDENTIAL)
        assert found is not None
        found.wipe()
        self.assertEqual(locked_bytes(), before)
