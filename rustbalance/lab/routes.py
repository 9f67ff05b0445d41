"""
Ways through a network over every link.

Owns: choosing routes so that from each relay to each other one there is a step in one of them. In: names; out: routes.
Pure.
"""

from collections.abc import Sequence

LONGEST = 8
"""Most relays of one circuit: it takes an EXTEND for each after the first, in RELAY_EARLY cells, of which it has 8."""


def routes(relays: Sequence[str], longest: int = LONGEST) -> list[list[str]]:
    """
    Return routes of at most ``longest`` different relays each in which every relay follows every other one once.

    Each is there in both directions: two relays may have several connections to each other, and each of the two goes on
    over the one that it likes best. A route goes along links that none before it has, to the relay with most of those.
    """
    left = {relay: {other for other in relays if other != relay} for relay in relays}
    found = []
    while any(left.values()):
        found.append(_route(left, longest))
    return [*found, *(route[::-1] for route in found)]


def _route(left: dict[str, set[str]], longest: int) -> list[str]:
    here = max(left, key=lambda relay: len(left[relay]))
    route = [here]
    while len(route) < longest and (ahead := left[here] - set(route)):
        there = max(sorted(ahead), key=lambda relay: len(left[relay]))
        left[here].remove(there)
        left[there].remove(here)
        route.append(there)
        here = there
    return route
