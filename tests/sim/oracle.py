"""
What must hold in any weather.

Owns: an account of what really happened, kept apart from what nodes believe, and the complaints that follow from it.
In: everything that nodes do; out: ``Violation``.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rustbalance.cluster.commands import PersistedState
from rustbalance.cluster.messages import Heartbeat, PeerState, State
from tests.sim.directories import Text
from tests.sim.network import Frame

if TYPE_CHECKING:
    from tests.sim.node import SimulatedNode
    from tests.sim.world import World

RECENT = 60.0
"""Seconds within which a node that fell silent may be alive, and it is the listener who is cut off."""
NAP = 4.0
"""Seconds that a node may hang without noticing."""
SLACK = 2.0
"""Seconds between a confirmation, or its end, and what follows from it."""


class Violation(AssertionError):
    """Something happened that must not."""


@dataclass(frozen=True)
class Point:
    """An introduction point of ``owner``, which it had ``until`` then, in that ``incarnation`` at the latest."""

    owner: str
    until: float = float("inf")
    incarnation: float = float("inf")


class Oracle:
    """Watches the nodes of ``world``."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._publisher_of: dict[int, str] = {}
        self._evidence: dict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
        self._doomed: dict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
        self._heard: dict[str, dict[str, float]] = defaultdict(dict)
        self._goodbye: dict[str, set[str]] = defaultdict(set)
        self._kept: dict[str, PersistedState] = {}
        self._points: dict[bytes, Point] = {}
        self._late: dict[str, float] = defaultdict(float)
        self._declared: dict[str, dict[str, tuple[tuple[int, int], State]]] = defaultdict(dict)
        self._known_revision: dict[str, dict[str, int]] = defaultdict(dict)
        self.deaths: list[tuple[float, str, str]] = []
        self.takeovers: list[tuple[float, str]] = []
        self.texts: list[tuple[float, Text]] = []

    # What nodes may believe.

    def booted(self, node: "SimulatedNode") -> None:
        """A new process has heard nothing yet."""
        for book in (self._evidence, self._doomed, self._heard, self._goodbye, self._known_revision, self._declared):
            book.pop(node.name, None)

    def members(self, node: "SimulatedNode", names: set[str]) -> None:
        """``node`` knows these others, and has forgotten all about the rest."""
        for book in (self._evidence, self._doomed, self._heard, self._declared):
            for gone in book[node.name].keys() - names:
                del book[node.name][gone]
        self._goodbye[node.name] &= names

    def wiped(self, node: "SimulatedNode") -> None:
        """A node without its disk may begin its counts anew."""
        self._kept.pop(node.name, None)

    def received(self, node: "SimulatedNode", frame: Frame) -> None:
        """``node`` is about to learn this."""
        message = frame.message
        acquainted = node.known
        self._late[frame.sender] = max(self._world.agenda.now - frame.sent, self._late[frame.sender])
        if not isinstance(message, Heartbeat) or frame.sender not in acquainted:
            return
        spoken = (message.incarnation, message.beat)
        self._note(node.name, frame.sender, spoken)
        if spoken > self._declared[node.name].get(frame.sender, ((0, 0), None))[0]:
            self._declared[node.name][frame.sender] = (spoken, message.state)
        if message.state is State.DEAD and spoken >= self._evidence[node.name][frame.sender]:
            self._goodbye[node.name].add(frame.sender)
        for entry in message.states:
            if entry.id in acquainted:
                self._said(node.name, entry)
        known = self._known_revision[node.name]
        for blinded, revision in message.revisions.items():
            known[blinded] = max(known.get(blinded, 0), revision)

    def _said(self, observer: str, entry: PeerState) -> None:
        """Somebody believes this: that a node lives is no news after we heard that it died no earlier."""
        evidence = (entry.incarnation, entry.beat)
        doomed = self._doomed[observer].get(entry.id, (-1, -1))
        if entry.state is State.DEAD:
            self._doomed[observer][entry.id] = max(evidence, doomed)
        else:
            heard = self._heard[observer].get(entry.id)
            self._note(observer, entry.id, evidence)
            if evidence <= doomed and heard is not None:
                self._heard[observer][entry.id] = heard
            elif evidence <= doomed:
                self._heard[observer].pop(entry.id, None)

    def _note(self, observer: str, subject: str, evidence: tuple[int, int]) -> None:
        if evidence > self._evidence[observer].get(subject, (-1, -1)):
            self._evidence[observer][subject] = evidence
            self._heard[observer][subject] = self._world.agenda.now
            self._goodbye[observer].discard(subject)

    def _died(self, node: "SimulatedNode", subject: str) -> None:
        """``node`` has declared a member dead: no later sign of life may have reached it, and none just now."""
        now = self._world.agenda.now
        self.deaths.append((now, node.name, subject))
        self._world.agenda.note(f"{node.name} declares {subject} dead")
        believed = node.core._parts.members.get(subject)
        if believed is None or believed.evidence < self._evidence[node.name].get(subject, (-1, -1)):
            raise Violation(f"{node} declared {subject} dead by evidence older than its latest")
        heard = self._heard[node.name].get(subject, float("-inf"))
        silence = (
            now - heard - sum(max(0.0, end - max(heard, start)) for start, end in node.sleeps if end > start + NAP)
        )
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
        self._points.update(dict.fromkeys(keys, Point(owner)))

    def not_offered(self, owner: str, keys: tuple[bytes, ...], incarnation: int) -> None:
        """And from now on it has them no more; the node was in that incarnation."""
        self._points.update(dict.fromkeys(keys, Point(owner, self._world.agenda.now, incarnation)))

    def built(self, node: "SimulatedNode", text: Text, *, again: bool) -> None:
        """``node`` is about to publish this, or the last text ``again`` since its counter was too low."""
        now = self._world.agenda.now
        self.texts.append((now, text))
        self._world.agenda.note(f"{node} builds revision {text.revision} with {len(text.keys)} points")
        if not text.keys:
            raise Violation(f"{node} publishes nothing at all")
        if not node.publishing.active or not node.core._parts.succession.publishing:
            raise Violation(f"{node} publishes though it is not the publisher")
        for key in text.keys:
            self._not_too_old(node, self._points[key])
        if not again:
            self._not_cut_off(node)
            for key in text.keys:
                self._fit_to_publish(node, self._points[key])
            self._no_unhealthy_among_others(node, {self._points[key].owner for key in text.keys})
        if text.revision <= self._known_revision[node.name].get(text.blinded.hex(), 0):
            raise Violation(f"{node} uses a revision that it knew to be used up")
        self._known_revision[node.name][text.blinded.hex()] = text.revision

    def _not_too_old(self, node: "SimulatedNode", point: "Point") -> None:
        lifetime = self._world.settings.points_lifetime
        if self._world.agenda.now - point.until > lifetime + SLACK + self._late[point.owner]:
            raise Violation(f"{node} publishes what nobody offered in the last {lifetime:.0f} s")

    def _fit_to_publish(self, node: "SimulatedNode", point: "Point") -> None:
        """See that ``node`` knew of nothing that speaks against a point."""
        if self._evidence[node.name].get(point.owner, (0, 0))[0] > point.incarnation:
            raise Violation(f"{node} publishes points of an incarnation of {point.owner} that it knows to be over")

    def _no_unhealthy_among_others(self, node: "SimulatedNode", owners: set[str]) -> None:
        """See that those without a target are published only when ``node`` knew of nobody with one."""
        unhealthy = {owner for owner in owners if self._says(node, owner) is State.UNHEALTHY}
        if unhealthy and unhealthy != owners:
            raise Violation(f"{node} publishes points of {unhealthy}, which say that they are unhealthy, among others")

    def _says(self, node: "SimulatedNode", owner: str) -> State | None:
        """Return what ``owner`` said of itself last, as far as ``node`` knows."""
        if owner == node.name:
            return node.core._parts.own.state()
        declared = self._declared[node.name].get(owner)
        return None if declared is None else declared[1]

    def _not_cut_off(self, node: "SimulatedNode") -> None:
        """See that ``node`` is not one of a few that have lost all the others."""
        now, timeout = self._world.agenda.now, self._world.settings.heartbeat_timeout
        last_call = self._world.settings.heartbeat_interval  # a sleep counts from the last time that it was awake
        slept = sum(end - start + last_call for start, end in node.sleeps if end > now - RECENT)
        others = [at for name, at in self._heard[node.name].items() if name not in self._goodbye[node.name]]
        expected = 1 + sum(at > now - RECENT for at in others)
        present = 1 + sum(at > now - timeout - slept - 0.5 for at in others)
        if 2 * present < expected:
            raise Violation(f"{node} publishes though it hears only {present - 1} of {expected - 1} others")
