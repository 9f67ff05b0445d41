"""Tests for L{rustbalance.mesh.tunnel_addresses}."""

from ipaddress import IPv4Network, IPv6Network, ip_address

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.mesh.tunnel_addresses import (
    DEFAULT_NETWORK,
    NoAddressLeft,
    TunnelAddress,
    allocate,
    gives_way,
    usable,
)

KEYS = st.binary(min_size=32, max_size=32)
NETWORKS = st.sampled_from([DEFAULT_NETWORK, IPv4Network("10.9.8.0/29"), IPv6Network("fd00:1::/64")])


class TunnelAddressTests(SynchronousTestCase):
    """Who gets which address."""

    @settings(deadline=None)
    @given(NETWORKS, st.lists(KEYS, min_size=1, max_size=5, unique=True))
    def test_one_after_the_other(self, network: IPv4Network | IPv6Network, keys: list[bytes]) -> None:
        """Newcomers of whom each is known when the next comes all get different, usable addresses."""
        taken: set[TunnelAddress] = {network[1]}
        for key in keys:
            address = allocate(network, taken, key)
            self.assertTrue(usable(address, network))
            self.assertNotIn(address, taken)
            taken.add(address)

    def test_all_of_them(self) -> None:
        """Every one of the 254 addresses of the usual network is given away, and then it is said that none is left."""
        taken: set[TunnelAddress] = set()
        for number in range(254):
            taken.add(allocate(DEFAULT_NETWORK, taken, number.to_bytes(32)))
        self.assertEqual(len(taken), 254)
        error = self.assertRaises(NoAddressLeft, allocate, DEFAULT_NETWORK, taken, bytes(32))
        self.assertIn("254", str(error))

    def test_asked_again(self) -> None:
        """A newcomer that asks again gets the same address from anybody who knows the same."""
        taken = {ip_address("10.200.200.1"), ip_address("10.200.200.5")}
        self.assertEqual(allocate(DEFAULT_NETWORK, taken, b"k" * 32), allocate(DEFAULT_NETWORK, list(taken), b"k" * 32))

    def test_let_in_at_the_same_moment(self) -> None:
        """Of 100 newcomers, let in by members that know of none of the others, few pairs get the same address."""
        given_away = [allocate(DEFAULT_NETWORK, (), number.to_bytes(32)) for number in range(100)]
        self.assertGreater(len(set(given_away)), 75)  # 83 are to be expected

    def test_usable(self) -> None:
        """Neither the network's own address, nor its broadcast address, nor one of another network or family."""
        fine = {text: usable(ip_address(text), DEFAULT_NETWORK) for text in ("10.200.200.1", "10.200.200.254")}
        self.assertEqual(set(fine.values()), {True})
        for text in ("10.200.200.0", "10.200.200.255", "10.200.201.1", "0.0.0.0", "::1"):
            self.assertFalse(usable(ip_address(text), DEFAULT_NETWORK), text)

    @settings(deadline=None)
    @given(KEYS, KEYS)
    def test_exactly_one_gives_way(self, one: bytes, other: bytes) -> None:
        """Of two different keys one gives way and one stays."""
        self.assertEqual(gives_way(one, other) + gives_way(other, one), int(one != other))
