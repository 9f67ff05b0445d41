"""
Visits for a long time: ``python -m rustbalance.lab.soak --minutes 16 --nodes 1``.

Owns: a lab, a visit about every second with a fresh descriptor every few, and the figures. In: how long; out: figures
as they come, a summary, and exit status 1 when fewer than 99.5 % of the visits succeeded (of several nodes: 99.9 %) or
none did for over 10 s.
Sixteen minutes are two days of the private network, so both segments of the day come twice. ``--plain`` visits a plain
onion service of Tor's own in the same way, which shows what the network itself allows.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.task import react

from rustbalance.lab.calendar import Day, Segment
from rustbalance.lab.checks import describe
from rustbalance.lab.client import LabClient, Visitor
from rustbalance.lab.running import until_stopped
from rustbalance.lab.state import default_directory
from rustbalance.lab.visits import VisitLog
from rustbalance.lab.whole import Lab
from rustbalance.life import pause

LEAST_PERCENT = 99.5
LEAST_OF_MANY = 99.9
LONGEST_GAP = 10.0
PACE = 1.0
REPORT = 30.0


class Soak:
    """
    Visits ``onion``, one visit at a time, each due ``PACE`` seconds after the one before.

    ``least``: percent of the visits that must succeed.
    """

    def __init__(self, client: LabClient, onion: str, reactor: Any, least: float = LEAST_PERCENT) -> None:
        self.began = reactor.seconds()
        self.all = VisitLog(self.began)
        self.of = {segment: VisitLog(self.began) for segment in Segment}
        self._onion = onion
        self._least = least
        self._client = client
        self._visitor = Visitor(client, reactor)
        self._reactor = reactor

    async def run(self, seconds: float) -> None:
        """Visit for so long, and print figures."""
        day, report = await self._client.day(), self.began + REPORT
        while (started := self._reactor.seconds()) < self.began + seconds:
            fresh = self._client.may_forget
            if fresh:
                day = await self._client.day()
            await self._visit(day, fresh)
            if self._reactor.seconds() >= report:
                report += REPORT
                print(self.figures(day), flush=True)
            await pause(self._reactor, max(0.0, started + PACE - self._reactor.seconds()))

    async def _visit(self, day: Day, fresh: bool) -> None:
        visit = await self._visitor.fetch(self._onion, fresh_descriptor=fresh)
        now = self._reactor.seconds()
        self.all.record(now, visit)
        self.of[day.segment].record(now, visit)
        if not visit.ok:
            print(f"{now - self.began:6.1f} s  FAILED in {day}, {fresh=}: {describe(visit)}", flush=True)

    def figures(self, day: Day) -> str:
        """Return one line of figures."""
        now = self._reactor.seconds()
        return f"{now - self.began:6.1f} s  {_figures(self.all)}, longest gap {self.all.longest_gap(now):.1f} s; {day}"

    def verdict(self) -> tuple[bool, str]:
        """Return whether it went well enough, and the summary."""
        gap = self.all.longest_gap(self._reactor.seconds())
        well = self.all.percent_ok >= self._least and gap <= LONGEST_GAP
        lines = [f"all        {_figures(self.all)}, longest gap {gap:.1f} s"]
        lines += [f"{segment:<10} {_figures(log)}" for segment, log in self.of.items()]
        lines += [f"wanted: at least {self._least} %, no gap over {LONGEST_GAP:g} s: {'met' if well else 'MISSED'}"]
        return well, "\n".join(lines)


def _figures(log: VisitLog) -> str:
    p50, p95, slowest = (log.percentile(share) for share in (0.5, 0.95, 1.0))
    return f"{log.visits} visits, {log.percent_ok:.2f} % ok, seconds p50 {p50:.2f} p95 {p95:.2f} max {slowest:.2f}"


async def soak(lab: Lab, minutes: float, reactor: Any) -> bool:
    """Start ``lab``, visit it, print the summary and return whether it went well."""
    began = reactor.seconds()
    await lab.start(lambda what: print(f"{reactor.seconds() - began:6.1f} s  {what}", flush=True))
    if lab.client is None:
        raise RuntimeError("a started lab has a client")
    onion = lab.onion_address if lab.nodes else await lab.start_plain()
    visits = Soak(lab.client, onion, reactor, LEAST_OF_MANY if len(lab.nodes) > 1 else LEAST_PERCENT)
    await visits.run(minutes * 60)
    well, summary = visits.verdict()
    print(summary, flush=True)
    return well


async def run(reactor: Any, arguments: Sequence[str]) -> None:
    """Read the command line, soak, and end with the exit status."""
    parser = argparse.ArgumentParser(prog="python -m rustbalance.lab.soak", description="Visits for a long time.")
    parser.add_argument("--minutes", type=float, default=16.0)
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--carrier", choices=("direct", "tor"), default="direct")
    parser.add_argument("--plain", action="store_true", help="a plain onion service instead of nodes")
    parser.add_argument("--directory", type=Path, default=default_directory())
    options = parser.parse_args(arguments)
    lab = Lab(options.directory, reactor, 0 if options.plain else options.nodes, options.carrier)
    well = await until_stopped(reactor, soak(lab, options.minutes, reactor), lab.stop)
    raise SystemExit(0 if well else 1)


if __name__ == "__main__":
    react(run, [sys.argv[1:]])
