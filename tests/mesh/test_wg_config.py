"""Tests for L{rustbalance.mesh.wg_config}."""

import contextlib
from ipaddress import ip_address

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.mesh.tunnel_addresses import DEFAULT_NETWORK
from rustbalance.mesh.wg_config import (
    Endpoint,
    MalformedAddress,
    Remove,
    WgAddress,
    WgPeer,
    arguments,
    choose_peers,
    difference,
    key_text,
    observed,
    parse_address,
    parse_endpoint,
)

KEY = bytes(range(32))
OWN = WgAddress(b"\x80" * 32, Endpoint("192.0.2.1", 51820), ip_address("10.200.200.1"))
KEYS = st.binary(min_size=32, max_size=32)
HOSTS = st.sampled_from(["192.0.2.7", "2001:db8::1", "node.example.org", "localhost"])
ENDPOINTS = st.none() | st.builds(Endpoint, HOSTS, st.integers(1, 65535))
TUNNEL_IPS = st.integers(1, 254).map(lambda number: DEFAULT_NETWORK[number])
ADDRESSES = st.builds(WgAddress, KEYS, ENDPOINTS, TUNNEL_IPS)
PEERS = st.dictionaries(st.integers(2, 254), ENDPOINTS, max_size=6).flatmap(
    lambda peers: st.permutations(range(len(peers))).map(
        lambda order: {
            f"key{number}": WgPeer(f"key{number}", DEFAULT_NETWORK[address], endpoint)
            for number, (address, endpoint) in zip(order, peers.items(), strict=True)
        }
    )
)


def applied(have: dict[str, WgPeer | None], changes: tuple[Remove | WgPeer, ...]) -> dict[str, WgPeer | None]:
    """Do what an interface does: who is given an address takes it from whoever has it."""
    peers = dict(have)
    for change in changes:
        if isinstance(change, Remove):
            del peers[change.key]
            continue
        for key, peer in peers.items():
            if peer is not None and peer.tunnel_ip == change.tunnel_ip and key != change.key:
                peers[key] = None
        peers[change.key] = change
    return peers


class AddressTests(SynchronousTestCase):
    """The address of a node."""

    @settings(deadline=None)
    @given(ADDRESSES)
    def test_round_trip(self, address: WgAddress) -> None:
        """What is written is read as the same, also with a slash in the key and an IPv6 endpoint."""
        self.assertEqual(parse_address(str(address)), address)

    def test_form(self) -> None:
        """The form is the one that the other nodes know."""
        self.assertEqual(
            str(WgAddress(KEY, Endpoint("2001:db8::1", 7), ip_address("10.200.200.9"))),
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=@[2001:db8::1]:7/10.200.200.9",
        )

    def test_no_endpoint(self) -> None:
        """A node behind a NAT has none."""
        self.assertIsNone(parse_address(f"{key_text(KEY)}@/10.200.200.9").endpoint)

    def test_refused(self) -> None:
        """Nothing passes that wg(8) would take for more than one key, one address and one endpoint (D-35)."""
        key = key_text(KEY)
        for text in (
            "",
            key,
            f"{key}@192.0.2.1:51820",
            f"{key}@192.0.2.1:51820/0.0.0.0/0,10.0.0.9",
            f"{key}@192.0.2.1:51820/10.0.0.9/24",
            f"{key}@192.0.2.1:0/10.0.0.9",
            f"{key}@192.0.2.1:65536/10.0.0.9",
            f"{key}@192.0.2.1/10.0.0.9",
            f"{key}@192.0.2.1:1 remove/10.0.0.9",
            f"{key}@-x:1/10.0.0.9",
            f"{key}@2001:db8::1:1/10.0.0.9",
            f"{key}@[192.0.2.1]:1/10.0.0.9",
            f"{key}@[fe80::1%eth0]:1/10.0.0.9",
            f"{key}@YOUR_IP:51820/",
            f"{key}@:1/10.0.0.9",
            f"{key[:-2]}9=@192.0.2.1:1/10.0.0.9",
            f"{key[1:]}@192.0.2.1:1/10.0.0.9",
        ):
            self.assertRaises(MalformedAddress, parse_address, text)

    @settings(deadline=None)
    @given(st.text())
    def test_any_text(self, text: str) -> None:
        """Any text is an address that would be written the same way, or refused."""
        with contextlib.suppress(MalformedAddress):
            self.assertEqual(str(parse_address(text)).lower(), text.lower())

    def test_numeric(self) -> None:
        """Names are told from addresses."""
        self.assertTrue(parse_endpoint("[2001:db8::1]:1").numeric)
        self.assertTrue(parse_endpoint("192.0.2.1:1").numeric)
        self.assertFalse(parse_endpoint("node.example.org:1").numeric)


def claim(first: int, last: int) -> WgAddress:
    """Return the address of a node whose key begins with C{first} and whose tunnel address ends in C{last}."""
    return WgAddress(bytes([first]) * 32, None, DEFAULT_NETWORK[last])


