"""
One node's part in the cluster.

Owns: how what others say, what happens here and the time lead to what this node says and does. In: messages that were
opened, own points and health, a ``Moment``; out: commands, and the next second at which to look again. Pure: a service
performs the commands, in their order, and sets one timer.
"""

from collections.abc import Callable, Iterable

from rustbalance.cluster.commands import (
    BecomePublisher,
    ClusterView,
    Command,
    Log,
    MemberView,
    Persist,
    PersistedState,
    Send,
    SourcesChanged,
    StepDown,
)
from rustbalance.cluster.conclusions import Conclusions
from rustbalance.cluster.election import term_round
from rustbalance.cluster.hearing import Hearing, believable
from rustbalance.cluster.membership import NEVER
from rustbalance.cluster.messages import IntroPoints, LeaseClaim, Message, NodeId, NodeRecord
from rustbalance.cluster.parts import CannotForget, Parts
from rustbalance.cluster.settings import ClusterSettings
from rustbalance.moment import Moment

OVERSLEPT = 2.0
"""Late by so many heartbeat intervals, and we were not running: the silence of others in that time means nothing."""


def as_it_is(record: NodeRecord) -> NodeRecord:
    """Return the record unsigned."""
    return record


def anybody(record: NodeRecord) -> bool:
    """Trust every record."""
    return True


