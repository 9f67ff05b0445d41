"""
What was heard of each node already.

Owns: that a frame counts once. In: the key, boot id, sequence number and time of frames that were found genuine; out:
whether they are new. Pure.
"""

from dataclasses import dataclass, field
from typing import Final

REMEMBERED_BOOTS: Final = 16
"""Earlier boots of a node that are known. The time in a frame keeps out those of even earlier ones."""
SKEW: Final = 5.0
"""Seconds by which a frame's time may differ from ours, unless told otherwise."""
LONGEST_WAY: Final = 20.0
"""Seconds after which the time in a frame keeps it out: twice ``SKEW``, and more."""


@dataclass
class _Heard:
    """The present boot, its last sequence number, the time in that frame and our time then; earlier boots' numbers."""

    boot: bytes
    sequence: int
    wall: float
    at: float
    earlier: dict[bytes, int] = field(default_factory=dict)


class ReplayGuard:
    """
    The last sequence number of each boot of each node, known by its public key.

    A boot id that was not seen before begins a new count and ends the one before it: of two machines with the same key
    one is heard. A frame of an earlier boot may come late, to a node that had not heard that boot, and must not end the
    present one: so a new boot begins with a time (Unix, on the sender's clock) that is not before the last one. Where
    clocks were set back and that went wrong all the same, it comes right after a silence longer than frames are valid.
    The monotonic seconds in ``now`` are ours; ``skew`` is by how many the time in a frame may differ from ours.
    """

    def __init__(self, skew: float = SKEW) -> None:
        self._longest_way = LONGEST_WAY + max(0.0, 2 * (skew - SKEW))
        self._heard: dict[bytes, _Heard] = {}

    def is_new(self, public_key: bytes, boot: bytes, sequence: int, wall: float, now: float) -> bool:
        """Tell whether nothing as late as this was heard of the node."""
        heard = self._heard.get(public_key)
        if heard is None:
            return True
        if boot == heard.boot:
            return self.follows(public_key, boot, sequence)
        if now > heard.at + self._longest_way:
            return sequence > heard.earlier.get(boot, -1)
        return boot not in heard.earlier and wall >= heard.wall

    def follows(self, public_key: bytes, boot: bytes, sequence: int) -> bool:
        """Tell whether this comes after all that was heard of the node in its present boot."""
        heard = self._heard.get(public_key)
        return heard is not None and boot == heard.boot and sequence > heard.sequence

    def note(self, public_key: bytes, boot: bytes, sequence: int, wall: float, now: float) -> None:
        """Remember a frame that is new and genuine."""
        heard = self._heard.get(public_key)
        if heard is None:
            self._heard[public_key] = _Heard(boot, sequence, wall, now)
            return
        if boot != heard.boot:
            others = {each: last for each, last in heard.earlier.items() if each != boot}
            heard.earlier = dict([*others.items(), (heard.boot, heard.sequence)][-REMEMBERED_BOOTS:])
        heard.boot, heard.sequence, heard.wall, heard.at = boot, sequence, wall, now

    def forget(self, public_key: bytes) -> None:
        """The node is no member any more."""
        self._heard.pop(public_key, None)