class ChoiceTests(SynchronousTestCase):
    """Who is a peer."""

    def test_everybody(self) -> None:
        """Members with addresses of their own are peers."""
        claims = {"a": claim(1, 2), "b": claim(2, 3)}
        choice = choose_peers({node: str(each) for node, each in claims.items()}, OWN, DEFAULT_NETWORK, {})
        self.assertEqual((choice.peers, choice.refused, choice.give_way), (claims, {}, False))

    def test_reasons(self) -> None:
        """Whoever is no peer is named with the reason."""
        claims = {
            "nonsense": "nonsense",
            "outside": str(WgAddress(b"3" * 32, None, ip_address("10.0.0.9"))),
            "us": str(WgAddress(OWN.public_key, None, DEFAULT_NETWORK[7])),
            "fine": str(claim(4, 5)),
        }
        choice = choose_peers(claims, OWN, DEFAULT_NETWORK, {})
        self.assertEqual(set(choice.peers), {"fine"})
        self.assertIn("PUBLIC_KEY@ENDPOINT/TUNNEL_IP", choice.refused["nonsense"])
        self.assertIn("10.0.0.9 is no address", choice.refused["outside"])
        self.assertIn("our own key", choice.refused["us"])

    def test_holder_keeps_its_address(self) -> None:
        """Nobody takes the address of another by claiming it, whatever key they have."""
        victim, thief = claim(9, 5), claim(1, 5)
        claims = {"victim": str(victim), "thief": str(thief)}
        choice = choose_peers(claims, OWN, DEFAULT_NETWORK, {victim.tunnel_ip: victim.key})
        self.assertEqual(choice.peers, {"victim": victim})
        self.assertEqual(choice.refused, {"thief": "it has the tunnel address of victim"})

    def test_without_a_holder(self) -> None:
        """Two that come at once are told apart in the same way by everybody: the smaller key is the peer."""
        claims = {"a": str(claim(9, 5)), "b": str(claim(1, 5))}
        self.assertEqual(set(choose_peers(claims, OWN, DEFAULT_NETWORK, {}).peers), {"b"})

    def test_one_key_twice(self) -> None:
        """A key is one peer, not two."""
        claims = {"a": str(claim(1, 5)), "b": str(claim(1, 6))}
        choice = choose_peers(claims, OWN, DEFAULT_NETWORK, {})
        self.assertEqual((len(choice.peers), len(choice.refused)), (1, 1))

    def test_our_own_address(self) -> None:
        """Of us and another with our address, the one with the larger key gives way; until then it is no peer."""
        for first, give_way in ((1, True), (0xFE, False)):
            choice = choose_peers({"rival": str(claim(first, 1))}, OWN, DEFAULT_NETWORK, {})
            self.assertEqual((choice.peers, choice.give_way), ({}, give_way))
            self.assertIn("our own address", choice.refused["rival"])

    @settings(deadline=None)
    @given(st.dictionaries(st.text("abc", min_size=1, max_size=4), ADDRESSES, max_size=8))
    def test_never_the_same_twice(self, claims: dict[str, WgAddress]) -> None:
        """Whoever claims what, no two peers share a key or an address, and nobody is lost without a reason."""
        choice = choose_peers({node: str(each) for node, each in claims.items()}, OWN, DEFAULT_NETWORK, {})
        everything = [OWN, *choice.peers.values()]
        self.assertEqual(len({peer.key for peer in everything}), len(everything))
        self.assertEqual(len({peer.tunnel_ip for peer in everything}), len(everything))
        self.assertEqual(choice.peers.keys() | choice.refused.keys(), claims.keys())


class DifferenceTests(SynchronousTestCase):
    """From one set of peers to another."""

    @settings(deadline=None)
    @given(PEERS, PEERS)
    def test_changes_lead_there(self, have: dict[str, WgPeer], want: dict[str, WgPeer]) -> None:
        """Also when peers exchange their addresses, which an interface gives to whoever is set last."""
        changes = difference(have, want)
        self.assertEqual(applied(dict(have), changes), want)

    @settings(deadline=None)
    @given(PEERS)
    def test_nothing_to_do(self, peers: dict[str, WgPeer]) -> None:
        """Peers that stay as they are are not touched."""
        self.assertEqual(difference(peers, peers), ())

    def test_arguments(self) -> None:
        """They are those of wg(8): one address of 32 or 128 bits each, an endpoint when there is one."""
        peer = WgPeer("K=", ip_address("10.200.200.2"), Endpoint("2001:db8::1", 5))
        self.assertEqual(
            " ".join(arguments([Remove("G="), peer, WgPeer("L=", ip_address("fd00::2"))])),
            "peer G= remove "
            "peer K= allowed-ips 10.200.200.2/32 endpoint [2001:db8::1]:5 persistent-keepalive 25 "
            "peer L= allowed-ips fd00::2/128 persistent-keepalive 25",
        )

    def test_observed(self) -> None:
        """A peer that somebody changed or added by hand is not taken for ours; a learned endpoint is no difference."""
        ours = WgPeer("a", ip_address("10.200.200.2"), Endpoint("192.0.2.2", 1))
        told = {"a": ours.endpoint, "b": None, "c": None, "d": None}
        reported = {
            "a": ("10.200.200.2/32",),
            "b": ("10.200.200.3/32", "10.0.0.0/8"),
            "c": ("10.200.200.0/24",),
            "d": (),
            "stranger": ("10.200.200.9/32",),
        }
        found = observed(reported, told)
        self.assertEqual(found, {"a": ours, "b": None, "c": None, "d": None, "stranger": None})
        repairs = difference(found, {"a": ours, "b": WgPeer("b", ip_address("10.200.200.3"))})
        self.assertEqual(
            repairs, (Remove("c"), Remove("d"), Remove("stranger"), WgPeer("b", ip_address("10.200.200.3")))
        )
