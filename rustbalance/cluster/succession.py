"""
How this node comes to publish, and stops.

Owns: the lease, the machine of ``failover`` and its one timer. In: claims, releases, heartbeats, and whether this node
may publish; out: commands. Pure.
"""

from collections.abc import Callable, Iterable

from rustbalance.cluster import failover
from rustbalance.cluster.commands import BecomePublisher, Command, Log, Send, StepDown
from rustbalance.cluster.election import Claim, Lease, latest_round, next_term, priority_in, term_round, turn
from rustbalance.cluster.messages import Heartbeat, LeaseClaim, LeaseRelease, NodeId
from rustbalance.cluster.settings import ClusterSettings
from rustbalance.moment import Moment


class Succession:
    """
    The seat of the publisher and who has it.

    ``rivals`` returns priority and name of every other node that could claim it now; ``random`` numbers from 0 to 1.
    """

    def __init__(
        self,
        me: NodeId,
        priority: int,
        settings: ClusterSettings,
        rivals: Callable[[], Iterable[tuple[int, NodeId]]],
        random: Callable[[], float],
        term: int,
    ) -> None:
        self._me = me
        self._priority = priority
        self._settings = settings
        self._rivals = rivals
        self._random = random
        self._seat = failover.Seat(self._turn, self._grace, 2 * settings.heartbeat_interval)
        self._machine = failover.FailoverMachine(self._seat)
        self._mine: Claim | None = None
        self._deadline: float | None = None
        self._told = ""
        self._steered = float("-inf")
        self._latest = 0
        self.lease = Lease(term)
        self.publishing = False

    @property
    def claims(self) -> bool:
        """Whether this node publishes or is about to."""
        return self._mine is not None

    def phase(self) -> str:
        """Return the word for the status page."""
        return self._machine.phase()

    def start(self) -> None:
        """Take part from now on."""
        self._machine.start()

    def stop(self, now: float) -> list[Command]:
        """Release the lease if it is ours."""
        self._machine.stop()
        return self._perform(now)

    def heartbeat(self, sender: NodeId, heartbeat: Heartbeat, news: bool, now: float) -> None:
        """
        ``sender`` says who publishes, in a heartbeat that is new.

        ``news``: it is that node itself, or brings a later beat of it; or it says that nobody does.
        """
        self.lease.note(heartbeat.term)
        if heartbeat.publisher is None:
            if news:
                self.lease.release(sender, heartbeat.term)
        elif heartbeat.publisher != self._me:
            claim = Claim(heartbeat.term, priority_in(heartbeat.term), heartbeat.publisher)
            if news or claim.outranks(self.lease.claim):
                self.lease.take(claim, now + min(heartbeat.lease_left, self._settings.lease_duration))

    def claimed(self, sender: NodeId, message: LeaseClaim, now: float) -> bool:
        """``sender`` claims the seat; return whether it must be told of a stronger claim."""
        claim = Claim(message.term, message.priority, sender)
        return not self.lease.take(claim, now + self._settings.lease_duration) and self.lease.claim is not None

    def renew(self, now: float) -> None:
        """Our heartbeat goes out, and with it our lease for as long again."""
        if self._mine is not None and self.lease.claim == self._mine:
            self.lease.expires = now + self._settings.lease_duration

    def overslept(self, seconds: float, now: float) -> list[Command]:
        """Our node was not running for so long; nobody else's silence in that time counts, but ours does."""
        if self._mine is None:
            self.lease.expires += seconds
        elif seconds >= self._settings.lease_duration:
            self._told = ""
            self._machine.slept()
        return self._perform(now)

    def steer(self, *, eligible: bool, ready: bool, moment: Moment) -> list[Command]:
        """
        Look at the lease and the clocks.

        ``eligible``: this node can publish for the others. ``ready``: it has listened long enough to know whether
        somebody does.
        """
        commands: list[Command] = []
        now = self._steered = moment.mono
        self._latest = latest_round(moment.wall)
        self.lease.doubt(moment.wall)
        if self._mine is not None and self.lease.claim != self._mine:
            self._told = ""
            self._machine.outranked()
            commands += self._perform(now)
        self._tell(eligible, ready, now)
        commands += self._perform(now)
        if self._deadline is not None and now >= self._deadline:
            self._deadline, self._told = None, ""
            self._machine.woken()
            commands += self._perform(now)
        self._tell(eligible, ready, now)
        return commands + self._perform(now)

    def due(self) -> float:
        """Return the monotonic second of the next ``steer``."""
        waits = self._told == "held" and self.lease.expires > self._steered
        lease = self.lease.expires if waits else float("inf")
        return lease if self._deadline is None else min(lease, self._deadline)

    def _tell(self, eligible: bool, ready: bool, now: float) -> None:
        situation = self._situation(eligible, ready, now)
        if situation == self._told:
            return
        self._told = situation
        if situation == "barred":
            self._machine.barred()
        elif situation == "held":
            self._machine.held()
        elif situation == "lapsed":
            self._machine.lapsed()

    def _situation(self, eligible: bool, ready: bool, now: float) -> str:
        if not eligible:
            return "barred"
        if self._mine is not None:
            return "ours"
        waits = not ready or not self._may_claim() or self.lease.publisher(now) is not None
        return "held" if waits else "lapsed"

    def _may_claim(self) -> bool:
        """Tell whether the time of the next round has come; others have used up those before it if it has not."""
        return term_round(self.lease.term) < self._latest

    def _perform(self, now: float) -> list[Command]:
        commands: list[Command] = []
        while self._seat.outbox:
            commands += self._step(self._seat.outbox.pop(0), now)
        if self._mine is not None and self.lease.claim != self._mine:
            self._mine = None
        return commands

    def _step(self, step: failover.Step, now: float) -> list[Command]:
        match step:
            case failover.Wait(seconds):
                self._deadline = None if seconds is None else now + seconds
            case failover.Claim():
                return self._claim(now)
            case failover.Publish() if self._mine is not None:
                self.publishing = True
                term = self._mine.term
                return [BecomePublisher(term), Log("info", f"this node publishes (takeover {term_round(term)})")]
            case failover.Withdraw() if self._mine is not None:
                term = self._mine.term
                self.lease.release(self._me, term)
                return [Send(None, LeaseRelease(term=term)), Log("info", "Released lease")]
            case failover.Cease(reason):
                self.publishing = False
                term = self._mine.term if self._mine is not None else self.lease.term
                return [StepDown(term, reason), Log("info", f"this node does not publish any longer: {reason}")]
        return []

    def _claim(self, now: float) -> list[Command]:
        claim = Claim(next_term(self.lease.term, self._priority, self._me), self._priority, self._me)
        if self._may_claim() and self.lease.take(claim, now + self._settings.lease_duration):
            self._mine = claim
            return [Send(None, LeaseClaim(term=claim.term, priority=claim.priority))]
        self._told = ""
        self._machine.outranked()
        return []

    def _turn(self) -> float:
        jitter = self._settings.backoff_jitter * self._random()
        others = [rival for rival in self._rivals() if rival[1] != self.lease.last]
        return turn(self._me, self._priority, others, self._settings.heartbeat_interval / 2, jitter)

    def _grace(self) -> float:
        return self._settings.takeover_grace if any(True for _ in self._rivals()) else 0.0
