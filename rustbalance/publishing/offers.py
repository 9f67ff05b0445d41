"""
Whose introduction points we publish.

Owns: what each source last offered, and reading it out of the descriptor that a Tor of ours keeps for itself.
In: that descriptor's text; out: one merged inner layer, and ``Outline`` to see a change by. Pure.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from rustbalance.onion.descriptor import decode, decode_outer
from rustbalance.onion.inner import InnerLayer
from rustbalance.onion.keys import blind_public, subcredential
from rustbalance.onion.merge import Merged, Offer, merge
from rustbalance.onion.periods import TimePeriod

HOUR = 3600


class ForeignDescriptor(ValueError):
    """The descriptor is for none of the periods, or for another service; no key in the message."""


@dataclass(frozen=True)
class Outline:
    """
    What a client sees of a set of offers: two that are equal need no publish in between.

    ``auth_keys`` name the introduction points: a new circuit to the same relay has a new key. ``flags`` are all else
    that the inner layer says.
    """

    auth_keys: frozenset[bytes] = frozenset()
    flags: frozenset[InnerLayer] = frozenset()

    def __len__(self) -> int:
        return len(self.auth_keys)


def outline(inners: Iterable[InnerLayer]) -> Outline:
    """Return what a client sees of these together; one without points has no say."""
    speaking = [inner for inner in inners if inner.points]
    keys = frozenset(point.auth_key for inner in speaking for point in inner.points)
    return Outline(keys, frozenset(replace(inner, points=()) for inner in speaking))


def source_name(node: str, instance: str) -> str:
    """Return the name under which the points of a node's Tor are merged."""
    return f"{node}/{instance}"


class Offers:
    """The last offer of every source, by its name."""

    def __init__(self) -> None:
        self._offers: dict[str, Offer] = {}

    def __contains__(self, source: str) -> bool:
        return source in self._offers

    def replace(self, offers: Mapping[str, InnerLayer]) -> None:
        """These are all the offers that there are."""
        self._offers = {source: Offer(source, inner) for source, inner in offers.items()}

    def put(self, source: str, inner: InnerLayer) -> None:
        """``source`` has these points now and no others."""
        self._offers[source] = Offer(source, inner)

    def withdraw(self, source: str) -> None:
        """``source`` has none any more."""
        self._offers.pop(source, None)

    def outline(self) -> Outline:
        """Return what to compare."""
        return outline(offer.inner for offer in self._offers.values())

    def merged(self, limit: int, random_bytes: Callable[[int], bytes]) -> Merged:
        """Return everybody's points as one inner layer of at most ``limit``."""
        return merge(list(self._offers.values()), limit=limit, random_bytes=random_bytes)


def expiry(inner: InnerLayer) -> float:
    """Return the Unix time at which the first certificate of a point expires."""
    hours = (min(point.auth_key_expiry, point.enc_key_expiry) for point in inner.points)
    return float(min(hours) * HOUR)


def read_own(text: bytes, identity_public: bytes, periods: Iterable[TimePeriod], now: int) -> InnerLayer:
    """
    Return the inner layer of the descriptor that our Tor keeps.

    Tor tells of its current one only, and which period that is for depends on when it last rotated: the blinded key
    says it. ``now`` is Unix time.

    :raises ForeignDescriptor: it is for none of ``periods``.
    :raises rustbalance.onion.descriptor.MalformedDescriptor: it cannot be read.
    """
    blinded = decode_outer(text).blinded_public
    if not any(blind_public(identity_public, period) == blinded for period in periods):
        raise ForeignDescriptor("Tor's own descriptor is for no time period of the current consensus")
    return decode(text, subcredential(identity_public, blinded), now=now).inner
