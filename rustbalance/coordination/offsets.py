"""
How the clocks of other nodes differ from ours.

Owns: what their frames have told of late. In: the time in a frame against ours, whether it was taken or refused; out: a
difference for each node. Pure.
"""

from collections import deque
from collections.abc import Mapping

from rustbalance.cluster.messages import NodeId

#: Seconds for which a frame counts.
WINDOW = 60.0
#: Frames of a node that are kept.
MOST = 32
#: Nodes that are remembered; a name is anybody's to choose.
MOST_NODES = 128


class Offsets:
    """Differences in seconds; positive: the other clock is ahead."""

    def __init__(self) -> None:
        self._heard: dict[NodeId, deque[tuple[float, float]]] = {}

    def note(self, node: NodeId, ahead: float, at: float) -> None:
        """A frame of ``node`` bore a time that was ``ahead`` of ours when it came, at the monotonic time ``at``."""
        if node not in self._heard and len(self._heard) >= MOST_NODES:
            del self._heard[next(iter(self._heard))]
        self._heard.setdefault(node, deque(maxlen=MOST)).append((at, ahead))

    def forget(self, others: Mapping[NodeId, object]) -> None:
        """Only these are members."""
        for node in self._heard.keys() - others.keys():
            del self._heard[node]

    def now(self, at: float) -> dict[NodeId, float]:
        """Return the differences; the quickest frame counts, since the others were longer on their way."""
        recent = {node: [ahead for then, ahead in heard if at - then <= WINDOW] for node, heard in self._heard.items()}
        return {node: max(found) for node, found in recent.items() if found}
