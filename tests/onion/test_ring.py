"""Tests for L{rustbalance.onion.ring}."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.onion.periods import TimePeriod, disaster_srv
from rustbalance.onion.ring import Ring, hs_index, hsdir_index, ring_suffix
from tests.vectors import load

PERIOD = TimePeriod(42, 1440)
KEYS = st.binary(min_size=32, max_size=32)


def directories(count: int) -> dict[str, bytes]:
    """Return made-up directories with different identities."""
    return {f"{number:040X}": number.to_bytes(32, "big") for number in range(count)}


class IndexTests(SynchronousTestCase):
    """Places on the ring, bit by bit as Tor computes them."""

    def test_vectors(self) -> None:
        """Both kinds of index, with their opposite order of number and length, are those of C tor and arti."""
        for vector in load("indexes")["hs_index"]:
            period = TimePeriod(vector["period_num"], vector["period_length"])
            found = hs_index(bytes.fromhex(vector["blinded_public"]), vector["replica"], period)
            self.assertEqual(found.hex(), vector["index"])
        for vector in load("indexes")["hsdir_index"]:
            period = TimePeriod(vector["period_num"], vector["period_length"])
            suffix = ring_suffix(bytes.fromhex(vector["srv"]), period)
            self.assertEqual(hsdir_index(bytes.fromhex(vector["ed25519_id"]), suffix).hex(), vector["index"])

    def test_live_indexes(self) -> None:
        """The indexes that a running Tor named with its uploads are ours too."""
        for vector in load("live_hsdirs")["vectors"]:
            period = TimePeriod(vector["period_num"], vector["period_length"])
            value = vector["srv_current" if vector["descriptor"] == "second" else "srv_previous"]
            suffix = ring_suffix(bytes.fromhex(value) if value else disaster_srv(period), period)
            found = [hsdir_index(bytes.fromhex(vector["ring"][name]), suffix).hex() for name in vector["hsdirs"]]
            self.assertEqual(found, vector["hsdir_index"])


class RingTests(SynchronousTestCase):
    """Who is responsible for a descriptor."""

    @settings(deadline=None)
    @given(KEYS, KEYS, st.integers(0, 40), st.integers(1, 16), st.integers(1, 128))
    def test_how_many(self, blinded: bytes, srv: bytes, size: int, replicas: int, spread: int) -> None:
        """Each replica has its own directories, all different, until the ring has no more."""
        found = Ring(directories(size), srv, PERIOD).responsible(blinded, replicas, spread)
        self.assertEqual(len(set(found)), len(found))
        self.assertEqual(len(found), min(size, replicas * spread))

    @settings(deadline=None)
    @given(KEYS, KEYS, st.integers(1, 60), st.integers(1, 8))
    def test_first_replica_is_a_walk(self, blinded: bytes, srv: bytes, size: int, spread: int) -> None:
        """The first replica has the nearest directories at or behind its index, wrapping round the end."""
        known, suffix = directories(size), ring_suffix(srv, PERIOD)
        place = hs_index(blinded, 1, PERIOD)
        indexes = {name: hsdir_index(identity, suffix) for name, identity in known.items()}
        walk = sorted(known, key=lambda name: (indexes[name] < place, indexes[name]))
        self.assertEqual(Ring(known, srv, PERIOD).responsible(blinded, 1, spread), tuple(walk[:spread]))

    @settings(deadline=None)
    @given(KEYS, KEYS, st.permutations(range(20)))
    def test_order_of_the_consensus_does_not_matter(self, blinded: bytes, srv: bytes, order: list[int]) -> None:
        """The ring depends on identities, not on where in the consensus a relay stands."""
        known = directories(20)
        shuffled = {name: known[name] for name in (f"{number:040X}" for number in order)}
        found = [Ring(each, srv, PERIOD).responsible(blinded, 2, 4) for each in (known, shuffled)]
        self.assertEqual(found[0], found[1])

    def test_fewer_steps_take_fewer(self) -> None:
        """A client, which looks at fewer directories per replica, looks only where a service stores."""
        ring = Ring(directories(50), bytes(32), PERIOD)
        self.assertLess(set(ring.responsible(bytes(32), 2, 3)), set(ring.responsible(bytes(32), 2, 4)))

    def test_size(self) -> None:
        """A ring knows how many directories it has."""
        self.assertEqual(len(Ring(directories(7), bytes(32), PERIOD)), 7)
