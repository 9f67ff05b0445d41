"""
Publishing as it runs.

Owns: the service that keeps both descriptors of the master address at their directories, as long as it is this node
that publishes. In: the node's Tors and their events, and what the cluster wants; out: the points of each, uploads
through the active one, a status, log lines. All decisions are taken in ``schedule`` and ``uploads``; here their
commands are performed and what comes of them is told back.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.application.service import Service
from twisted.logger import Logger, LogLevel

from rustbalance.life import Alarm, InThread, Tasks, threads
from rustbalance.life import now as read_clocks
from rustbalance.moment import Moment
from rustbalance.onion.inner import InnerLayer
from rustbalance.onion.keys import MasterKey
from rustbalance.onion.periods import TimePeriod
from rustbalance.onion.plan import PublicationPlan
from rustbalance.ops.status import DescriptorStatus
from rustbalance.publishing import report
from rustbalance.publishing.builder import Builder
from rustbalance.publishing.commands import Outcome, Post, Raise, Reached, Silence
from rustbalance.publishing.counters import RevisionStore
from rustbalance.publishing.jobs import Cluster, Command, Jobs
from rustbalance.publishing.offers import Offers
from rustbalance.publishing.outlook import Outlook
from rustbalance.publishing.reader import Circumstances, Reader, Readers
from rustbalance.publishing.ring_source import RingSource
from rustbalance.publishing.schedule import Answer, Publish, Read, Redirect, Schedule, Warn
from rustbalance.publishing.settings import PublishSettings
from rustbalance.publishing.track import Progress
from rustbalance.publishing.uploads import Uploads, hear
from rustbalance.tor.backoff import exponential
from rustbalance.tor.control import TorControl
from rustbalance.tor.events import ConsensusArrived, Event
from rustbalance.tor.instance import TorInstance
from rustbalance.tor.pair import TorPair


class Publisher(Service):
    """
    Offers the introduction points of each Tor in ``pair`` to its cluster; when told to ``lead``, publishes everybody's.

    ``key`` remains the caller's to wipe; ``node`` is our name, under which and an instance's our points are merged.
    ``random_bytes``: from a number to so many unpredictable bytes. ``testing``: whether the network runs with
    TestingTorNetwork; None asks Tor. ``clocks`` reads both clocks; ``in_thread`` runs what takes long, by default in
    the reactor's thread pool.
    """

    log = Logger()

    def __init__(
        self,
        pair: TorPair,
        key: MasterKey,
        settings: PublishSettings,
        store: RevisionStore,
        reactor: Any,
        random_bytes: Callable[[int], bytes],
        node: str,
        testing: bool | None = None,
        clocks: Callable[[], Moment] = read_clocks,
        in_thread: InThread | None = None,
    ) -> None:
        self.setName("publisher")
        self._pair = pair
        self._active: TorInstance | None = None
        self._address = key.address
        self._reactor = reactor
        in_thread = in_thread or threads(reactor)
        self._random_bytes = random_bytes
        self._now = clocks
        self._store = store
        self._leading = False
        retries = exponential(settings.retry_least, settings.retry_most, self._uniform)
        looks = exponential(settings.ring_retry, settings.ring_recheck, self._uniform)
        self._schedule = Schedule(settings, retries)
        self._schedule.follow(clocks())
        self._uploads = Uploads(settings, retries)
        self._ring = RingSource(key.public, in_thread, reactor, settings.ring_recheck, looks, testing)
        self.outlook = Outlook(self._ring, self._uploads, self._do, clocks)
        self._builder = Builder(key, store, random_bytes)
        self._offers = Offers()
        self._jobs = Jobs(
            self._address,
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
        around = Circumstances(node, key.address, settings, self._periods, self._schedule.begins, reactor, clocks)
        self._readers = Readers(pair.instances, around, self._offered)
        self._control: TorControl | None = None
        self._ring_tasks = Tasks(self.log)
        self._publishing = Tasks(self.log)
        self._alarm = Alarm(reactor, self._wake)

    def join(self, cluster: Cluster) -> None:
        """Tell ``cluster`` from now on what it should know; before the start."""
        self._jobs.cluster = cluster

    def startService(self) -> None:
        """Begin as soon as a Tor is ready."""
        super().startService()
        self._pair.subscribe(self._use)
        for instance in self._pair.instances:
            instance.subscribe(self)
        self._readers.start()

    def stopService(self) -> None:
        """Stop at once and wipe the keys; what is posted stays posted."""
        self._use(None)
        self._readers.stop()
        super().stopService()
        self._builder.wipe()

    def publish_now(self) -> None:
        """Publish both descriptors again as soon as it can be done."""
        self._do(self._schedule.request(self._now()))

    # What the cluster wants.

    def lead(self) -> None:
        """Publish from now on what ``publish_sources`` says, for as long as that is worth it."""
        self._leading = True
        self.outlook.lead()
        now = self._now()
        uploads = self._uploads.connected(now) if self._control is not None else []
        self._do([*uploads, *self._schedule.lead(now)])

    def follow(self) -> None:
        """Publish nothing any more, and end what is under way: another node does it."""
        self._leading = False
        self.outlook.follow()
        self._publishing.cancel()
        self._uploads.abandon()
        self._jobs.abandon()
        self._do(self._schedule.follow(self._now()))

    def publish_sources(self, offers: Mapping[str, InnerLayer], answer: Answer) -> None:
        """These are to be published, by whoever leads; of our own points we know the newest certificates."""
        self._offers.replace({**offers, **self._readers.newest(offers)})
        self._do(self._schedule.told(self._offers.outline(), answer, self._now()))

    def learn_revisions(self, used: Mapping[str, int]) -> None:
        """Others have used these counters, by blinded key in hexadecimal; what they published is not ours."""
        self._store.learn(used)
        self.outlook.learn(used)
        progress = [self._uploads.progress(bytes.fromhex(blinded)) for blinded in used]
        if self._leading and any(one and one.revision < used[one.blinded.hex()] for one in progress):
            self.publish_now()

    # What people want to know.

    def status(self) -> tuple[DescriptorStatus, ...]:
        """Return both descriptors, once the consensus is known; none while another node publishes."""
        plans = self._ring.plan if self._leading else None
        return report.descriptors(plans or (), self._uploads.progress, self._jobs.points, self._now())

    @property
    def valid_after(self) -> int | None:
        """The Unix time from which Tor's consensus is valid, None while there is none."""
        return None if self._ring.plan is None else self._ring.plan.valid_after

    def problems(self) -> tuple[str, ...]:
        """
        Return in plain sentences what keeps us from publishing; nothing when nothing does.

        How far each descriptor has got is in ``status``, and ``rustbalance.ops.status.judge`` says it.
        """
        if self._control is None:
            return ()
        waiting = self._schedule.obstacle(self._now()) if self._leading else None
        short = self._schedule.shortage.sentence() if self._leading else None
        found = [self._ring.problem or waiting, short, *self._readers.problems(), *self._jobs.problems.values()]
        return tuple(problem for problem in found if problem is not None)

    # What our Tors tell us.

    def _use(self, instance: TorInstance | None) -> None:
        """Post through this one from now on, and read the consensus from it; None: there is none."""
        if not self.running:
            return
        before, self._active = self._active, instance
        control = self._control = None if instance is None else instance.control
        if before is not None and (control is None or not before.serving):
            self._publishing.cancel()
            self._uploads.disconnected(gone=before.mode == "managed")
            self._do(self._schedule.lost(self._now()) if control is None else self._schedule.interrupted(self._now()))
        self._ring_tasks.cancel()
        if control is not None:
            self._ring_tasks.spawn("following the directory ring", self._ring.follow(control, self._planned))
            uploads = self._uploads.connected(self._now()) if self._leading else []
            self._do([*uploads, *self._schedule.connected(self._now())])
        self._jobs.cluster.able(control is not None)

    def _offered(self, reader: Reader, news: bool) -> None:
        """Keep what a Tor of ours offers, and tell the cluster of it if a client would see a change."""
        if reader.source in self._offers:
            self._offers.put(reader.source, reader.inner)
        if news:
            self._jobs.cluster.own_points(reader.name, reader.inner)
        self._do(self._schedule.points(self._offers.outline(), self._now()))

    def _periods(self) -> list[TimePeriod]:
        """Return the periods that Tor's current descriptor may be for: ours, and one on either side as it rotates."""
        plan = self._ring.plan
        return [] if plan is None else [plan.first.period.shifted(by) for by in (-1, 0, 1, 2)]

    def on_ready(self, control: TorControl) -> None:
        """Whether that one is to be used is for the pair to say."""

    def on_lost(self, reason: str) -> None:
        """Whether another one is to be used is for the pair to say."""

    def on_event(self, event: Event) -> None:
        """Tor said something."""
        if isinstance(event, ConsensusArrived):
            self._ring.notify()
        else:
            self._do(hear(event, self._address, self._uploads, self._now()))

    # What the cores want done.

    def _do(self, commands: Sequence[Command]) -> None:
        for command in commands:
            self._perform(command)
        self._arm()

    def _perform(self, command: Command) -> None:
        match command:
            case Outcome(progress):
                self._report(progress)
            case Reached(blinded):
                self._schedule.urgency.confirmed(blinded, self._now())
                self.outlook.published()
            case Warn(text):
                self.log.warn("{text}", text=text)
            case Redirect():
                self._jobs.redirect()
            case Read():
                self._readers.hint()
            case Silence():
                level = LogLevel.info if command.broken_off else LogLevel.warn
                self.log.emit(level, "{sentence}", sentence=command.sentence)
            case Post():
                other = self._pair.other if command.elsewhere else None
                control = self._control if other is None else other.control
                self._publishing.spawn("posting a descriptor", self._jobs.post(control, command))
            case Publish(reason):
                self._publishing.spawn("publishing", self._jobs.publish(reason))
            case Raise():
                self._publishing.spawn("raising a revision counter", self._jobs.raise_counter(command))

    def _arm(self, least: float = 0.0) -> None:
        """Set the one timer to the second at which a core wants to look at the clock, ``least`` seconds off or more."""
        self._alarm.clear()
        dues = [due for due in (self._schedule.due(), self._uploads.due()) if due is not None]
        if dues and self._control is not None:
            self._alarm.set(max(least, min(dues) - self._now().mono))

    def _wake(self) -> None:
        now = self._now()
        try:
            self._do([*self._uploads.wake(now), *self._schedule.wake(now)])
        except Exception:
            # Nothing would ever be due again without the timer; the pause keeps an error that lasts from spinning.
            self.log.failure("looking at the clock failed")
            self._arm(self._jobs.settings.retry_least)

    def _report(self, progress: Progress) -> None:
        if progress.hopeless:
            self._schedule.urgency.failed(progress.blinded)
        line = report.outcome(progress, self._jobs.points(progress.blinded), self._jobs.reason)
        say = self.log.info if progress.published else self.log.error if progress.hopeless else self.log.warn
        say("{line}", line=line)

    def _planned(self, plan: PublicationPlan) -> None:
        self._do(self._schedule.plan(plan, self._now()))

    def _uniform(self) -> float:
        return int.from_bytes(self._random_bytes(4)) / 2**32
