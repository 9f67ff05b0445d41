"""
One descriptor out of several: whose introduction points are in it, and what it may promise for all.

Owns: the fair choice of points, and which lines survive. In: what each source offers; out: one ``InnerLayer`` and what
was left out of it. Sources are the Tor instances whose points are merged.

The choice depends on the offers alone: it would be published again and again if randomness had a part in it. Randomness
only decides the order in the descriptor, which must not tell what belongs together.

No relay is in a descriptor twice. A client finds a point by its relay and takes the first there (C tor's hs_client.c,
hs_client_setup_intro_circ_auth_key), so that it never uses a second one, nor ever finds that one dead: when all points
have died it goes on trying the first in place of the second, once a second, and does not ask for a new descriptor until
the time period ends.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TypeAlias, TypeVar

from rustbalance.onion.inner import MOST_POINTS, NTOR, InnerLayer
from rustbalance.onion.introduction import IntroductionPoint
from rustbalance.onion.shuffle import shuffled

T = TypeVar("T")
#: By relay: the place of the source whose point it is, and the point.
Chosen: TypeAlias = dict[bytes, tuple[int, IntroductionPoint]]


@dataclass(frozen=True)
class Offer:
    """What one source, known by a name of ours, wants to have published."""

    source: str
    inner: InnerLayer


@dataclass(frozen=True)
class Merged:
    """
    What shall be published, and in words what was left out of it (never a secret or an address).

    ``left_out``: how many points are not in it, because there are too many, or another one is at the same relay.
    """

    inner: InnerLayer
    dropped: tuple[str, ...]
    left_out: int = 0


def merge(offers: Sequence[Offer], *, limit: int, random_bytes: Callable[[int], bytes]) -> Merged:
    """
    Choose up to ``limit`` (1 to 20) introduction points, and the lines that hold for all of them.

    Sources take turns, so that each gets its share and what one does not use goes to the others; of all points at one
    relay one is taken. A source without points has no say. ``flow-control``,
    ``single-onion-service`` and ``intro-auth-required`` stay when all sources have the same; ``pow-params`` and lines
    that we do not know only when there is one source, because each Tor has a seed of its own.

    :raises ValueError: ``limit`` is not 1 to 20.
    """
    if not 1 <= limit <= MOST_POINTS:
        raise ValueError(f"limit must be 1 to {MOST_POINTS}, not {limit}")
    speaking = sorted((offer for offer in offers if offer.inner.points), key=attrgetter("source"))
    offered = list(_offered(speaking))
    keys = {point.auth_key for points in offered for point in points}
    relays = {point.relay for points in offered for point in points}
    chosen = [point for _, point in _choose(offered, limit).values()]
    inners = [offer.inner for offer in speaking]
    dropped = _over_limit(len(relays) - limit)
    alone = len({offer.source for offer in speaking}) == 1
    inner = InnerLayer(
        points=tuple(shuffled(sorted(chosen, key=attrgetter("auth_key")), random_bytes)),
        create2_formats=_common_formats(inners),
        flow_control=_agreed("flow-control", [inner.flow_control for inner in inners], dropped),
        single_onion_service=bool(
            _agreed("single-onion-service", [inner.single_onion_service for inner in inners], dropped)
        ),
        intro_auth_required=_agreed("intro-auth-required", [inner.intro_auth_required for inner in inners], dropped),
        pow_params=_of_one("pow-params", [inner.pow_params for inner in inners], alone, dropped),
        other_lines=_of_one("other lines", [inner.other_lines for inner in inners], alone, dropped) or (),
    )
    return Merged(inner, tuple(dropped), len(keys) - len(chosen))


def _offered(offers: Sequence[Offer]) -> Iterator[list[IntroductionPoint]]:
    """Yield the points of each source in an order of their own; no key is at two relays."""
    relays: dict[bytes, bytes] = {}
    for offer in offers:
        points = sorted(offer.inner.points, key=attrgetter("auth_key"))
        yield [point for point in points if relays.setdefault(point.auth_key, point.relay) == point.relay]


def _choose(offered: Sequence[Sequence[IntroductionPoint]], limit: int) -> Chosen:
    """Give one point more to each source in turn for as long as it can have one, up to ``limit`` in all."""
    chosen: Chosen = {}
    hungry = list(range(len(offered)))
    while hungry:
        for source in list(hungry):
            if len(chosen) == limit:
                return chosen
            if not _give(source, offered, chosen, set()):
                hungry.remove(source)
    return chosen


def _give(source: int, offered: Sequence[Sequence[IntroductionPoint]], chosen: Chosen, asked: set[bytes]) -> bool:
    """
    Have ``source`` get one point more, and nobody fewer; return whether that is possible.

    Who has the relay may move to another one (augmenting paths, as for the largest matching of a bipartite graph).
    """
    for point in offered[source]:
        if point.relay in asked:
            continue
        asked.add(point.relay)
        there = chosen.get(point.relay)
        if there is None or (there[0] != source and _give(there[0], offered, chosen, asked)):
            chosen[point.relay] = source, point
            return True
    return False


def _over_limit(count: int) -> list[str]:
    return [f"{count} introduction points over the limit"] if count > 0 else []


def _common_formats(inners: Sequence[InnerLayer]) -> tuple[int, ...]:
    first, *others = [inner.create2_formats for inner in inners] or [(NTOR,)]
    return tuple(number for number in first if all(number in formats for formats in others))


def _agreed(keyword: str, values: Sequence[T], dropped: list[str]) -> T | None:
    """Return the value that all sources have; when they differ, note the keyword and return None."""
    if any(value != values[0] for value in values):
        dropped.append(f"{keyword}: not all sources have the same")
        return None
    return values[0] if values else None


def _of_one(keyword: str, values: Sequence[T], alone: bool, dropped: list[str]) -> T | None:
    """Return the value when there is one source; when there are more and any has one, note the keyword."""
    if alone:
        return values[0]
    if any(values):
        dropped.append(f"{keyword}: there is more than one source")
    return None
