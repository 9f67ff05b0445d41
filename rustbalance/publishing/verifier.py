"""
Looking at the directories as visitors do.

Owns: the checks that follow each publish and those that people ask for, and what came of the last one. In: what
directories should hold (``outlook``), and a Tor to look with; out: descriptors posted again where they were lost, log
lines, a report and figures for the status. ``verification`` decides; here it is asked and told.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from twisted.application.service import Service
from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.logger import Logger

from rustbalance.life import Alarm, Tasks, deferred, pause
from rustbalance.life import now as read_clocks
from rustbalance.moment import Moment
from rustbalance.onion.address import OnionAddress
from rustbalance.onion.plan import PublicationPlan, Seat, SeatPlan
from rustbalance.ops.directories import DirectoryReport, DirectoryRow, Finding
from rustbalance.ops.status import DescriptorStatus
from rustbalance.publishing.outlook import Outlook
from rustbalance.publishing.settings import VerifySettings
from rustbalance.publishing.track import Standing
from rustbalance.publishing.verification import Answer, Deafness, Round, Timetable, lost
from rustbalance.tor.control import TorControl
from rustbalance.tor.fetching import fetch_descriptor
from rustbalance.tor.instance import TorInstance

NO_PLAN = "the responsible directories are not known yet"
NO_TOR = "no Tor serves that could look"
Outside = Callable[[], TorInstance | None]


@dataclass(frozen=True)
class _Found:
    """What a check came to; ``asked``: the descriptor that directories were asked for; ``periods``: that of each."""

    at: Moment
    publishes: bool
    rows: tuple[DirectoryRow, ...] = ()
    problem: str | None = None
    asked: SeatPlan | None = None
    periods: Mapping[Seat, int] | None = None


class Verifier(Service):
    """
    Checks by itself while this node publishes, and for anybody on request.

    ``outside`` returns a Tor that can look, best one that does not serve the address itself. ``stale`` is told after
    each check of our own whether directories lack what they have been sent once more, and that it is over when another
    node publishes. ``nowhere`` is told of a Tor through which no directory answers, and when that is over
    (``Deafness``).
    """

    log = Logger()

    def __init__(
        self,
        outlook: Outlook,
        address: OnionAddress,
        outside: Outside,
        settings: VerifySettings,
        reactor: Any,
        clocks: Callable[[], Moment] = read_clocks,
        stale: Callable[[bool], None] = lambda stale: None,
        nowhere: Callable[[str, bool], None] = lambda tor, nowhere: None,
    ) -> None:
        self.setName("verifier")
        self._outlook = outlook
        self._address = address
        self._outside = outside
        self._settings = settings
        self._reactor = reactor
        self._now = clocks
        self._stale = stale
        self._nowhere = nowhere
        self._deafness = Deafness()
        self._table = Timetable(settings.delay, settings.interval)
        self._tasks = Tasks(self.log)
        self._alarm = Alarm(reactor, self._due)
        self._number = 0
        self._running = False
        self._found: _Found | None = None
        self._posted: set[tuple[str, str]] = set()
        self._lasting: set[tuple[str, str]] = set()
        self._said: tuple[str, ...] = ()
        self._waiting: list[Deferred[None]] = []
        outlook.watch(self)

    def stopService(self) -> None:
        """End a check that is under way."""
        super().stopService()
        self._alarm.clear()
        self._tasks.cancel()

    def on_published(self) -> None:
        """See in a while whether it is still there."""
        if self._settings.mode != "off":
            self._table.published(self._now())
            self._arm()

    def on_follow(self) -> None:
        """It is another node's to look after."""
        self._table.stop()
        self._alarm.clear()
        told, self._posted, self._lasting = bool(self._lasting), set(), set()
        if told:
            self._stale(False)

    def check(self) -> DirectoryReport:
        """Begin to ask the directories, unless that is under way; return the report as it is by now."""
        if not self._running:
            self._begin(fetch=True)
        return self.report()

    async def look(self) -> DirectoryReport:
        """Return what a check finds that is under way, or else begins now."""
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)  # before it begins: where nobody can be asked it is over at once
        if not self._running:
            self._begin(fetch=True)
        await waiting
        return self.report()

    def report(self) -> DirectoryReport:
        """Return what came of the last check."""
        found = self._found
        if found is None:
            return DirectoryReport(number=self._number, running=self._running, publishes=self._outlook.leading)
        return DirectoryReport(
            number=self._number,
            running=self._running,
            publishes=found.publishes,
            age_secs=self._now().mono - found.at.mono,
            asked=None if found.asked is None else found.asked.seat.value,
            problem=found.problem,
            rows=found.rows,
        )

    def status(self, descriptors: Iterable[DescriptorStatus]) -> tuple[DescriptorStatus, ...]:
        """Return ``descriptors`` with what the last check found of each."""
        return tuple(self._with_figures(each) for each in descriptors)

    def problems(self) -> tuple[str, ...]:
        """Return in plain sentences what the last check of our own found wrong and what is done about it."""
        found = self._found
        if found is None or not self._outlook.leading or not found.publishes:
            return ()
        if found.problem is not None:
            return (f"the directories cannot be checked: {found.problem}; they are tried again",)
        return (*_lasting(len(self._lasting)), *_newer(found.rows))

    def _with_figures(self, descriptor: DescriptorStatus) -> DescriptorStatus:
        found = self._found
        if found is None or found.problem is not None or not found.publishes or found.periods is None:
            return descriptor
        seat = next((seat for seat, period in found.periods.items() if period == descriptor.period), None)
        if seat is None:
            return descriptor
        by: Literal["fetch", "upload"] = "fetch" if found.asked is not None and found.asked.seat is seat else "upload"
        good = sum(row.finding.good for row in found.rows if row.seat == seat)
        age = self._now().mono - found.at.mono
        return msgspec.structs.replace(descriptor, verified=good, verified_by=by, verified_age_secs=age)

    def _due(self) -> None:
        if self._running:
            return
        self._begin(fetch=self._settings.mode == "fetch")

    def _arm(self) -> None:
        due = self._table.due()
        if due is not None and self.running:
            self._alarm.set(max(0.0, due - self._now().mono))

    def _begin(self, *, fetch: bool) -> None:
        self._running = True
        self._table.begun(self._now())
        self._tasks.spawn("checking the directories", self._check(fetch=fetch)).addBoth(self._ended)

    def _ended(self, result: object) -> None:
        self._running = False
        self._number += 1
        found = self._found
        again = found is not None and (found.problem is not None or any(row.posted_again for row in found.rows))
        self._table.checked(self._now(), again=again)
        self._arm()
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(None)

    async def _check(self, *, fetch: bool) -> None:
        plan, publishes = self._outlook.plan, self._outlook.leading
        if plan is None:
            self._found = _Found(self._now(), publishes, problem=NO_PLAN)
            return
        look = Round(plan, self._standings(plan), publishes)
        problem = await self._ask(look) if fetch else None
        rows = look.rows(self._standings(plan)) if fetch else look.believed()
        if publishes and self._outlook.leading and problem is None:
            rows = self._post_again(look, rows)
            self._tell(look, rows, fetch=fetch)
        periods = {seat.seat: seat.period.number for seat in plan}
        self._found = _Found(self._now(), publishes, rows, problem, look.asked if fetch else None, periods)

    def _standings(self, plan: PublicationPlan) -> dict[bytes, Standing]:
        found = {seat.blinded_public: self._outlook.standing(seat) for seat in plan}
        return {blinded: standing for blinded, standing in found.items() if standing is not None}

    async def _ask(self, look: Round) -> str | None:
        """
        Ask all, and once more at once whose answer was bad, and after a pause who gave none.

        Return why nobody could be asked, None when somebody was.
        """
        through = ""
        while targets := look.unasked() or look.bad() or look.mute():
            if targets == look.mute():
                await pause(self._reactor, self._settings.pause)
            tor = self._outside()
            if tor is None or tor.control is None:
                return NO_TOR
            through = str(tor.name)
            look.take(await self._fetch(tor.control, targets))
        silence = look.silence()
        for name, nowhere in self._deafness.checked(through, answered=silence is None):
            self._nowhere(name, nowhere)
        return silence

    async def _fetch(self, control: TorControl, directories: Sequence[str]) -> list[Answer]:
        deadline = self._settings.deadline
        asking = [fetch_descriptor(control, self._address, each, self._reactor, deadline) for each in directories]
        try:
            return await gatherResults([deferred(each) for each in asking], consumeErrors=True)
        except FirstError as error:
            error.subFailure.raiseException()
            raise

    def _post_again(self, look: Round, rows: tuple[DirectoryRow, ...]) -> tuple[DirectoryRow, ...]:
        """Send it again to those who have lost it, and to nobody else."""
        for seat in look.plan:
            directories, standing = lost(rows, seat), look.standings.get(seat.blinded_public)
            if directories and standing is not None:
                self._outlook.lost(seat, standing.floor, directories)
        return tuple(msgspec.structs.replace(row, posted_again=True) if row.finding.lost else row for row in rows)

    def _tell(self, look: Round, rows: tuple[DirectoryRow, ...], *, fetch: bool) -> None:
        for row in rows:
            if row.finding.lost:
                self._warn(row)
        said, self._said = self._said, _newer(rows)
        for sentence in self._said if self._said != said else ():
            self.log.warn("{sentence}", sentence=sentence)
        for seat in look.plan if not any(row.finding.lost for row in rows) else ():
            mine = [row for row in rows if row.seat == seat.seat]
            self.log.debug(
                "Descriptor verified on HSDirs (rev={revision}): {good} of {all} hold the {seat} one, as they {how}",
                revision=max((row.expected or 0 for row in mine), default=0),
                good=sum(row.finding.good for row in mine),
                all=len(mine),
                seat=seat.seat.value,
                how="gave it" if fetch and seat is look.asked else "confirmed",
            )
        gone: set[tuple[str, str]] = {(row.seat, row.directory) for row in rows if row.finding.lost}
        self._lasting, self._posted = gone & self._posted, gone
        self._stale(bool(self._lasting))

    def _warn(self, row: DirectoryRow) -> None:
        self.log.warn(
            "Stale descriptor at directory {directory}: it holds {held} of the {seat} descriptor, expected revision "
            "{expected}; posting it there again",
            directory=row.directory,
            held="nothing" if row.revision is None else f"revision {row.revision}",
            seat=row.seat,
            expected=row.expected,
        )


def _lasting(count: int) -> tuple[str, ...]:
    return (f"{count} uploads have not lasted at their directories; they are being repeated",) if count else ()


def _newer(rows: Iterable[DirectoryRow]) -> tuple[str, ...]:
    """Return a sentence for each descriptor that somebody else has replaced."""
    counts = {seat: sum(row.seat == seat and row.finding is Finding.NEWER for row in rows) for seat in Seat}
    return tuple(
        f"{count} directories hold a newer {seat} descriptor than ours: somebody else publishes this address; theirs "
        "is left there"
        for seat, count in counts.items()
        if count
    )
