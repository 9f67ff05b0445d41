"""
Putting things into an order that tells nothing.

Owns: shuffling with randomness that is handed in. In: values and a source of random bytes; out: the values, permuted.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")

_DRAW = 8
"""Bytes drawn for each place: with so many, the bias of a remainder cannot be seen."""


def shuffled(values: Iterable[T], random_bytes: Callable[[int], bytes]) -> list[T]:
    """Return ``values`` in an order drawn from ``random_bytes(count)``, each order as likely as any other."""
    order = list(values)
    draws = random_bytes(_DRAW * len(order))
    for last in range(len(order) - 1, 0, -1):
        chosen = int.from_bytes(draws[_DRAW * last : _DRAW * last + _DRAW], "big") % (last + 1)
        order[last], order[chosen] = order[chosen], order[last]
    return order
