"""
What happens when the node that publishes is killed.

Owns: killing it, and measuring what follows. In: a lab with several nodes; out: one ``Check`` after the other. The
limits are those of a cluster with its default figures.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

from twisted.internet.defer import TimeoutError as DeadlinePassed

from rustbalance.lab.checks import Check
from rustbalance.lab.union import holds, publisher_of
from rustbalance.lab.whole import Lab
from rustbalance.life import pause, within
from rustbalance.ops.status import Health, NodeStatus

POLL = 0.25
SUCCESSION = 12.0
"""Seconds from the kill to another publisher."""
WITHDRAWAL = 15.0
"""Seconds from the kill to confirmed descriptors without the points of the killed node."""
RETURN = 120.0
"""Seconds from a new start to healthy nodes and the points of all of them."""

Statuses: TypeAlias = Sequence[NodeStatus | None]
Reached: TypeAlias = Callable[[Statuses], str | None]
"""Says in a few words what was found, None as long as that is not there."""


async def takeover(lab: Lab, quiet: Callable[[], Awaitable[None]], reactor: Any) -> AsyncIterator[Check]:
    """
    Kill the publisher, see another one take its place, start it again and see it come back.

    The kill comes when ``quiet`` has fired: a page that is on its way from a killed node is lost, as anywhere.
    """
    victim = await lab.publisher()
    if victim is None:
        yield Check("one node publishes", False, "none does, or more than one")
        return
    yield Check("one node publishes", True, victim.name)
    everybody = {node.name for node in lab.nodes}
    await quiet()
    killed = Stopwatch(lab, reactor)
    victim.kill()
    yield await killed.check("killed (-9), it is followed by another one", SUCCESSION, partial(succeeded, victim.name))
    left = partial(published_for, everybody - {victim.name})
    yield await killed.check("the points of the killed one are gone", WITHDRAWAL, left)
    started = Stopwatch(lab, reactor)
    victim.start()
    yield await started.check("started again, it comes back", RETURN, partial(all_well, everybody))


class Stopwatch:
    """Measures from its making on."""

    def __init__(self, lab: Lab, reactor: Any) -> None:
        self._lab = lab
        self._reactor = reactor
        self._began = reactor.seconds()

    async def check(self, name: str, limit: float, reached: Reached) -> Check:
        """Return whether ``reached`` held within ``limit`` s of the beginning, and when it did."""
        left = max(POLL, self._began + limit - self._reactor.seconds())
        try:
            found = await within(left, self._reactor, self._poll(reached))
        except DeadlinePassed:
            return Check(name, False, f"not within {limit:g} s")
        return Check(name, True, f"{found}, after {self._reactor.seconds() - self._began:.1f} s")

    async def _poll(self, reached: Reached) -> str:
        while (found := reached(await self._lab.statuses())) is None:
            await pause(self._reactor, POLL)
        return found


def succeeded(victim: str, statuses: Statuses) -> str | None:
    """Has a node other than ``victim`` become publisher?"""
    publisher = publisher_of(statuses)
    return None if publisher in (None, victim) else publisher


def published_for(nodes: set[str], statuses: Statuses) -> str | None:
    """Has the publisher published the points of exactly these nodes?"""
    publisher = publisher_of(statuses)
    out = any(status is not None and status.node_id == publisher and holds(status, nodes) for status in statuses)
    return f"descriptors by {publisher} confirmed" if out else None


def all_well(nodes: set[str], statuses: Statuses) -> str | None:
    """Are all nodes healthy, and their points published?"""
    healthy = all(status is not None and status.health is Health.HEALTHY for status in statuses)
    return published_for(nodes, statuses) if healthy else None
