"""
The consensus parameters that onion services obey.

Owns: their names, defaults and allowed ranges. In: the parameters of a consensus; out: one number.
Source: tor-spec, param-spec ("Onion service related parameters"); C tor's networkstatus_get_param, which clamps.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Parameter:
    """A network-wide setting: what it is when the consensus does not say, and the range it is clamped to."""

    name: str
    default: int
    lowest: int
    highest: int

    def of(self, params: Mapping[str, int]) -> int:
        """Return the value in force on a network whose consensus has ``params``."""
        return min(max(params.get(self.name, self.default), self.lowest), self.highest)


HSDIR_INTERVAL = Parameter("hsdir_interval", 1440, 5, 14400)
"""Length of a time period in minutes; not used with TestingTorNetwork."""
HSDIR_N_REPLICAS = Parameter("hsdir_n_replicas", 2, 1, 16)
"""Places on the ring at which one descriptor is stored."""
HSDIR_SPREAD_STORE = Parameter("hsdir_spread_store", 4, 1, 128)
"""Consecutive directories per replica to which a service uploads."""
MAX_DESCRIPTOR_SIZE = Parameter("HSV3MaxDescriptorSize", 50_000, 1, 2**31 - 1)
"""Bytes of a descriptor from which on directories and clients refuse it."""
