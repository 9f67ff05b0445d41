"""
A simulated node: the real cluster core and the real publishing cores, a made-up Tor, disk and clock.

Owns: performing commands, one timer, crashes and hangs. In: frames and what happens to the node; out: frames and texts.
"""

from collections import deque
from collections.abc import Sequence, Set
from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING

from rustbalance.cluster.commands import (
    BecomePublisher,
    Command,
    MembersChanged,
    Persist,
    PersistedState,
    RevisionsLearned,
    Send,
    SourcesChanged,
    StepDown,
)
from rustbalance.cluster.core import ClusterCore
from rustbalance.cluster.frames import LASTING, LATE
from rustbalance.cluster.messages import IntroPoints, Message, NodeRecord, PeerAnnounce, decode, encode
from rustbalance.cluster.parts import CannotForget
from rustbalance.cluster.refusals import Refused, check_term
from rustbalance.cluster.replay import ReplayGuard
from rustbalance.moment import Moment
from tests.sim.directories import EPOCH, made_up_points
from tests.sim.network import Frame
from tests.sim.publishing import Publishing

if TYPE_CHECKING:
    from tests.sim.world import World

FRAME_OVERHEAD = 147
"""Bytes that sealing adds to a message, besides the sender's name."""
CLOCK_TOLERANCE = 5.0
"""Seconds by which a frame's time may differ from ours."""
MOST_QUEUED = 2000
"""Frames that wait for a node that hangs."""


@dataclass
class Disk:
    """What outlives a process."""

    state: PersistedState | None = None
    revisions: dict[bytes, int] = field(default_factory=dict)


