"""
Ways through a network on which every pair of relays meets.

Owns: choosing routes so that each link between two relays is part of one. In: names; out: routes. Pure.
"""

from collections.abc import Sequence

LONGEST = 8
"""Most relays of one circuit: it takes an EXTEND for each after the first, in RELAY_EARLY cells, of which it has 8."""


def routes(relays: Sequence[str], longest: int = LONGEST) -> list[list[str]]:
    """
    Return routes of at most ``longest`` different relays each in which every two relays are neighbours once or more.

    Each route goes on along a link that no route has yet, to the relay that has most of those left.
    """
    left = {relay: {other for other in relays if other != relay} for relay in relays}
    found = []
    while any(left.values()):
        found.append(_route(left, longest))
    return found


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
