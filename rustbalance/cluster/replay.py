"""
What was heard of each node already.

Owns: that a frame counts once. In: the key, boot id and sequence number of frames that were found genuine; out: whether
they are new. Pure.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

REMEMBERED_BOOTS: Final = 16
"""Earlier boots of a node that are known. The time in a frame keeps out those of even earlier ones."""


@dataclass
class _Heard:
    boot: bytes
    sequence: int
    ended: deque[bytes] = field(default_factory=lambda: deque(maxlen=REMEMBERED_BOOTS))


class ReplayGuard:
    """
    The last sequence number of each node, known by its public key.

    A boot id that was not seen before begins a new count and ends the one before it, for good: two machines with the
    same key cannot both be heard.
    """

    def __init__(self) -> None:
        self._heard: dict[bytes, _Heard] = {}

    def is_new(self, public_key: bytes, boot: bytes, sequence: int) -> bool:
        """Tell whether nothing as late as this was heard of the node."""
        heard = self._heard.get(public_key)
        if heard is None:
            return True
        return sequence > heard.sequence if boot == heard.boot else boot not in heard.ended

    def note(self, public_key: bytes, boot: bytes, sequence: int) -> None:
        """Remember a frame that is new and genuine."""
        heard = self._heard.get(public_key)
        if heard is None:
            self._heard[public_key] = _Heard(boot, sequence)
            return
        if boot != heard.boot:
            heard.ended.append(heard.boot)
        heard.boot, heard.sequence = boot, sequence

    def forget(self, public_key: bytes) -> None:
        """The node is no member any more."""
        self._heard.pop(public_key, None)
