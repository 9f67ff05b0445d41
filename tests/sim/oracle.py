"""
What must hold in any weather.

Owns: an account of what really happened, kept apart from what nodes believe, and the complaints that follow from it.
In: everything that nodes do; out: ``Violation``.
"""

from collections import defaultdict
from typing import TYPE_CHECKING

from rustbalance.cluster.commands import PersistedState
from rustbalance.cluster.messages import Heartbeat, State
from tests.sim.directories import Text
from tests.sim.network import Frame

if TYPE_CHECKING:
    from tests.sim.node import SimulatedNode
    from tests.sim.world import World

SLACK = 12.0
"""Seconds that a message may be old when it confirms points: its way, and the tolerance of clocks twice."""


class Violation(AssertionError):
    """Something happened that must not."""


class Oracle:
    """Watches the nodes of ``world``."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._publisher_of: dict[int, str] = {}
        self._evidence: dict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
        self._heard: dict[str, dict[str, float]] = defaultdict(dict)
        self._goodbye: dict[str, set[str]] = defaultdict(set)
        self._kept: dict[str, PersistedState] = {}
        self._offered_until: dict[bytes, float] = {}
        self._known_revision: dict[str, dict[str, int]] = defaultdict(dict)
        self.deaths: list[tuple[float, str, str]] = []
        self.takeovers: list[tuple[float, str]] = []
        self.texts: list[tuple[float, Text]] = []

    # What nodes may believe.

    def booted(self, node: "SimulatedNode") -> None:
        """A new process has heard nothing yet."""
        for book in (self._evidence, self._heard, self._goodbye, self._known_revision):
            book.pop(node.name, None)

    def wiped(self, node: "SimulatedNode") -> None:
        """A node without its disk may begin its counts anew."""
        self._kept.pop(node.name, None)

    def received(self, node: "SimulatedNode", frame: Frame) -> None:
        """``node`` is about to learn this."""
        message = frame.message
        if not isinstance(message, Heartbeat):
            return
        self._note(node.name, frame.sender, (message.incarnation, message.beat), message.state is State.DEAD)
        for entry in message.states:
            if entry.state is not State.DEAD:
                self._note(node.name, entry.id, (entry.incarnation, entry.beat), False)
        known = self._known_revision[node.name]
        for blinded, revision in message.revisions.items():
            known[blinded] = max(known.get(blinded, 0), revision)

    def _note(self, observer: str, subject: str, evidence: tuple[int, int], goodbye: bool) -> None:
        if evidence > self._evidence[observer].get(subject, (-1, -1)):
            self._evidence[observer][subject] = evidence
            self._heard[observer][subject] = self._world.agenda.now
            (self._goodbye[observer].add if goodbye else self._goodbye[observer].discard)(subject)

    def _died(self, node: "SimulatedNode", subject: str) -> None:
        """``node`` has declared a member dead: no later sign of life may have reached it, and none just now."""
        now = self._world.agenda.now
        self.deaths.append((now, node.name, subject))
        self._world.agenda.note(f"{node.name} declares {subject} dead")
        believed = node.core._parts.members.get(subject)
        if believed is None or believed.evidence < self._evidence[node.name].get(subject, (-1, -1)):
            raise Violation(f"{node} declared {subject} dead by evidence older than its latest")
        silence = now - self._heard[node.name].get(subject, float("-inf"))
        if subject not in self._goodbye[node.name] and silence < self._world.settings.heartbeat_timeout / 2 - 1e-6:
            raise Violation(f"{node} declared {subject} dead {silence:.1f} s after a sign of life")

    # Counters.

    def persisted(self, node: "SimulatedNode", state: PersistedState) -> None:
        """``node`` keeps this: no count may have gone back."""
        before = self._kept.get(node.name)
        self._kept[node.name] = state
        if before is None:
            before = PersistedState()
        for name in ("incarnation", "term", "points_version"):
            if getattr(state, name) < getattr(before, name):
                raise Violation(f"{node}'s {name} went back")
        for blinded, revision in before.revisions.items():
            if state.revisions.get(blinded, 0) < revision:
                raise Violation(f"{node} forgot a revision")
        for subject in sorted(set(state.absent) - set(before.absent)):
            self._died(node, subject)

    def became_publisher(self, node: "SimulatedNode", term: int) -> None:
        """``node`` publishes in ``term``: nobody else ever may."""
        holder = self._publisher_of.setdefault(term, node.name)
        self.takeovers.append((self._world.agenda.now, node.name))
        self._world.agenda.note(f"{node} becomes publisher")
        if holder != node.name:
            raise Violation(f"both {holder} and {node} published in one term")

    # Publishing.

    def offered(self, owner: str, keys: tuple[bytes, ...]) -> None:
        """A Tor has these introduction points from now on."""
        self._offered_until.update(dict.fromkeys(keys, float("inf")))

    def not_offered(self, keys: tuple[bytes, ...]) -> None:
        """And from now on it has them no more."""
        self._offered_until.update(dict.fromkeys(keys, self._world.agenda.now))

    def built(self, node: "SimulatedNode", text: Text) -> None:
        """``node`` is about to publish this."""
        now, lifetime = self._world.agenda.now, self._world.settings.points_lifetime
        self.texts.append((now, text))
        self._world.agenda.note(f"{node} builds revision {text.revision} with {len(text.keys)} points")
        if not text.keys:
            raise Violation(f"{node} publishes nothing at all")
        if not node.publishing.active or not node.core._parts.succession.publishing:
            raise Violation(f"{node} publishes though it is not the publisher")
        if any(now - self._offered_until[key] > lifetime + SLACK for key in text.keys):
            raise Violation(f"{node} publishes what nobody offered in the last {lifetime:.0f} s")
        if text.revision <= self._known_revision[node.name].get(text.blinded.hex(), 0):
            raise Violation(f"{node} uses a revision that it knew to be used up")
        self._known_revision[node.name][text.blinded.hex()] = text.revision
