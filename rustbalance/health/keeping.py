"""
Putting the care for a node together.

Owns: what does each kind of repair, and who is told what about the target. In: the parts of a node that are cared for;
out: the repairs, and services.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.application.service import IService

from rustbalance.coordination.service import Coordination
from rustbalance.health.clock import ClockCheck
from rustbalance.health.probe import Askable, Probe
from rustbalance.health.probing import ProbeSettings
from rustbalance.health.repair import Action
from rustbalance.health.repairs import Repairer
from rustbalance.health.service import Watch
from rustbalance.life import now as read_clocks
from rustbalance.moment import Moment
from rustbalance.ops.status import NodeStatus
from rustbalance.publishing.publisher import Publisher
from rustbalance.tor.failures import TorFailure


class Restartable(Protocol):
    """A Tor, as far as repairs go; see ``rustbalance.tor.instance``."""

    name: str | None
    restartable: bool

    @property
    def serving(self) -> bool:
        """Whether it takes itself for well."""

    def failed(self, reason: str, failure: TorFailure = ...) -> None:
        """Be started anew."""


@dataclass(frozen=True)
class CareSettings:
    """``probe`` None: the target is not probed. ``tolerance``: seconds by which clocks may differ."""

    probe: ProbeSettings | None
    tolerance: float = 5.0


def repairer(
    tors: Sequence[Restartable],
    coordination: Coordination,
    publisher: Publisher,
    clocks: Callable[[], Moment] = read_clocks,
) -> Repairer:
    """Return the repairs, each with what it takes."""

    def restart(name: str) -> None:
        """One that has found out itself that it fails is on its way back, and no restart would make that shorter."""
        for tor in tors:
            if tor.name == name and tor.serving:
                tor.failed("it was found not to work, seen from outside")

    def impossible(subject: str) -> Collection[Action]:
        """
        Return what would do nothing.

        Only who publishes can do it again; the lease can be given away only where another node serves; and a Tor that
        is not ours is restarted by the operator's command or not at all.
        """
        cluster = coordination.status()
        others = () if cluster is None else cluster.serving_others
        able = {
            Action.REPUBLISH: publisher.outlook.leading,
            Action.STEP_DOWN: bool(others),
            Action.RESTART_INSTANCE: all(tor.restartable for tor in tors if tor.name == subject),
        }
        return [action for action, can in able.items() if not can]

    return Repairer(
        {
            Action.RESTART_INSTANCE: restart,
            Action.REBUILD_WIREGUARD: lambda _: coordination.rebuild("it brings nobody within reach"),
            Action.REPUBLISH: lambda _: publisher.publish_now(),
            Action.REJOIN_PEER: coordination.rejoin,
            Action.STEP_DOWN: lambda _: coordination.fitness.resign(clocks().mono),
        },
        clocks,
        impossible,
    )


class Care:
    """``watch`` looks after the node; ``probe`` asks the target, None where that is off."""

    def __init__(
        self,
        settings: CareSettings,
        front: Askable,
        coordination: Coordination,
        publisher: Publisher,
        repairs: Repairer,
        status: Callable[[], NodeStatus],
        reactor: Any,
        clocks: Callable[[], Moment] = read_clocks,
    ) -> None:
        clock = ClockCheck(settings.tolerance)
        self.watch = Watch(
            status, repairs, clock, lambda: publisher.valid_after, lambda: coordination.offsets(), reactor, clocks
        )
        self.probe = None if settings.probe is None else Probe(settings.probe, front, reactor)
        if self.probe is not None:
            front.target.changed = lambda: coordination.fitness.target(front.target.healthy)

    @property
    def services(self) -> tuple[IService, ...]:
        """What is to be started when all that is cared for has been."""
        return (self.watch,) if self.probe is None else (self.probe, self.watch)
