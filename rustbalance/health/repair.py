"""
What is done about a failure, how often, and when to ask for a person.

Owns: the way from a kind of failure to repairs, their limits, and what is said when none has helped. In: failures, each
with its subject, as long as they last, and that they are over; out: what to do now. Pure.

A failure is a kind, never a text that is searched for words. Each kind has a ladder: one repair after another, each a
few times with a growing pause, then an error with what the operator can do. After a rest the ladder begins anew, for
there may be nobody. How often a repair may be done is limited whatever calls for it, so that several failures with one
cause do not make a storm of it, and a failure that comes and goes is not repaired for ever.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum

from rustbalance.moment import Moment


class Failure(StrEnum):
    """What is wrong. The subject says of what: an instance, a node, a descriptor, or nothing at all."""

    TOR_DOWN = "tor_down"
    """The instance does not serve: its process ended, or nobody listens at its control port."""
    TOR_HUNG = "tor_hung"
    """The instance does not answer in time."""
    TOR_UNUSABLE = "tor_unusable"
    """It runs, and not as we need it: it wants another password, say. Starting it anew would change nothing."""
    NO_WAY_OUT = "no_way_out"
    """The instance says that it is well, but nothing comes through it."""
    NO_POINTS = "no_points"
    """The instance serves, but its introduction points do not."""
    WIREGUARD_DOWN = "wireguard_down"
    """The tunnel brings nobody within reach."""
    DESCRIPTOR_STALE = "descriptor_stale"
    """Directories hold an older descriptor, or none, or our last publish is too old."""
    UNREACHABLE = "unreachable"
    """A visit to the address failed, and nothing else was found wrong."""
    PEER_SILENT = "peer_silent"
    """A node of the cluster is not heard. Subject: its name."""
    PUBLISHER_UNABLE = "publisher_unable"
    """This node has the lease and cannot publish."""
    TARGET_DOWN = "target_down"
    """The site behind the address does not answer."""


class Action(StrEnum):
    """What can be done. The subject of the failure says to what."""

    RESTART_INSTANCE = "restart_instance"
    REBUILD_WIREGUARD = "rebuild_wireguard"
    REPUBLISH = "republish"
    REJOIN_PEER = "rejoin_peer"
    STEP_DOWN = "step_down"


@dataclass(frozen=True)
class Step:
    """Up to ``times`` this, first with ``pause`` seconds for it to help, then with twice as many, and so on."""

    action: Action
    times: int
    pause: float


@dataclass(frozen=True)
class Plan:
    """What a failure is called, the steps against it, and what to tell the operator when they are used up."""

    called: str
    steps: tuple[Step, ...]
    advice: str

    def name(self, subject: str) -> str:
        """Return the failure of ``subject`` as the beginning of a sentence."""
        return self.called.format(subject=subject)


@dataclass(frozen=True)
class Limit:
    """At most ``times`` within ``seconds``, for each subject or, if ``shared``, for all together."""

    times: int
    seconds: float
    shared: bool = False


RESTART = Step(Action.RESTART_INSTANCE, 3, 15.0)
PLANS: dict[Failure, Plan] = {
    Failure.TOR_DOWN: Plan(
        "Tor ({subject}) does not run",
        (RESTART,),
        "see why it does not start: its own log, `tor --verify-config`, the disk, the memory",
    ),
    Failure.TOR_HUNG: Plan(
        "Tor ({subject}) does not answer",
        (RESTART,),
        "look at what this machine is busy with, then restart that Tor by hand",
    ),
    Failure.TOR_UNUSABLE: Plan(
        "Tor ({subject}) cannot be used as it is",
        (),
        "change what is said about it, no restart would; it is asked again and again, and taken back by itself",
    ),
    Failure.NO_WAY_OUT: Plan(
        "nothing comes through Tor ({subject})",
        (Step(Action.RESTART_INSTANCE, 2, 60.0),),
        "check that this machine reaches the Tor network",
    ),
    Failure.NO_POINTS: Plan(
        "the introduction points of Tor ({subject}) do not work",
        (Step(Action.RESTART_INSTANCE, 1, 120.0), Step(Action.REPUBLISH, 1, 60.0)),
        "check that this machine reaches the Tor network",
    ),
    Failure.WIREGUARD_DOWN: Plan(
        "the WireGuard tunnel brings nobody within reach",
        (Step(Action.REBUILD_WIREGUARD, 3, 10.0),),
        "check `wg show`, the rights of the daemon and whether UDP gets through to the other machines",
    ),
    Failure.DESCRIPTOR_STALE: Plan(
        "the directories do not have the latest descriptor",
        (Step(Action.REPUBLISH, 3, 60.0), Step(Action.STEP_DOWN, 1, 60.0)),
        "see `rustbalance verify` for which; if all refuse, somebody else publishes this address",
    ),
    Failure.UNREACHABLE: Plan(
        "the address cannot be reached through Tor",
        (Step(Action.REPUBLISH, 1, 120.0), Step(Action.STEP_DOWN, 1, 120.0)),
        "visit it from elsewhere; if others reach it, this machine's way out through Tor is what is broken",
    ),
    Failure.PEER_SILENT: Plan(
        "node {subject} is not heard",
        (Step(Action.REJOIN_PEER, 2, 60.0),),
        "see whether that machine runs and whether the way to it is open; the others do its work meanwhile",
    ),
    Failure.PUBLISHER_UNABLE: Plan(
        "this node has the lease and cannot publish",
        (Step(Action.REPUBLISH, 1, 15.0), Step(Action.STEP_DOWN, 1, 60.0)),
        "see what is said about Tor and about the directories",
    ),
    Failure.TARGET_DOWN: Plan(
        "the target does not answer", (), "see to the target; visitors get an error page until then"
    ),
}

LIMITS: dict[Action, Limit] = {
    Action.RESTART_INSTANCE: Limit(3, 300.0),
    Action.REBUILD_WIREGUARD: Limit(3, 300.0),
    Action.REPUBLISH: Limit(3, 300.0, shared=True),
    Action.REJOIN_PEER: Limit(3, 300.0),
    Action.STEP_DOWN: Limit(1, 600.0, shared=True),
}

DOING = {
    Action.RESTART_INSTANCE: "it is being restarted",
    Action.REBUILD_WIREGUARD: "the tunnel is being built anew",
    Action.REPUBLISH: "the descriptors are being published again",
    Action.REJOIN_PEER: "the way to it is being looked for anew",
    Action.STEP_DOWN: "the lease is given away",
}

#: Seconds after the last step in which only the operator can help; then the ladder begins anew.
REST = 300.0
#: Seconds after which a failure that nobody reports any more counts as over.
FORGOTTEN = 3600.0


@dataclass(frozen=True)
class Act:
    """Do this now, for the ``attempt``-th time since the failure began."""

    action: Action
    failure: Failure
    subject: str
    attempt: int

    @property
    def sentence(self) -> str:
        """What is wrong and what is done about it."""
        return f"{PLANS[self.failure].name(self.subject)}: {DOING[self.action]} (attempt {self.attempt})"


@dataclass(frozen=True)
class Escalated:
    """Nothing has helped: tell the operator, as an error. It comes once for each time that something fails."""

    failure: Failure
    subject: str
    attempts: int

    @property
    def sentence(self) -> str:
        """What is wrong, and what the operator can do."""
        plan = PLANS[self.failure]
        tried = f" after {self.attempts} repairs" if self.attempts else ""
        return f"{plan.name(self.subject)}{tried}: {plan.advice}"


@dataclass
class _Case:
    """One failure of one subject, as long as it lasts."""

    rung: int = 0
    on_rung: int = 0
    attempts: int = 0
    next_at: float = float("-inf")
    heard_at: float = 0.0
    doing: Act | None = None
    escalated: bool = False


@dataclass
class Repairs:
    """All that is being repaired on this node."""

    _cases: dict[tuple[Failure, str], _Case] = field(default_factory=dict)
    _done: dict[tuple[Action, str], list[float]] = field(default_factory=dict)

    def report(
        self, failure: Failure, subject: str, now: Moment, impossible: Collection[Action] = ()
    ) -> list[Act | Escalated]:
        """
        Return what to do about it now: often nothing, since the last repair is given its time.

        Report it again for as long as it lasts, at whatever pace it is noticed. What is ``impossible`` on this node at
        present is passed over.
        """
        case = self._cases.setdefault((failure, subject), _Case())
        case.heard_at = now.mono
        if now.mono < case.next_at:
            return []
        step = self._step(failure, subject, case, now.mono, impossible)
        if step is not None:
            return [self._act(step, failure, subject, case, now.mono)]
        case.rung = case.on_rung = 0
        case.next_at = now.mono + REST
        case.doing = None
        if case.escalated:
            return []
        case.escalated = True
        return [Escalated(failure, subject, case.attempts)]

    def recovered(self, failure: Failure, subject: str, now: Moment) -> bool:
        """Note that it is over, or was never so. Return whether it was thought to be so."""
        return self._cases.pop((failure, subject), None) is not None

    def sentences(self, now: Moment) -> tuple[str, ...]:
        """Return, for each failure that lasts, what is wrong and what is being done about it."""
        for key in [key for key, case in self._cases.items() if now.mono - case.heard_at > FORGOTTEN]:
            del self._cases[key]
        return tuple(_sentence(*key, case) for key, case in self._cases.items())

    def _step(
        self, failure: Failure, subject: str, case: _Case, at: float, impossible: Collection[Action]
    ) -> Step | None:
        """Return the step that is due, after passing over those that are used up or cannot be; None: no more."""
        steps = PLANS[failure].steps
        while case.rung < len(steps):
            step = steps[case.rung]
            possible = step.action not in impossible and self._allowed(step.action, subject, at)
            if case.on_rung < step.times and possible:
                return step
            case.rung += 1
            case.on_rung = 0
        return None

    def _allowed(self, action: Action, subject: str, at: float) -> bool:
        limit = LIMITS[action]
        key = (action, "" if limit.shared else subject)
        recent = self._done[key] = [then for then in self._done.get(key, ()) if at - then < limit.seconds]
        return len(recent) < limit.times

    def _act(self, step: Step, failure: Failure, subject: str, case: _Case, at: float) -> Act:
        self._done[(step.action, "" if LIMITS[step.action].shared else subject)].append(at)
        case.next_at = at + step.pause * 2**case.on_rung
        case.on_rung += 1
        case.attempts += 1
        case.doing = Act(step.action, failure, subject, case.attempts)
        return case.doing


def _sentence(failure: Failure, subject: str, case: _Case) -> str:
    if case.doing is None:
        return Escalated(failure, subject, case.attempts).sentence
    return case.doing.sentence
