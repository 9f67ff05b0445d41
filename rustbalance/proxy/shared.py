"""
What all conversations with visitors have in common.

Owns: the parts that an exchange and a visitor's connection need, in one value, and the figures they add up. In: made by
the front; out: read by the others.
"""

from dataclasses import dataclass, field

from rustbalance.proxy.deadlines import Deadlines
from rustbalance.proxy.health import TargetHealth
from rustbalance.proxy.place import Place
from rustbalance.proxy.pool import Pool
from rustbalance.proxy.settings import ProxySettings


@dataclass
class Tally:
    """Figures since the start: connections and requests of visitors, bytes from them and to them."""

    connections: int = 0
    requests: int = 0
    bytes_in: int = 0
    bytes_out: int = 0


@dataclass
class Shared:
    """``stopping``: running requests are finished, and nothing new begins."""

    settings: ProxySettings
    place: Place
    deadlines: Deadlines
    pool: Pool
    health: TargetHealth
    tally: Tally = field(default_factory=Tally)
    stopping: bool = False
