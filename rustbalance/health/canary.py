"""
Visiting our own address.

Owns: the visits, one after another, and what is said and reported about them. In: a Tor to go through; out: lines of
the log, a status, a failure to repair.

A visit takes the whole way that a visitor's takes: the descriptor is looked up, an introduction point is asked, the
service comes to the rendezvous, and the front answers. It goes on circuits of its own each time, through a Tor that
does not serve the address if there is one, and which has looked the descriptor up anew before each visit, or it would
visit what was published hours ago.
"""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from twisted.application.service import Service
from twisted.internet.defer import CancelledError
from twisted.internet.defer import TimeoutError as DeadlinePassed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from rustbalance.health.canary_visit import Route, visit
from rustbalance.health.diagnosis import Diagnosis, Evidence, diagnose
from rustbalance.health.lookup import NoDescriptor
from rustbalance.health.proof import new_nonce
from rustbalance.health.repair import Failure
from rustbalance.health.visits import End, Outcome, Verdict, Visits
from rustbalance.life import Periodic, Tasks, within
from rustbalance.life import now as read_clocks
from rustbalance.moment import Moment
from rustbalance.ops.directories import DirectoryReport
from rustbalance.ops.status import CanaryStatus, NodeStatus
from rustbalance.proxy.socks import SocksAddress
from rustbalance.secrets import Secret

#: Seconds for asking the directories: all, and those who do not answer once more.
LOOK: Final = 60.0
#: How to make a visit: the route, where a Tor takes connections, what proves who visits, a nonce, the reactor.
Visit = Callable[[Route, SocksAddress, Secret, bytes, Any], Awaitable[Outcome]]


@dataclass(frozen=True)
class CanarySettings:
    """
    A visit along ``route`` every ``interval`` seconds, the first one after ``delay``.

    ``threshold`` failures in a row mean that the address cannot be reached.
    """

    route: Route
    interval: float = 120.0
    threshold: int = 3
    delay: float = 300.0


@dataclass(frozen=True)
class Way:
    """
    A Tor to go through: its name, where it takes connections, and how to have it look the descriptor up anew.

    ``renew`` raises ``NoDescriptor`` when there is none to be had; None: nobody knows how.
    """

    name: str
    socks: SocksAddress
    renew: Callable[[], Awaitable[object]] | None = None


@dataclass(frozen=True)
class Surroundings:
    """
    What the canary has to know of its node.

    ``way``: a Tor to go through, None when none serves. ``keys``: what visits and answers are proved by, ours first.
    ``standing``: how many introduction circuits each Tor has that serves visitors; ``directories``: what they hold now.
    ``failing`` and ``mended`` take a failure and its subject, as often as it is noticed and once it is over.
    """

    way: Callable[[], Way | None]
    keys: Callable[[], Sequence[Secret]]
    node: Callable[[], NodeStatus]
    standing: Callable[[], Awaitable[Mapping[str, int]]]
    directories: Callable[[], Coroutine[Any, Any, DirectoryReport]]
    failing: Callable[[Failure, str], object]
    mended: Callable[[Failure, str], object]


