"""
Having the descriptor looked up anew by a Tor that must not forget everything else.

Owns: which directories that Tor asks, and when to give up. In: its control connection, the directories; out: nothing,
or ``NoDescriptor``. Whatever a directory gives, Tor keeps in the place of an older one that it knew.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.internet.defer import TimeoutError as DeadlinePassed

from rustbalance.life import within
from rustbalance.onion.address import OnionAddress
from rustbalance.onion.shuffle import shuffled
from rustbalance.tor.control import TorControl
from rustbalance.tor.events import DescriptorFetched
from rustbalance.tor.fetching import fetch_descriptor

MOST: Final = 6
"""Directories that are asked, one after another: a client tries as many (rend-spec-v3, hsdir_spread_fetch)."""
BESIDES: Final = 2
"""So many more are asked of those for the other descriptor: when a period ends, Tor may be a consensus ahead of us."""
EACH: Final = 10.0
"""Seconds for the answer of one."""


class NoDescriptor(Exception):
    """No directory has given a descriptor: a visitor who has none yet would not find the address."""


def chosen(visited: Sequence[str], other: Sequence[str], random_bytes: Callable[[int], bytes]) -> list[str]:
    """Return whom to ask: of the directories of the descriptor that visitors fetch, and of those of the other one."""
    return [*shuffled(visited, random_bytes)[:MOST], *shuffled(other, random_bytes)[:BESIDES]]


async def look_up(
    control: TorControl, address: OnionAddress, directories: Sequence[str], reactor: Any, seconds: float
) -> None:
    """
    Return when one of ``directories``, asked in their order, has given the descriptor.

    :raises NoDescriptor: none of them has, or not within ``seconds``.
    """
    try:
        await within(seconds, reactor, _first(control, address, directories, reactor))
    except DeadlinePassed:
        raise NoDescriptor(f"no directory has given the descriptor within {seconds:g} s") from None


async def _first(control: TorControl, address: OnionAddress, directories: Sequence[str], reactor: Any) -> None:
    for directory in directories:
        answer = await fetch_descriptor(control, address, directory, reactor, EACH)
        if isinstance(answer, DescriptorFetched):
            return
    raise NoDescriptor(f"none of {len(directories)} directories gives the descriptor")
