"""
A node's part in its cluster, as it runs.

Owns: the cluster's core, performing its commands, one timer, its state on disk, and its word to the publisher. In:
messages of others, what the publisher knows; out: messages, who publishes what. All decisions are taken in
``rustbalance.cluster``.

A node alone is a cluster of one: the same core, with nobody to speak to.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger, LogLevel

from rustbalance.cluster.commands import (
    BecomePublisher,
    Command,
    Log,
    MembersChanged,
    Persist,
    RevisionsLearned,
    Send,
    SourcesChanged,
    StepDown,
)
from rustbalance.cluster.core import ClusterCore
from rustbalance.cluster.keys import NodeKey
from rustbalance.cluster.messages import IntroPoints, Message, NodeId, NodeRecord
from rustbalance.cluster.points import encode_points
from rustbalance.cluster.records import sign_record
from rustbalance.coordination.conversation import Conversation, is_genuine
from rustbalance.coordination.offers import OfferReader
from rustbalance.coordination.report import cluster_status
from rustbalance.coordination.settings import CoordinationSettings
from rustbalance.coordination.standing import Standing
from rustbalance.coordination.state_file import StateFile
from rustbalance.life import now as read_clocks
from rustbalance.mesh.carrier import ignore
from rustbalance.moment import Moment
from rustbalance.onion.inner import InnerLayer
from rustbalance.ops.status import ClusterStatus
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
    ``standing`` takes what its owner and the repairs want. Start it after the publisher, stop it before: the lease is
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
    ) -> None:
        self.setName("coordination")
        self.outside: Callable[[], bool] = lambda: False
        carrier = None if conversation is None else conversation.carrier
        self.settle: Callable[[str], None] = ignore if carrier is None else carrier.settle
        self.rejoin: Callable[[NodeId], None] = ignore if carrier is None else carrier.rejoin
        self.rebuild: Callable[[str], None] = ignore if carrier is None else carrier.rebuild
        self.offsets: Callable[[], Mapping[NodeId, float]] = dict if conversation is None else conversation.offsets
        self.standing = Standing(self._tell_health)
        self._settings = settings
        self._node_key = node_key
        self._publisher = publisher
        self._conversation = conversation
        self._reactor = reactor
        self._random_bytes = random_bytes
        self._now = clocks
        self._file = StateFile(settings.directory / STATE)
        self._core: ClusterCore | None = None
        self._records: tuple[NodeRecord, ...] = ()
        self._began = 0.0
        self._points: dict[str, IntroPoints] = {}
        self._to_do: deque[Command] = deque()
        self._performing = False
        self._timer: IDelayedCall | None = None
        self._offers = OfferReader()
        publisher.join(self)
        if conversation is not None:
            conversation.hear = self._hear
            conversation.introduction = lambda: self.record

    def startService(self) -> None:
        """Take part."""
        super().startService()
        kept = self._file.load()
        now = self._now()
        self._began = now.mono
        self._records = () if kept is None else kept.records
        if kept is not None:
            self._publisher.learn_revisions(kept.revisions)
        if self._conversation is not None:
            self._conversation.members(self._records)
            self._conversation.start()
        me = NodeRecord(
            self._settings.node,
            self._node_key.public,
            0,
            self._settings.priority,
            self._addresses() or (),
            bundle=self._settings.bundle,
        )
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
        self._disarm()
        return succeed(None) if self._conversation is None else self._conversation.stop()

    @property
    def record(self) -> NodeRecord | None:
        """Our own record, signed; None before the start and after the stop."""
        return None if self._core is None else self._core.record

    @property
    def records(self) -> tuple[NodeRecord, ...]:
        """The records of all other members that we know."""
        return self._records

    def learn(self, records: Iterable[NodeRecord]) -> None:
        """These nodes are members: what a join has brought."""
        if self._core is not None:
            self._do(self._core.learn(records, self._now()))

    def status(self) -> ClusterStatus | None:
        """Return the cluster as seen from here; None for a node that is alone by its configuration."""
        if self._core is None or self._conversation is None:
            return None
        view = self._core.status(self._now())
        talk = self._conversation
        drained, kept = self.standing.drained, self._file.problem
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
        self.standing.be_able(able)

    # What others tell us, and the time.

    def _hear(self, sender: NodeId, message: Message) -> None:
        if self._core is not None:
            self._do(self._core.receive(sender, message, self._now()))

    def _wake(self) -> None:
        """Look at the clock; what goes wrong is no reason not to look again."""
        self._timer = None
        try:
            self._look()
        except Exception:
            self.log.failure("the cluster could not be looked after")
            self._timer = self._reactor.callLater(MISHAP, self._wake)

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
        core, standing = self._core, self.standing
        if core is not None:
            now = self._now()
            able = self._is_able(core, now)
            self._do(core.set_health(standing.target_healthy, standing.drained, now, able=able))

    def _is_able(self, core: ClusterCore, now: Moment) -> bool:
        if self.outside() or self._is_seeking(now):
            return False
        return self.standing.may_publish(core.status(now).members, now.mono)

    def _is_seeking(self, now: Moment) -> bool:
        """Tell whether the peers that the configuration names may yet answer, and know more than we do."""
        patience = self._settings.cluster.heartbeat_timeout
        return bool(self._settings.seeds) and not self._records and now.mono < self._began + patience

    # What the core wants done.

    def _do(self, commands: Sequence[Command]) -> None:
        """Perform commands, after those that are being performed; then set the timer."""
        self._to_do += commands
        if self._performing:
            return
        self._performing = True
        try:
            while self._to_do:
                self._attempt(self._to_do.popleft())
        finally:
            self._performing = False
        self._arm()

    def _attempt(self, command: Command) -> None:
        try:
            self._perform(command)
        except Exception:
            self.log.failure("{kind} could not be performed", kind=type(command).__name__)

    def _perform(self, command: Command) -> None:
        match command:
            case Persist(state):
                self._file.keep(state)
            case Send(to, message) if self._conversation is not None:
                self._conversation.say(to, message)
            case MembersChanged(records):
                self._records = records
                if self._conversation is not None:
                    self._conversation.members(records)
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
        self._disarm()
        due = None if self._core is None else self._core.due()
        if due is not None:
            self._timer = self._reactor.callLater(max(0.0, due - self._now().mono), self._wake)

    def _disarm(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _addresses(self) -> tuple[str, ...] | None:
        """Return where we are reached, None as long as that is not known."""
        address = None if self._conversation is None else self._conversation.carrier.address
        return None if address is None else (address,)

    def _sign(self, record: NodeRecord) -> NodeRecord:
        return sign_record(record, self._node_key)

    def _uniform(self) -> float:
        return int.from_bytes(self._random_bytes(4)) / 2**32