class Canary(Service):
    """Visits the address for as long as it runs. Each visit is over, one way or the other, before the next one."""

    log = Logger()

    def __init__(
        self,
        settings: CanarySettings,
        around: Surroundings,
        reactor: Any,
        random_bytes: Callable[[int], bytes],
        clocks: Callable[[], Moment] = read_clocks,
        visit: Visit = visit,
    ) -> None:
        self.setName("canary")
        self._settings = settings
        self._around = around
        self._reactor = reactor
        self._random_bytes = random_bytes
        self._now = clocks
        self._visit_through = visit
        self._visits = Visits(settings.threshold)
        self._last = "none yet"
        self._through: str | None = None
        self._found: Diagnosis | None = None
        self._tasks = Tasks(self.log)
        self._first: IDelayedCall | None = None
        self._timer = Periodic("visits to the address", settings.interval, self._visited, reactor)

    def startService(self) -> None:
        """Wait until the node has settled, then visit."""
        super().startService()
        self._first = self._reactor.callLater(self._settings.delay, self._timer.startService)

    def stopService(self) -> None:
        """Visit no more; a visit under way is given up."""
        super().stopService()
        first, self._first = self._first, None
        if first is not None and first.active():
            first.cancel()
        if self._timer.running:
            self._timer.stopService()
        self._tasks.cancel()

    def status(self) -> CanaryStatus:
        """Return what the visits have come to."""
        now, passed = self._now(), self._visits.passed_at
        return CanaryStatus(
            visits=self._visits.count,
            failures=self._visits.failures,
            passed_age_secs=None if passed is None else now.mono - passed,
            last=self._last,
            through=self._through,
            seen=self._visits.seen(now),
            diagnosis=None if self._found is None else self._found.sentence,
        )

    def problems(self) -> tuple[str, ...]:
        """Return in sentences what the operator should know."""
        unreached = () if self._found is None else (f"visits to our own address fail: {self._found.sentence}",)
        return (
            *unreached,
            *(f"node {node} has published points, but answers no visits" for node in self._visits.overlooked()),
        )

    def _visited(self) -> Awaitable[None]:
        return self._tasks.spawn("a visit to the address", self._visit())

    async def _visit(self) -> None:
        way = self._around.way()
        if way is None:
            self._last = "no Tor serves through which to visit"
            return
        self._through = way.name
        outcome = await self._renewed(way) or await self._visit_by(way)
        self._last = outcome.detail
        verdict = self._visits.record(outcome, self._sources(), self._now())
        if outcome.end is End.PASSED:
            self._passed(outcome, verdict)
        else:
            await self._failed(outcome, verdict)

    async def _visit_by(self, way: Way) -> Outcome:
        keys = self._around.keys()
        nonce = new_nonce(self._now().wall, self._random_bytes)
        return await self._visit_through(self._settings.route, way.socks, keys[0], nonce, self._reactor)

    async def _renewed(self, way: Way) -> Outcome | None:
        """Let the descriptor be looked up anew: without one a visit has failed. Else the visit shows what there is."""
        began = self._reactor.seconds()
        try:
            if way.renew is not None:
                await way.renew()
        except CancelledError:
            raise
        except NoDescriptor as error:
            return Outcome(End.LOOKUP, str(error), self._reactor.seconds() - began)
        except Exception as error:
            self.log.debug("Tor ({name}) looks nothing up: {error}", name=way.name, error=error)
        return None

    def _passed(self, outcome: Outcome, verdict: Verdict) -> None:
        who = f"node {outcome.node} ({outcome.instance})" if outcome.node else "a node that proved nothing"
        self.log.debug(
            "Canary self-test passed ({detail}), answered by {who} in {seconds:.1f} s",
            detail=outcome.detail,
            who=who,
            seconds=outcome.seconds,
        )
        if verdict is Verdict.RECOVERED:
            self.log.info("Canary self-test recovered: the master address is reached again")
        self._conclude(None)

    async def _failed(self, outcome: Outcome, verdict: Verdict) -> None:
        self.log.debug(
            "a visit to the address failed after {seconds:.1f} s, {count} in a row: {end} ({detail})",
            seconds=outcome.seconds,
            count=self._visits.failures,
            end=outcome.end.value,
            detail=outcome.detail,
        )
        if verdict is Verdict.FAILED:
            return
        found = diagnose(await self._evidence())
        if verdict is Verdict.ALARM:
            self.log.error(
                "Canary self-test FAILED {count} times in a row, the last time because {end}: {sentence}",
                count=self._visits.failures,
                end=outcome.end.value,
                sentence=found.sentence,
            )
        elif found != self._found:
            self.log.warn("Visits to the address still fail: {sentence}", sentence=found.sentence)
        self._conclude(found)

    def _conclude(self, found: Diagnosis | None) -> None:
        """Report what was found, for as long as that is so; repairs have their own pauses and limits."""
        before, self._found = self._found, found
        if before is not None and before.failure is not None and not _is_same(before, found):
            self._around.mended(before.failure, before.subject)
        if found is not None and found.failure is not None:
            self._around.failing(found.failure, found.subject)

    async def _evidence(self) -> Evidence:
        standing = await self._around.standing()
        directories = await self._look()
        return Evidence(self._around.node(), self._visits.ends, self._through or "", standing, directories)

    async def _look(self) -> DirectoryReport | None:
        try:
            return await within(LOOK, self._reactor, self._around.directories())
        except DeadlinePassed:
            return None

    def _sources(self) -> frozenset[str]:
        """Return the nodes whose points are published, as far as we know."""
        node = self._around.node()
        sources = (f"{node.node_id}/",) if node.cluster is None else node.cluster.sources
        return frozenset(source.partition("/")[0] for source in sources)


def _is_same(one: Diagnosis, other: Diagnosis | None) -> bool:
    return other is not None and (one.failure, one.subject) == (other.failure, other.subject)
