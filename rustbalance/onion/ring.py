"""
The ring of onion service directories.

Owns: where relays and descriptors are on the ring of one time period, and which relays are responsible for a
descriptor. In: ed25519 identities, period, shared random value, blinded key; out: fingerprints in ring order.
Source: rend-spec-v3 section 2.2.3; C tor's hs_common.c hs_get_responsible_hsdirs.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Iterator, Mapping

from rustbalance.onion.periods import TimePeriod, int8


def hsdir_index(ed25519_id: bytes, ring_suffix: bytes) -> bytes:
    """Return the place (32 bytes) of a relay on the ring that has ``ring_suffix``."""
    return hashlib.sha3_256(b"node-idx" + ed25519_id + ring_suffix).digest()


def ring_suffix(srv: bytes, period: TimePeriod) -> bytes:
    """Return what all relays hash alike on the ring of ``period``: put together once for thousands of them."""
    return srv + int8(period.number) + int8(period.length)


def hs_index(blinded_public: bytes, replica: int, period: TimePeriod) -> bytes:
    """
    Return the place (32 bytes) of replica 1, 2, ... of a descriptor on the ring of ``period``.

    Length and number stand the other way round than in ``ring_suffix``; so says the specification, and so does Tor.
    """
    place = int8(replica) + int8(period.length) + int8(period.number)
    return hashlib.sha3_256(b"store-at-idx" + blinded_public + place).digest()


class Ring:
    """The directories of one period, in the order of their index."""

    def __init__(self, directories: Mapping[str, bytes], srv: bytes, period: TimePeriod) -> None:
        """Place ``directories``: the ed25519 identity under each fingerprint."""
        suffix = ring_suffix(srv, period)
        self._placed = {hsdir_index(identity, suffix): name for name, identity in directories.items()}
        self._indexes = sorted(self._placed)
        self._period = period

    def __len__(self) -> int:
        return len(self._indexes)

    def responsible(self, blinded_public: bytes, replicas: int, spread: int) -> tuple[str, ...]:
        """
        Return the fingerprints of the directories that store the descriptor under ``blinded_public``.

        For each replica the next ``spread`` that an earlier replica has not taken; fewer on a ring that is too small.
        """
        chosen: dict[str, None] = {}
        for replica in range(1, replicas + 1):
            wanted = len(chosen) + spread
            for name in self._from(hs_index(blinded_public, replica, self._period)):
                if len(chosen) == wanted:
                    break
                chosen[name] = None
        return tuple(chosen)

    def _from(self, place: bytes) -> Iterator[str]:
        """Yield every directory once, beginning with the first at or behind ``place``."""
        start = bisect_left(self._indexes, place)
        for number in range(start, start + len(self)):
            yield self._placed[self._indexes[number % len(self)]]