class ClusterCore:
    """
    A node among the others. Until ``start`` it says and answers nothing; after ``stop`` it is of no further use.

    ``me`` is this node's record, ``sign`` signs it anew for each incarnation; ``trusted`` says whether the record of
    another node is signed by that node. ``persisted`` is what was last asked to be kept, None at the first start.
    ``random`` returns numbers from 0 to 1.
    """

    def __init__(
        self,
        me: NodeRecord,
        settings: ClusterSettings,
        persisted: PersistedState | None,
        random: Callable[[], float],
        sign: Callable[[NodeRecord], NodeRecord] = as_it_is,
        trusted: Callable[[NodeRecord], bool] = anybody,
    ) -> None:
        self._kept = persisted or PersistedState()
        self._settings = settings
        self._random = random
        self._parts = Parts(me, settings, self._kept, random, sign, trusted)
        self._hearing = Hearing(self._parts)
        self._conclusions = Conclusions(self._parts)
        self._running = False
        self._stamp: tuple[object, ...] = ()
        self._last = self._next_beat = NEVER

    @property
    def record(self) -> NodeRecord:
        """Our own record in its present incarnation, signed."""
        return self._parts.own.record

    def start(self, now: Moment) -> list[Command]:
        """Take part from now on: as a new incarnation, among the nodes that were known."""
        parts = self._parts
        self._running = True
        self._last = self._next_beat = now.mono
        self._conclusions.start(now.mono)
        parts.table.forget(self._kept.forgotten)
        for record in parts.table.merge(self._kept.records):
            alive = record.id not in self._kept.absent
            parts.members.recall(record.id, record.priority, now.mono, alive=alive)
        parts.absent = parts.absent.intersection(record.id for record in parts.table)
        parts.succession.start()
        parts.out.append(parts.membership())
        if parts.expelled_by() is None:
            parts.reincarnate(0)
        return self._leave(now)

    def stop(self, now: Moment) -> list[Command]:
        """Say goodbye: the lease is released, and our points are withdrawn by whoever publishes."""
        if not self._running:
            return []
        parts = self._parts
        self._running, parts.own.leaving = False, True
        parts.out += parts.succession.stop(now.mono)
        parts.out += parts.speech.beat(now.mono, urgent=True)
        return self._flush()

    def wake(self, now: Moment) -> list[Command]:
        """Look at the clock."""
        self._enter(now)
        return self._leave(now)

    def due(self) -> float | None:
        """Return the monotonic second of the next ``wake``, None when there is none."""
        return min(self._next_beat, self._conclusions.due, self._parts.succession.due()) if self._running else None

    def receive(self, sender: NodeId, message: Message, now: Moment) -> list[Command]:
        """``sender`` says this; that it is from that node, and new, was seen to before."""
        self._enter(now)
        heard = believable(message, now.wall)
        if self._running and heard is not None:
            self._hearing.hear(sender, heard, now.mono)
        return self._leave(now)

    def learn(self, records: Iterable[NodeRecord], now: Moment) -> list[Command]:
        """These nodes are members: what a join has brought."""
        self._enter(now)
        self._parts.learn_records(records, now.mono)
        return self._leave(now)

    def admit(self, record: NodeRecord, now: Moment) -> list[Command]:
        """A node has just joined through us."""
        self._enter(now)
        self._parts.introduced(record, now.mono)
        return self._leave(now)

    def forget(self, node: NodeId, now: Moment) -> list[Command]:
        """
        An operator says that a node is gone for good: it is no member any more unless it comes back by itself.

        :raises rustbalance.cluster.parts.CannotForget: it is this one or none, or may yet be heard.
        """
        self._enter(now)
        if self._conclusions.census.isolated:
            raise CannotForget("most others are not heard: it may be this node that is cut off; wait two minutes")
        self._parts.forget(node, now.wall)
        return self._leave(now)

    def moved(self, addresses: tuple[str, ...], now: Moment) -> list[Command]:
        """We are reached at these addresses from now on."""
        self._enter(now)
        if addresses != self.record.addresses:
            self._parts.reincarnate(0, addresses)
        return self._leave(now)

    def own_points(self, points: IntroPoints, now: Moment) -> list[Command]:
        """A Tor of ours has these points now and no others; who we are and the version are filled in here."""
        self._enter(now)
        stamped = self._parts.own.offer(points, now.wall)
        if stamped is not None:
            self._parts.restless = True
            self._parts.out.append(Send(None, stamped))
        return self._leave(now)

    def set_health(
        self, target_healthy: bool | None, drained: bool, now: Moment, *, able: bool = True
    ) -> list[Command]:
        """
        Say whether the site behind us answers (None: not known), whether we are being taken out of service, and whether
        a Tor of ours is ``able`` to publish.
        """
        self._enter(now)
        own, health = self._parts.own, (target_healthy, drained, able)
        if (own.target_healthy, own.drained, own.able) != health:
            own.target_healthy, own.drained, own.able = health
            self._parts.restless = self._parts.speak = True
        return self._leave(now)

    def used_revisions(self, revisions: dict[str, int], now: Moment) -> list[Command]:
        """We have used these counters, or a directory holds them."""
        self._enter(now)
        if self._parts.revisions.learn(revisions):
            self._parts.speak = True
        return self._leave(now)

    def status(self, now: Moment) -> ClusterView:
        """Return how this node sees the cluster."""
        parts, lease = self._parts, self._parts.succession.lease
        publisher = lease.publisher(now.mono)
        return ClusterView(
            me=parts.me,
            state=parts.own.state(),
            members=tuple(
                MemberView(
                    each.id,
                    each.state,
                    each.priority,
                    each.incarnation,
                    None if each.heard == NEVER else now.mono - each.heard,
                    each.left,
                    each.drained,
                )
                for each in sorted(parts.members, key=lambda member: member.id)
            ),
            publisher=publisher,
            term=lease.term,
            round=term_round(lease.term),
            lease_left=0.0 if publisher is None else lease.expires - now.mono,
            phase=parts.succession.phase(),
            certainty=self._conclusions.certainty,
            isolated=self._conclusions.census.isolated,
            sources=tuple(self._conclusions.sources),
            expelled_by=parts.expelled_by(),
        )

    def _enter(self, now: Moment) -> None:
        """See whether we were running all the time since the last call."""
        gap, self._last = now.mono - self._last, now.mono
        if self._running and gap > OVERSLEPT * self._settings.heartbeat_interval:
            self._parts.members.excuse(gap)
            self._parts.sources.excuse(gap)
            self._conclusions.excuse(gap)
            self._parts.out += self._parts.succession.overslept(gap, now.mono)
            self._parts.restless = True

    def _leave(self, now: Moment) -> list[Command]:
        """Think, act, speak."""
        parts = self._parts
        if not self._running:
            return []
        rival = parts.expelled_by()
        if rival is not None:
            parts.out.append(Log("warn", f"{rival} came with the same join bundle: this node is out"))
            return self.stop(now)
        if parts.restless or now.mono >= self._conclusions.due:
            parts.restless = False
            self._conclusions.draw(now.mono)
        self._steer(now)
        if parts.speak or now.mono >= self._next_beat:
            urgent, parts.speak = parts.speak, False
            self._next_beat = now.mono + self._settings.heartbeat_interval * (0.9 + 0.1 * self._random())
            parts.out += parts.speech.beat(now.mono, urgent=urgent)
        return self._flush()

    def _steer(self, now: Moment) -> None:
        """Hold, take or leave the seat, and let others know of it at once."""
        own, others = self._parts.own, any(True for _ in self._parts.rivals())
        eligible = own.able and not (own.drained and others) and not self._conclusions.census.isolated
        commands = self._parts.succession.steer(eligible=eligible, ready=not self._conclusions.discovering, moment=now)
        self._parts.out += commands
        for command in commands:
            if isinstance(command, BecomePublisher | StepDown) or (
                isinstance(command, Send) and isinstance(command.message, LeaseClaim)
            ):
                self._parts.speak = True

    def _flush(self) -> list[Command]:
        """
        Return what is to be done.

        First what must be on disk by then. Who steps down does not publish once more before; who publishes, for
        whatever reason, publishes the latest.
        """
        commands, self._parts.out[:] = sorted(self._parts.out, key=_urgency), []
        stamp = self._parts.stamp()
        if stamp == self._stamp:
            return commands
        self._stamp = stamp
        return [Persist(self._parts.to_keep()), *commands]


def _urgency(command: Command) -> int:
    match command:
        case StepDown():
            return 0
        case SourcesChanged():
            return 1
    return 2
