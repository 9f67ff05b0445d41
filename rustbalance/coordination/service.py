"""
A node's part in its cluster, as it runs.

Owns: the cluster's core, performing its commands, one timer, its state on disk, and its word to the publisher. In:
messages of others, what the publisher knows; out: messages, who publishes what. All decisions are taken in
``rustbalance.cluster``.

A node alone is a cluster of one: the same core, with nobody to speak to.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger, LogLevel

from rustbalance.cluster.commands import (
    BecomePublisher,
    Command,
    Log,
    MembersChanged,
    RevisionsLearned,
    Send,
    SourcesChanged,
    StepDown,
)
from rustbalance.cluster.core import ClusterCore
from rustbalance.cluster.keys import NodeKey
from rustbalance.cluster.messages import IntroPoints, Message, NodeId, NodeRecord
from rustbalance.cluster.parts import CannotForget
from rustbalance.cluster.points import encode_points
from rustbalance.cluster.records import sign_record
from rustbalance.coordination.cluster_file import ClusterFile
from rustbalance.coordination.conversation import Conversation, is_genuine
from rustbalance.coordination.fitness import Fitness
from rustbalance.coordination.offers import OfferReader
from rustbalance.coordination.portions import hear_in_turns, in_turns, portions
from rustbalance.coordination.report import cluster_status
from rustbalance.coordination.settings import CoordinationSettings
from rustbalance.coordination.write_ahead import LAST_WRITE, WriteAhead
from rustbalance.life import Alarm, InThread, at_once, within
from rustbalance.life import now as read_clocks
from rustbalance.mesh.carrier import ignore
from rustbalance.moment import Moment
from rustbalance.onion.inner import InnerLayer
from rustbalance.ops.status import ClusterStatus
from rustbalance.ops.verbs import Done, NotDone
from rustbalance.publishing.publisher import Publisher
from rustbalance.publishing.schedule import Answer

STATE = "cluster.json"
#: Seconds to the next look after one that failed.
MISHAP = 1.0
LEVELS = {"debug": LogLevel.debug, "info": LogLevel.info, "warn": LogLevel.warn}


class Coordination(Service):
    """
    Makes ``publisher`` a member of the cluster that ``conversation`` speaks with; None: of a cluster of one.

    ``node_key`` remains the caller's to wipe. While ``outside`` returns True we have not joined, and publish nothing;
    ``settle`` takes the address in the tunnel that a member keeps for us; ``rejoin`` and ``rebuild`` are the carrier's.
    ``fitness`` takes what its owner and the repairs want. Start it after the publisher, stop it before: the lease is
    released while there is somebody to tell.
    """

    log = Logger()

    def __init__(
        self,
        settings: CoordinationSettings,
        node_key: NodeKey,
        publisher: Publisher,
        conversation: Conversation | None,
        reactor: Any,
        random_bytes: Callable[[int], bytes],
        clocks: Callable[[], Moment] = read_clocks,
        in_thread: InThread = at_once,
    ) -> None:
        self.setName("coordination")
        self.outside: Callable[[], bool] = lambda: False
        carrier = None if conversation is None else conversation.carrier
        self.settle: Callable[[str], None] = ignore if carrier is None else carrier.settle
        self.rejoin: Callable[[NodeId], None] = ignore if carrier is None else carrier.rejoin
        self.rebuild: Callable[[str], None] = ignore if carrier is None else carrier.rebuild
        self.offsets: Callable[[], Mapping[NodeId, float]] = dict if conversation is None else conversation.offsets
        self.fitness = Fitness(self._tell_health)
        self._settings = settings
        self._node_key = node_key
        self._publisher = publisher
        self._conversation = conversation
        self._reactor = reactor
        self._random_bytes = random_bytes
        self._now = clocks
        self._file = ClusterFile(settings.directory / STATE, in_thread)
        self._core: ClusterCore | None = None
        self._membership = MembersChanged(())
        self._began = 0.0
        self._points: dict[str, IntroPoints] = {}
        self._write_ahead = WriteAhead(self._file.keep, self._perform)
        self._alarm = Alarm(reactor, self._wake)
        self._offers = OfferReader()
        publisher.join(self)
        if conversation is not None:
            conversation.carrier.moved = lambda address: self._look()
            conversation.hear = hear_in_turns(reactor, self._hear)
            conversation.introduction = lambda: None if self._write_ahead.writing else self.record

    def startService(self) -> None:
        """Take part."""
        super().startService()
        kept = self._file.load()
        now = self._now()
        self._began = now.mono
        if kept is not None:
            self._membership = MembersChanged(kept.records, tuple(each.record for each in kept.forgotten))
            self._publisher.learn_revisions(kept.revisions)
        if self._conversation is not None:
            self._conversation.members(self._membership.records, self._membership.former)
            self._conversation.start()
        ours, key, addresses = self._settings, self._node_key.public, self._addresses() or ()
        me = NodeRecord(ours.node, key, 0, ours.priority, addresses, bundle=ours.bundle, binding=ours.binding)
        core = self._core = ClusterCore(me, self._settings.cluster, kept, self._uniform, self._sign, is_genuine)
        self._tell_health()
        self._do(core.start(now))
        for points in self._points.values():
            self._do(core.own_points(points, now))

    def stopService(self) -> Deferred[None]:
        """Release the lease, say goodbye, then end; the publisher has stepped down when this returns."""
        super().stopService()
        if self._core is not None:
            self._do(self._core.stop(self._now()))
            self._core = None
        self._alarm.clear()
        idle = within(LAST_WRITE, self._reactor, self._write_ahead.when_idle())
        return idle.addBoth(lambda _: self._fall_silent())

    def _fall_silent(self) -> Deferred[None]:
        return succeed(None) if self._conversation is None else self._conversation.stop()

    @property
    def record(self) -> NodeRecord | None:
        """Our own record, signed; None before the start and after the stop."""
        return None if self._core is None else self._core.record

    @property
    def records(self) -> tuple[NodeRecord, ...]:
        """The records of all other members that we know."""
        return self._membership.records

    def learn(self, records: Iterable[NodeRecord]) -> None:
        """These nodes are members: what a join has brought."""
        in_turns(self._reactor, self._learn, portions(tuple(records)))

    def _learn(self, records: Sequence[NodeRecord]) -> None:
        if self._core is not None:
            self._do(self._core.learn(records, self._now()))

    @property
    def former(self) -> tuple[NodeRecord, ...]:
        """The records of those that were members and were forgotten."""
        return self._membership.former

    def admit(self, record: NodeRecord) -> None:
        """A node has joined through us."""
        if self._core is not None:
            self._do(self._core.admit(record, self._now()))

    def forget(self, node: NodeId) -> Done:
        """
        Let a node that is gone for good be no member any more.

        :raises NotDone: it is none, or may yet be heard.
        """
        if self._core is None or self._conversation is None:
            raise NotDone("this node is alone by its configuration")
        try:
            self._do(self._core.forget(node, self._now()))
        except CannotForget as error:
            raise NotDone(str(error)) from None
        return Done(sentence=f"node {node} is forgotten; it is a member again when it comes back by itself")

    def status(self) -> ClusterStatus | None:
        """Return the cluster as seen from here; None for a node that is alone by its configuration."""
        if self._core is None or self._conversation is None:
            return None
        view = self._core.status(self._now())
        talk = self._conversation
        drained, kept = self.fitness.drained, self._file.problem
        return cluster_status(view, self._settings.priority, talk.status(), talk.rejected(), kept, drained)

    # What the publisher tells us.

    def own_points(self, instance: str, inner: InnerLayer) -> None:
        """Offer these points of a Tor of ours to everybody at once."""
        now = self._now()
        points = self._points[instance] = IntroPoints(
            source=self._settings.node, version=0, sent_at=now.wall, inner=encode_points(inner), instance=instance
        )
        if self._core is not None:
            self._do(self._core.own_points(points, now))

    def used_revision(self, blinded_public: bytes, revision: int) -> None:
        """Let everybody know."""
        if self._core is not None:
            self._do(self._core.used_revisions({blinded_public.hex(): revision}, self._now()))

    def able(self, able: bool) -> None:
        """Stand for publisher, or let others."""
        self.fitness.be_able(able)

    # What others tell us, and the time.

    def _hear(self, sender: NodeId, message: Message) -> None:
        if self._core is not None:
            self._do(self._core.receive(sender, message, self._now()))

    def _wake(self) -> None:
        """Look at the clock; what goes wrong is no reason not to look again."""
        try:
            self._look()
        except Exception:
            self.log.failure("the cluster could not be looked after")
            self._alarm.set(MISHAP)

    def _look(self) -> None:
        if self._core is None:
            return
        now, addresses = self._now(), self._addresses()
        if addresses is not None:
            self._do(self._core.moved(addresses, now))
        self._tell_health()
        self._do(self._core.wake(now))

    def _tell_health(self) -> None:
        """Tell the core how fit we are."""
        core, fitness = self._core, self.fitness
        if core is not None:
            now = self._now()
            able = self._is_able(core, now)
            self._do(core.set_health(fitness.target_healthy, fitness.drained, now, able=able))

    def _is_able(self, core: ClusterCore, now: Moment) -> bool:
        if self.outside() or self._is_seeking(now):
            return False
        return self.fitness.may_publish(core.status(now).members, now.mono)

    def _is_seeking(self, now: Moment) -> bool:
        """Tell whether the peers that the configuration names may yet answer, and know more than we do."""
        patience = self._settings.cluster.heartbeat_timeout
        return bool(self._settings.seeds) and not self._membership.records and now.mono < self._began + patience

    # What the core wants done.

    def _do(self, commands: Sequence[Command]) -> None:
        """Perform commands, after those that are being performed; then set the timer."""
        self._write_ahead.do(commands)
        self._arm()

    def _perform(self, command: Command) -> None:
        match command:
            case Send(to, message) if self._conversation is not None:
                self._conversation.say(to, message)
            case MembersChanged(records, former):
                self._membership = command
                if self._conversation is not None:
                    self._conversation.members(records, former)
            case BecomePublisher():
                self._publisher.lead()
            case StepDown():
                self._publisher.follow()
            case SourcesChanged(sources, certainty):
                self._publisher.publish_sources(self._offers.read(sources), Answer(certainty.value))
            case RevisionsLearned(revisions):
                self._publisher.learn_revisions(revisions)
            case Log(level, text):
                self.log.emit(LEVELS[level], "{text}", text=text)

    def _arm(self) -> None:
        due = None if self._core is None else self._core.due()
        if due is None:
            self._alarm.clear()
        else:
            self._alarm.set(max(0.0, due - self._now().mono))

    def _addresses(self) -> tuple[str, ...] | None:
        """Return where we are reached, None as long as that is not known."""
        address = None if self._conversation is None else self._conversation.carrier.address
        return None if address is None else (address,)

    def _sign(self, record: NodeRecord) -> NodeRecord:
        return sign_record(record, self._node_key)

    def _uniform(self) -> float:
        return int.from_bytes(self._random_bytes(4)) / 2**32
