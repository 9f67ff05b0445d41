"""The kinds of keys of a cluster, by themselves; what they do in a file is in test_load.py."""

from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.config import HostPort, cluster_keys
from rustbalance.config.cluster_keys import LEAST_STRENGTH, WireguardPeer, strength
from rustbalance.config.complaints import Refused
from rustbalance.config.keys import Key
from rustbalance.secrets import Secret
from tests.config.case import ConfigCase, document

BASE = Path("/base")
WG_KEY = "A" * 43 + "="
STRONG = "0123456789abcdef0123456789abcdef"


class KeyCase(SynchronousTestCase):
    """What the tests of values share."""

    def refuses(self, key: Key, *odd: object) -> None:
        """See that none of these is taken."""
        for value in odd:
            self.assertRaises(Refused, key.read, value, BASE)


class ValueTests(KeyCase):
    """Reading a value, or refusing it."""

    def test_host_port(self) -> None:
        """A name or an address with a port; no Unix socket."""
        key = cluster_keys.host_port("")
        self.assertEqual(key.read("a.example:1", BASE), HostPort("a.example", 1))
        self.refuses(key, "unix:/x", "a", "a:0", 1, "a b:1")

    def test_local_addresses(self) -> None:
        """Addresses of a local network, written the same way whatever way they were given."""
        key = cluster_keys.local_addresses("")
        self.assertEqual(key.read(["127.0.0.1:1", "[FD00::0:1]:2"], BASE), ("127.0.0.1:1", "[fd00::1]:2"))
        self.refuses(key, "127.0.0.1:1", ["8.8.8.8:1"], ["localhost:1"], ["0.0.0.0:1"], ["fd00::1:2"], [1])
        self.refuses(key, ["127.0.0.1:99999"], ["10.0.0:1"])

    def test_listening(self) -> None:
        """Port 0 is fine here, and only here."""
        self.assertEqual(cluster_keys.listening("").read("10.0.0.1:0", BASE), "10.0.0.1:0")
        self.refuses(cluster_keys.local_addresses(""), ["10.0.0.1:0"])

    def test_network(self) -> None:
        """No host bits, and not too small."""
        key = cluster_keys.network("")
        self.assertEqual(key.read("fd00::/64", BASE), "fd00::/64")
        self.refuses(key, "10.0.0.1/24", "10.0.0.0/31", "x", 1, None)

    def test_ip(self) -> None:
        """One address without a zone; a number is none."""
        self.assertEqual(cluster_keys.ip("").read("FD00::0:1", BASE), "fd00::1")
        self.refuses(cluster_keys.ip(""), "fe80::1%eth0", "10.0.0.1/8", 1, "")

    def test_date(self) -> None:
        """RFC 3339 as text or as TOML has it, always with an offset: a local time could be any."""
        key, wanted = cluster_keys.date(""), datetime(2027, 1, 31, 12, tzinfo=UTC).timestamp()
        for value in ("2027-01-31T12:00:00Z", "2027-01-31t13:00:00.0+01:00", datetime(2027, 1, 31, 12, tzinfo=UTC)):
            self.assertEqual(key.read(value, BASE), wanted)
        self.refuses(key, "2027-01-31T12:00:00", "2027-13-31T12:00:00Z", "2027-01-31", datetime(2027, 1, 1), 1)

    def test_wireguard_peers(self) -> None:
        """A peer without an endpoint calls us; one with another key is a misspelling."""
        key = cluster_keys.wireguard_peers("")
        peer = {"id": "b", "tunnel_ip": "10.0.0.2", "public_key": WG_KEY}
        self.assertEqual(key.read([peer], BASE), (WireguardPeer("b", None, "10.0.0.2", WG_KEY),))
        reached: object = key.read([{**peer, "endpoint": "b.example:1"}], BASE)
        self.assertEqual(reached, (WireguardPeer("b", HostPort("b.example", 1), "10.0.0.2", WG_KEY),))
        self.refuses(key, peer, [1], [{**peer, "id": "B"}], [{**peer, "tunnel_ip": "x"}], [{**peer, "endpiont": "x:1"}])
        self.refuses(key, [{**peer, "public_key": WG_KEY[1:]}], [{**peer, "endpoint": 1}])


class StrengthTests(SynchronousTestCase):
    """What can be guessed."""

    def strength(self, text: bytes) -> int:
        """Return how many bits the text can have."""
        with Secret.copy_of(text) as secret:
            return strength(secret)

    def test_alphabets(self) -> None:
        """32 hexadecimal digits, 22 characters of base64 and 39 decimal digits are enough; one less is not."""
        for text in (STRONG.encode(), b"aB3_defghijklmnopqrstu", b"012345678901234567890123456789012345678"):
            self.assertGreaterEqual(self.strength(text), LEAST_STRENGTH)
            self.assertLess(self.strength(text[:-1]), LEAST_STRENGTH)

    def test_patterns(self) -> None:
        """A long secret of few different characters is none."""
        self.assertEqual(self.strength(b"abcdefg" * 100), 0)

    @settings(deadline=None, max_examples=25)
    @given(st.binary(max_size=64))
    def test_any(self, data: bytes) -> None:
        """Whatever the bytes are, no more than eight bits each."""
        self.assertLessEqual(self.strength(data), 8 * len(data))


class SecretRuleTests(ConfigCase):
    """The rules of secrets hold wherever the secret comes from."""

    def test_from_a_file(self) -> None:
        """A token, a join secret and a node key in files, as init makes them."""
        for name, text in (("token", STRONG), ("join", STRONG[::-1]), ("key", WG_KEY)):
            self.write(name, text + "\n")
        named = {
            "coordination__cluster_token_file": '"token"',
            "coordination__join_secret_file": '"join"',
            "node__key_file": '"key"',
        }
        config = self.load(document(**named))
        self.assertEqual(config.coordination.cluster_token, STRONG.encode())
        self.assertEqual(config.coordination.join_secret, STRONG[::-1].encode())
        self.assertEqual(config.node.key, WG_KEY.encode())

    def test_weak_in_a_file(self) -> None:
        """It is refused there as well, and not shown."""
        self.write("token", "correct horse")
        complaint = self.only_complaint(document(coordination__cluster_token_file='"token"'))
        self.assertEqual(complaint.key, "coordination.cluster_token")
        self.assertNotIn("horse", str(complaint))

    def test_as_credentials(self) -> None:
        """The token may be a credential: keys that need it find it."""
        self.write("coordination.cluster_token", STRONG)
        config = self.load(
            document(coordination__mode='"direct"', coordination__peers='["10.0.0.1:1"]'),
            CREDENTIALS_DIRECTORY=str(self.directory),
        )
        self.assertEqual(config.coordination.peers, ("10.0.0.1:1",))

    def test_previous_token(self) -> None:
        """Both tokens and the date until which the older one holds."""
        config = self.load(
            document(
                coordination__cluster_token=f'"{STRONG}"',
                coordination__previous_cluster_token=f'"{STRONG[::-1]}"',
                coordination__previous_cluster_token_expires="2027-01-31T12:00:00Z",
            )
        )
        self.assertEqual(
            config.coordination.previous_cluster_token_expires, datetime(2027, 1, 31, 12, tzinfo=UTC).timestamp()
        )
