"""
The simulated network.

Owns: what becomes of a frame on its way: lost, late, doubled, out of order, cut off. In: frames; out: deliveries.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from rustbalance.cluster.messages import Message
from tests.sim.events import Agenda


@dataclass(frozen=True, slots=True)
class Frame:
    """
    What ``rustbalance.cluster.frames`` would have sealed: who says what, when, in which order.

    ``wall`` is when by the sender's clock, ``sent`` by the world's.
    """

    sender: str
    boot: bytes
    sequence: int
    wall: float
    message: Message
    size: int
    sent: float = 0.0


class Network:
    """Between any two nodes: ``loss``, ``doubled`` and ``strayed`` are probabilities, ``delay`` a range of seconds."""

    def __init__(self, agenda: Agenda, random: Random) -> None:
        self._agenda = agenda
        self._random = random
        self.deliver: dict[str, Callable[[Frame], None]] = {}
        self.blocked: set[tuple[str, str]] = set()
        self.fair()

    def fair(self) -> None:
        """Good weather: everybody reaches everybody, and little is lost."""
        self.blocked.clear()
        self.loss, self.doubled, self.strayed = 0.02, 0.0, 0.0
        self.delay = (0.02, 0.3)

    def foul(self) -> None:
        """Some other weather."""
        random = self._random
        self.loss = random.choice((0.0, 0.05, 0.2, 0.5))
        self.doubled = random.choice((0.0, 0.1))
        self.strayed = random.choice((0.0, 0.1))
        self.delay = random.choice(((0.01, 0.1), (0.05, 1.0), (0.5, 3.0)))

    def cut(self, some: set[str], *, both_ways: bool = True) -> None:
        """Separate ``some`` nodes from the others; one way: what ``some`` say does not get out."""
        for node in self.deliver:
            for other in self.deliver:
                if node in some and other not in some:
                    self.blocked.add((node, other))
                    if both_ways:
                        self.blocked.add((other, node))

    def send(self, to: str, frame: Frame) -> None:
        """Send a frame on its way."""
        random = self._random
        if (frame.sender, to) in self.blocked or random.random() < self.loss:
            return
        delay = self.delay[0] + (self.delay[1] - self.delay[0]) * random.random()
        if self.strayed and random.random() < self.strayed:
            delay += 10.0 * random.random()
        self._agenda.after(delay, self._arrive, to, frame)
        if self.doubled and random.random() < self.doubled:
            self._agenda.after(delay + random.random(), self._arrive, to, frame)

    def _arrive(self, to: str, frame: Frame) -> None:
        if (frame.sender, to) not in self.blocked:
            self.deliver[to](frame)
