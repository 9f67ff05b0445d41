"""
One descriptor out of several: whose introduction points are in it, and what it may promise for all.

Owns: the fair choice of points, and which lines survive. In: what each source offers; out: one ``InnerLayer`` and what
was left out of it. Sources are the Tor instances whose points are merged.

The choice depends on the offers alone: it would be published again and again if randomness had a part in it. Randomness
decides the order in the descriptor, which must not tell what belongs together, but for one thing: a client finds a
point by its relay, so of several at one relay it only ever uses the first (C tor's hs_client.c,
setup_intro_circ_auth_key). Which one that is decides whose visitors they are.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TypeAlias, TypeVar

from rustbalance.onion.inner import MOST_POINTS, NTOR, InnerLayer
from rustbalance.onion.introduction import IntroductionPoint
from rustbalance.onion.shuffle import shuffled

T = TypeVar("T")
#: The name of a source, and a point of its.
Offered: TypeAlias = tuple[str, IntroductionPoint]


@dataclass(frozen=True)
class Offer:
    """What one source, known by a name of ours, wants to have published."""

    source: str
    inner: InnerLayer


@dataclass(frozen=True)
class Merged:
    """What shall be published, and in words what was left out of it (never a secret or an address)."""

    inner: InnerLayer
    dropped: tuple[str, ...]


def merge(offers: Sequence[Offer], *, limit: int, random_bytes: Callable[[int], bytes]) -> Merged:
    """
    Choose up to ``limit`` (1 to 20) introduction points, and the lines that hold for all of them.

    Sources take turns, so that each gets its share and what one does not use goes to the others; a point that several
    offer (the same auth key) is taken once. A source without points has no say. ``flow-control``,
    ``single-onion-service`` and ``intro-auth-required`` stay when all sources have the same; ``pow-params`` and lines
    that we do not know only when there is one source, because each Tor has a seed of its own.

    :raises ValueError: ``limit`` is not 1 to 20.
    """
    if not 1 <= limit <= MOST_POINTS:
        raise ValueError(f"limit must be 1 to {MOST_POINTS}, not {limit}")
    speaking = sorted((offer for offer in offers if offer.inner.points), key=attrgetter("source"))
    found = list(_in_turn(speaking))
    chosen = shuffled(found[:limit], random_bytes)
    inners = [offer.inner for offer in speaking]
    dropped = _over_limit(len(found) - limit)
    alone = len({offer.source for offer in speaking}) == 1
    inner = InnerLayer(
        points=tuple(point for _, point in _spread(chosen)),
        create2_formats=_common_formats(inners),
        flow_control=_agreed("flow-control", [inner.flow_control for inner in inners], dropped),
        single_onion_service=bool(
            _agreed("single-onion-service", [inner.single_onion_service for inner in inners], dropped)
        ),
        intro_auth_required=_agreed("intro-auth-required", [inner.intro_auth_required for inner in inners], dropped),
        pow_params=_of_one("pow-params", [inner.pow_params for inner in inners], alone, dropped),
        other_lines=_of_one("other lines", [inner.other_lines for inner in inners], alone, dropped) or (),
    )
    return Merged(inner, tuple(dropped))


def _in_turn(offers: Sequence[Offer]) -> Iterator[Offered]:
    """Yield each point once, one of each source in turn for as long as it has any."""
    taken: set[bytes] = set()
    queues = [(offer.source, iter(sorted(offer.inner.points, key=attrgetter("auth_key")))) for offer in offers]
    while queues:
        for source, queue in list(queues):
            point = next((point for point in queue if point.auth_key not in taken), None)
            if point is None:
                queues.remove((source, queue))
            else:
                taken.add(point.auth_key)
                yield source, point


def _spread(points: Sequence[Offered]) -> list[Offered]:
    """Have the first point of each relay be such that each source gets about as many visitors; keep all else."""
    order = list(points)
    shared: dict[bytes, list[int]] = {}
    for place, (_, point) in enumerate(points):
        shared.setdefault(point.relay, []).append(place)
    groups = list(shared.values())
    for places, first in zip(
        groups, _firsts([[points[place][0] for place in places] for places in groups]), strict=True
    ):
        order[places[0]], order[places[first]] = points[places[first]], points[places[0]]
    return order


def _firsts(relays: Sequence[Sequence[str]]) -> list[int]:
    """
    Return which of the sources at each relay is to be its first.

    Each in turn gives its visitors to who has fewest, as long as that makes the shares more even; so there is an end.
    """
    firsts = [0] * len(relays)
    load = Counter({source: 0 for sources in relays for source in sources})
    for sources in relays:
        load[sources[0]] += len(sources)
    moved = True
    while moved:
        moved = False
        for relay, sources in enumerate(relays):
            now, weight = sources[firsts[relay]], len(sources)
            best = min(range(weight), key=lambda place: load[sources[place]])
            if load[sources[best]] + weight < load[now]:
                load[now] -= weight
                load[sources[best]] += weight
                firsts[relay], moved = best, True
    return firsts


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