class SimulatedNode:
    """
    One node, down until ``boot``.

    ``skew``: seconds by which its clock is ahead. ``keys``: auth keys of its Tor's introduction points.
    """

    def __init__(self, name: str, world: "World", priority: int, seeds: tuple[NodeRecord, ...] = ()) -> None:
        self.name = name
        self.world = world
        self.priority = priority
        self.seeds = seeds
        self.bundle = b""
        self.public_key = name.encode().ljust(32, b"\0")
        self.random = Random(f"{world.seed}/{name}")
        self.disk = Disk()
        self.skew = 0.0
        self.keys: tuple[bytes, ...] = ()
        self.up = self.hung = False
        self.target_healthy = self.able = True
        self.drained = self.outside = False
        self.sent_bytes = self.received_bytes = self.received_frames = 0
        self.sleeps: list[tuple[float, float]] = []
        self._boots = self._generation = 0
        self._queue: list[Frame] = []
        self._alarm = float("inf")
        self._to_do: deque[Command] = deque()
        self._said: Message | None = None
        self._busy = False

    def __repr__(self) -> str:
        return self.name

    def clock(self) -> Moment:
        """Read both clocks of this node."""
        return Moment(self.world.agenda.now + self._offset, self.world.agenda.now + EPOCH + self.skew)

    def record(self) -> NodeRecord:
        """Return the record that its configuration makes."""
        where = (f"direct:{self.name}:1",)
        return NodeRecord(self.name, self.public_key, 0, self.priority, where, bundle=self.bundle)

    # What happens to it.

    def boot(self) -> None:
        """Start; without anything on disk it knows its seeds only."""
        self._boots += 1
        self._boot_id = self._boots.to_bytes(16, "big")
        self._sequence, self._offset, self._said = 0, 1000.0 * self.random.random(), None
        self._guard, self._alarm, self._queue = ReplayGuard(), float("inf"), []
        self.up, self.hung = True, False
        self.core = ClusterCore(self.record(), self.world.settings, self.disk.state, self.random.random)
        self.publishing = Publishing(
            self.name,
            self.world.agenda,
            self.random,
            self.clock,
            self._floor,
            lambda revisions: self.do(self.core.used_revisions(revisions, self.clock())),
            lambda directory, text: self.world.store(self, directory, text),
            lambda text, again: self.world.oracle.built(self, text, again=again),
            self.disk.revisions,
            self.world.refresh,
        )
        self.world.oracle.booted(self)
        self.world.gone.discard(self.name)
        self.tell_health()
        self.do(self.core.start(self.clock()))
        self.do(self.core.learn(self.seeds, self.clock()))
        self.world.agenda.after(0.5 + 2 * self.random.random(), self._tor_is_up, self._boots)

    def crash(self) -> None:
        """Be killed."""
        self._withdraw_keys()
        self.up, self.keys = False, ()
        self.publishing.die()

    def join(self, host: "SimulatedNode") -> None:
        """Be let in by a member: it tells us who the others are, and them who we are."""
        self.outside = False
        self.seeds = (host.core.record, *host.core._parts.table)
        self.do(self.core.learn(self.seeds, self.clock()))
        host.do(host.core.admit(self.core.record, host.clock()))
        self.tell_health()

    def wipe(self) -> None:
        """Lose what is on disk."""
        self.disk = Disk()
        self.world.oracle.wiped(self)

    def stop(self) -> None:
        """Be stopped properly."""
        self.do(self.core.stop(self.clock()))
        self.crash()

    def hang(self) -> None:
        """Be stopped by SIGSTOP, Tor too."""
        self.hung = self.publishing.frozen = True
        self._hung_since = self.world.agenda.now

    def resume(self) -> None:
        """Go on after that: first with whatever has arrived, or with the timers."""
        self.hung = self.publishing.frozen = False
        self.sleeps.append((self._hung_since, self.world.agenda.now))
        waiting, self._queue = self._queue, []
        for frame in waiting:
            self.receive(frame)
        self._wake(self._boots, self._alarm)

    def rotate(self) -> None:
        """Tor builds other introduction points."""
        if self.able:
            self._generation += 1
            inner, keys = made_up_points(self.name, self._generation)
            self._points(inner, keys)

    def lose_tor(self) -> None:
        """Tor dies, its introduction points with it."""
        self.able = False
        self.publishing.tor_lost()
        self._points(b"", ())
        self.tell_health()

    def regain_tor(self) -> None:
        """Tor is back, with others."""
        self.able = True
        self.publishing.tor_back()
        self.tell_health()
        self.rotate()

    def forget(self, node: "SimulatedNode") -> bool:
        """An operator takes ``node`` for gone for good; return whether that was believed."""
        try:
            self.do(self.core.forget(node.name, self.clock()))
        except CannotForget:
            return False
        return True

    def tell_health(self) -> None:
        """Hand on what the probes say."""
        able = self.able and not self.outside
        self.do(self.core.set_health(self.target_healthy, self.drained, self.clock(), able=able))

    # The shell that the real service is.

    def receive(self, frame: Frame) -> None:
        """Take a frame from the network, if ``FrameOpener`` would."""
        if not self.up:
            return
        if self.hung:
            self._queue = [*self._queue[-MOST_QUEUED:], frame]
            return
        now = self.clock()
        introduction = _introduction(frame) if frame.sender not in self.known else None
        if frame.sender not in self.known and introduction is None:
            return
        key = frame.sender.encode()
        follows = self._guard.follows(key, frame.boot, frame.sequence)
        patience = LATE if follows and isinstance(frame.message, LASTING) else CLOCK_TOLERANCE
        if not -patience <= frame.wall - now.wall <= CLOCK_TOLERANCE or not self._guard.is_new(
            key, frame.boot, frame.sequence, frame.wall, now.mono
        ):
            return
        self._guard.note(key, frame.boot, frame.sequence, frame.wall, now.mono)
        if _claims_too_much(frame, now):
            return
        self.received_bytes += frame.size
        self.received_frames += 1
        self.world.oracle.received(self, frame)
        self.do(self.core.receive(frame.sender, introduction or frame.message, now))

    def do(self, commands: Sequence[Command]) -> None:
        """Perform commands, after those that are being performed; then set the timer."""
        self._to_do += commands
        if self._busy:
            return
        self._busy = True
        while self._to_do:
            self._perform(self._to_do.popleft())
        self._busy = False
        due = self.core.due()
        if due is not None and due < self._alarm:
            self._alarm = due
            self.world.agenda.after(max(1e-6, due - self.clock().mono), self._wake, self._boots, due)

    @property
    def known(self) -> Set[str]:
        """The names of the nodes whose records it has."""
        return self.core._parts.members._members.keys()

    def _perform(self, command: Command) -> None:
        match command:
            case Send(to, message):
                targets = sorted(self.known) if to is None else [to]
                self._send(targets, self._frame(message))
            case Persist(state):
                self.world.oracle.persisted(self, state)
                self.disk.state = state
            case BecomePublisher(term):
                self.world.oracle.became_publisher(self, term)
                self.publishing.become_publisher()
            case StepDown():
                self.world.agenda.note(f"{self.name} steps down: {command.reason}")
                self.publishing.step_down()
            case SourcesChanged(sources, certainty):
                self.publishing.sources_changed(sources, certainty)
            case MembersChanged(records):
                self.world.oracle.members(self, {record.id for record in records})
            case RevisionsLearned(revisions):
                self.publishing.learned(revisions)

    def _frame(self, message: Message) -> Frame:
        """Return what arrives of a message, still without a number: the same for all that are told the same."""
        if message is not self._said:
            data = encode(message)
            self._said = message
            self._frame_said = Frame(self.name, self._boot_id, 0, 0.0, decode(data), self._size(data))
        return self._frame_said

    def _send(self, targets: Sequence[str], frame: Frame) -> None:
        for target in targets:
            self._sequence += 1
            self.sent_bytes += frame.size
            sealed = replace(frame, sequence=self._sequence, wall=self.clock().wall, sent=self.world.agenda.now)
            self.world.network.send(target, sealed)

    def _size(self, data: bytes) -> int:
        return len(data) + FRAME_OVERHEAD + len(self.name)

    def _wake(self, boot: int, alarm: float) -> None:
        if boot != self._boots or not self.up or self.hung:
            return
        if alarm == self._alarm:
            self._alarm = float("inf")
        self.do(self.core.wake(self.clock()))

    def _tor_is_up(self, boot: int) -> None:
        if boot == self._boots and self.up and not self.hung:
            self.rotate()

    def _points(self, inner: bytes, keys: tuple[bytes, ...]) -> None:
        self._withdraw_keys()
        self.keys = keys
        self.world.oracle.offered(self.name, keys)
        now = self.clock()
        self.do(self.core.own_points(IntroPoints(source=self.name, version=0, sent_at=now.wall, inner=inner), now))

    def _withdraw_keys(self) -> None:
        self.world.oracle.not_offered(self.name, self.keys, self.core.record.incarnation)

    def _floor(self, blinded: str) -> int:
        return self.core._parts.revisions.known().get(blinded, 0)


def _claims_too_much(frame: Frame, now: Moment) -> bool:
    try:
        check_term(frame.message, frame.sender, CLOCK_TOLERANCE, now)
    except Refused:
        return True
    return False


def _introduction(frame: Frame) -> PeerAnnounce | None:
    """Return what is left of the announcement of a stranger: its own record."""
    records = frame.message.records if isinstance(frame.message, PeerAnnounce) else ()
    return next((PeerAnnounce(records=(record,)) for record in records if record.id == frame.sender), None)
