"""
Publishing as it runs.

Owns: the service that keeps both descriptors of the master address at their directories, as long as it is this node
that publishes. In: one Tor instance and its events, and what the cluster wants; out: uploads through it, a status, log
lines. All decisions are taken in ``schedule`` and ``uploads``; here their commands are performed and what comes of them
is told back.
"""

from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from rustbalance.life import Tasks
from rustbalance.life import now as read_clocks
from rustbalance.moment import Moment
from rustbalance.onion.inner import InnerLayer
from rustbalance.onion.keys import MasterKey
from rustbalance.onion.plan import PublicationPlan
from rustbalance.ops.status import DescriptorStatus
from rustbalance.publishing import report
from rustbalance.publishing.builder import Builder
from rustbalance.publishing.counters import RevisionStore
from rustbalance.publishing.jobs import NO_POINTS, Cluster, Command, Jobs
from rustbalance.publishing.offers import Offers
from rustbalance.publishing.ring_source import InThread, RingSource
from rustbalance.publishing.schedule import Answer, Publish, Read, Redirect, Schedule
from rustbalance.publishing.settings import PublishSettings
from rustbalance.publishing.track import Progress
from rustbalance.publishing.uploads import Outcome, Post, Raise, Uploads
from rustbalance.tor.backoff import exponential
from rustbalance.tor.control import TorControl
from rustbalance.tor.events import (
    ConsensusArrived,
    DescriptorCreated,
    DescriptorUploaded,
    DescriptorUploadFailed,
    Event,
    IntroductionCircuit,
)
from rustbalance.tor.instance import TorInstance

T = TypeVar("T")


class Publisher(Service):
    """
    Offers the introduction points of ``instance`` to its cluster; when told to ``lead``, publishes everybody's.

    ``key`` remains the caller's to wipe; ``source`` names our points among everybody's. ``random_bytes``: from a number
    to so many unpredictable bytes. ``testing``: whether the network runs with TestingTorNetwork; None asks Tor.
    ``clocks`` reads both clocks; ``in_thread`` runs what takes long, by default in the reactor's thread pool.
    """

    log = Logger()

    def __init__(
        self,
        instance: TorInstance,
        key: MasterKey,
        settings: PublishSettings,
        store: RevisionStore,
        reactor: Any,
        random_bytes: Callable[[int], bytes],
        source: str,
        testing: bool | None = None,
        clocks: Callable[[], Moment] = read_clocks,
        in_thread: InThread | None = None,
    ) -> None:
        self.setName("publisher")
        self._instance = instance
        self._address = key.address
        self._reactor = reactor
        in_thread = in_thread or self._in_pool
        self._random_bytes = random_bytes
        self._now = clocks
        self._source = source
        self._store = store
        self._leading = False
        retries = exponential(settings.retry_least, settings.retry_most, self._uniform)
        looks = exponential(settings.ring_retry, settings.ring_recheck, self._uniform)
        self._schedule = Schedule(settings, retries)
        self._schedule.follow(clocks())
        self._uploads = Uploads(settings, retries)
        self._ring = RingSource(key.public, in_thread, reactor, settings.ring_recheck, looks, testing)
        self._builder = Builder(key, store, random_bytes)
        self._offers = Offers()
        self._jobs = Jobs(
            self._address,
            source,
            settings,
            self._schedule,
            self._uploads,
            self._offers,
            self._ring,
            self._builder,
            in_thread,
            random_bytes,
            clocks,
            self._do,
        )
        self._control: TorControl | None = None
        self._tasks = Tasks(self.log)
        self._publishing = Tasks(self.log)
        self._timer: IDelayedCall | None = None

    def join(self, cluster: Cluster) -> None:
        """Tell ``cluster`` from now on what it should know; before the start."""
        self._jobs.cluster = cluster

    def startService(self) -> None:
        """Begin as soon as the instance is ready."""
        super().startService()
        self._instance.subscribe(self)

    def stopService(self) -> None:
        """Stop at once and wipe the keys; what is posted stays posted."""
        super().stopService()
        self.on_lost("stopping")
        self._builder.wipe()

    def publish_now(self) -> None:
        """Publish both descriptors again as soon as it can be done."""
        self._do(self._schedule.request(self._now()))

    # What the cluster wants.

    def lead(self) -> None:
        """Publish from now on what ``publish_sources`` says, for as long as that is worth it."""
        self._leading = True
        now = self._now()
        uploads = self._uploads.connected(now) if self._control is not None else []
        self._do([*uploads, *self._schedule.lead(now)])

    def follow(self) -> None:
        """Publish nothing any more, and end what is under way: another node does it."""
        self._leading = False
        self._publishing.cancel()
        self._uploads.abandon()
        self._jobs.abandon()
        self._do(self._schedule.follow(self._now()))

    def publish_sources(self, offers: Mapping[str, InnerLayer], answer: Answer) -> None:
        """These are to be published, by whoever leads; of our own points we know the newest certificates."""
        own = {self._source: self._jobs.own} if self._source in offers else {}
        self._offers.replace({**offers, **own})
        self._do(self._schedule.told(self._offers.outline(), answer, self._now()))

    def learn_revisions(self, used: Mapping[str, int]) -> None:
        """Others have used these counters, by blinded key in hexadecimal; what they published is not ours."""
        self._store.learn(used)
        progress = [self._uploads.progress(bytes.fromhex(blinded)) for blinded in used]
        if self._leading and any(one and one.revision < used[one.blinded.hex()] for one in progress):
            self.publish_now()

    # What people want to know.

    def status(self) -> tuple[DescriptorStatus, ...]:
        """Return both descriptors, once the consensus is known; none while another node publishes."""
        now = self._now()
        if not self._leading:
            return ()
        return tuple(
            report.descriptor_status(
                plan, self._uploads.progress(plan.blinded_public), self._jobs.points(plan.blinded_public), now
            )
            for plan in self._ring.plan or ()
        )

    def problems(self) -> tuple[str, ...]:
        """
        Return in plain sentences what keeps us from publishing; nothing when nothing does.

        How far each descriptor has got is in ``status``, and ``rustbalance.ops.status.judge`` says it.
        """
        if self._control is None:
            return ()
        if not self._leading:
            return tuple(problem for problem in (self._ring.problem, *self._jobs.problems.values()) if problem)
        waiting = self._schedule.obstacle(self._now())
        found = [self._ring.problem or waiting, *self._jobs.problems.values()]
        return tuple(problem for problem in found if problem is not None)

    # What the instance tells us.

    def on_ready(self, control: TorControl) -> None:
        """Tor serves and can be asked."""
        if not self.running:
            return
        self._control = control
        self._tasks.spawn("following the directory ring", self._ring.follow(control, self._planned))
        now = self._now()
        uploads = self._uploads.connected(now) if self._leading else []
        self._do([*uploads, *self._schedule.connected(now)])
        self._jobs.cluster.able(True)

    def on_lost(self, reason: str) -> None:
        """Tor serves no longer; its introduction points died with it, and the directories are left alone."""
        self._control = None
        self._tasks.cancel()
        self._publishing.cancel()
        self._uploads.disconnected(gone=self._instance.mode == "managed")
        self._do(self._schedule.lost(self._now()))
        self._jobs.offer(NO_POINTS)
        self._jobs.cluster.able(False)

    def on_event(self, event: Event) -> None:
        """Tor said something."""
        now = self._now()
        match event:
            case ConsensusArrived():
                self._ring.notify()
            case DescriptorCreated(address) | IntroductionCircuit(address) if address == self._address:
                self._do(self._schedule.hint(now))
            case DescriptorUploaded(address, directory) if address == self._address:
                self._do(self._uploads.uploaded(directory, now))
            case DescriptorUploadFailed(address, directory, blinded, reason) if address == self._address:
                self._do(self._uploads.failed(directory, _raw(blinded), reason, now))

    # What the cores want done.

    def _do(self, commands: Sequence[Command]) -> None:
        for command in commands:
            self._perform(command)
        self._arm()

    def _perform(self, command: Command) -> None:
        control = self._control
        match command:
            case Outcome(progress):
                self._report(progress)
            case Redirect():
                self._jobs.redirect()
            case Read() if control is not None:
                self._tasks.spawn("reading the introduction points", self._jobs.read(control))
            case Post() if control is not None:
                self._publishing.spawn("posting a descriptor", self._jobs.post(control, command))
            case Publish(reason):
                self._publishing.spawn("publishing", self._jobs.publish(reason))
            case Raise(_, blinded) if self._schedule.answer(self._now()) is not Answer.CERTAIN:
                self._do(self._uploads.withheld(blinded, self._now()))
            case Raise():
                self._publishing.spawn("raising a revision counter", self._jobs.raise_counter(command))

    def _arm(self, least: float = 0.0) -> None:
        """Set the one timer to the second at which a core wants to look at the clock, ``least`` seconds off or more."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        dues = [due for due in (self._schedule.due(), self._uploads.due()) if due is not None]
        if dues and self._control is not None:
            self._timer = self._reactor.callLater(max(least, min(dues) - self._now().mono), self._wake)

    def _wake(self) -> None:
        now = self._now()
        try:
            self._do([*self._uploads.wake(now), *self._schedule.wake(now)])
        except Exception:
            # Nothing would ever be due again without the timer; the pause keeps an error that lasts from spinning.
            self.log.failure("looking at the clock failed")
            self._arm(self._jobs.settings.retry_least)

    def _report(self, progress: Progress) -> None:
        line = report.outcome(progress, self._jobs.points(progress.blinded), self._jobs.reason)
        if progress.published:
            self.log.info("{line}", line=line)
        else:
            self.log.warn("{line}", line=line)

    def _planned(self, plan: PublicationPlan) -> None:
        self._do(self._schedule.plan(plan, self._now()))

    async def _in_pool(self, function: Callable[[], T]) -> T:
        result: T = await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), function)
        return result

    def _uniform(self) -> float:
        return int.from_bytes(self._random_bytes(4)) / 2**32


def _raw(blinded: str) -> bytes:
    """Return the key that an event names in base64 without padding; one that cannot be read is nobody's."""
    try:
        return b64decode(blinded + "=" * (-len(blinded) % 4), validate=True)
    except ValueError:
        return b""
