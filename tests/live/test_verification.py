"""Directories of a real network, looked at through a Tor that serves nobody: what they hold, lose, and get again."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from zope.interface import implementer

from rustbalance.lab.child import PID_FILE
from rustbalance.lab.state import NetworkState
from rustbalance.life import deferred, pause
from rustbalance.life import now as clocks
from rustbalance.ops.directories import DirectoryReport, Finding
from rustbalance.publishing.commands import Post
from rustbalance.publishing.settings import VerifySettings
from rustbalance.publishing.verifier import Verifier
from rustbalance.tor.control import TorControl
from rustbalance.tor.managed import ManagedSettings, ManagedTor
from tests.drills.records import Row, note
from tests.live.cluster import NODES, ClusterTestCase, published_points
from tests.live.test_publishing import Node, OwnNetworkTestCase, PublishingTestCase, plant, until

reactor: Any = global_reactor
PROGRAM = Path(sys.executable).with_name("rustbalance")
INTERVAL = 10.0
BUSY = 2.0
"""Seconds by which a check may end later, on a busy machine, than the one before it let expect; found in 9.5 s here."""


@implementer(ILogObserver)
class WatchedNode(Node):
    """A node whose directories are looked at through a Tor of its own; ``posts`` are its uploads."""

    def __init__(self, network: NetworkState, settings: VerifySettings, **figures: float) -> None:
        super().__init__(network, **figures)
        place = ManagedSettings(self.directory / "outside", torrc_include=Path(network.include_path))
        self.outside = ManagedTor("outside", place, None, reactor)
        self.stale: list[bool] = []
        self.verifier = Verifier(
            self.publisher.outlook,
            self.master.address,
            lambda: self.outside,
            settings,
            reactor,
            stale=self.stale.append,
        )
        self.posts: list[Post] = []
        self.said: list[tuple[LogLevel, str]] = []

    def start(self) -> None:
        """Start all of it."""
        globalLogPublisher.addObserver(self)
        post = self.publisher._jobs.post

        def noted(control: TorControl, command: Post) -> Awaitable[None]:
            self.posts.append(command)
            return post(control, command)

        self.publisher._jobs.post = noted  # type: ignore[method-assign, assignment]
        super().start()
        self.outside.startService()
        self.verifier.startService()

    async def stop(self) -> None:
        """Stop all of it."""
        globalLogPublisher.removeObserver(self)
        self.verifier.stopService()
        await self.outside.stopService()
        await super().stop()

    def __call__(self, event: LogEvent) -> None:
        """Keep what is said about publishing."""
        if "publishing" in str(event.get("log_namespace")):
            self.said.append((event["log_level"], formatEvent(event)))

    def lines(self, part: str) -> list[str]:
        """Return what has been said with this in it."""
        return [line for _, line in self.said if part in line]

    async def ready(self) -> None:
        """Wait until everybody holds both descriptors and there is a Tor to look with."""
        await until("both descriptors are confirmed by all directories", self.complete, 90)
        await until("the Tor to look with serves", lambda: self.outside.status().phase == "serving", 60)

    async def checked(self) -> DirectoryReport:
        """Check on request."""
        number = self.verifier.check().number
        await until("the check is over", lambda: self.verifier.report().number > number, 100)
        return self.verifier.report()

    async def steps_ahead(self, interval: int) -> int:
        """Return by how many consensuses the Tor that looks is ahead of what we publish by."""
        assert self.outside.control is not None
        text = await self.outside.control.consensus()
        line = next(line for line in text.splitlines() if line.startswith(b"valid-after"))
        theirs = int(line.decode()[-8:-6]) * 3600 + int(line.decode()[-5:-3]) * 60 + int(line.decode()[-2:])
        return ((theirs - self.plan.valid_after % 86_400 + 43_200) % 86_400 - 43_200) // interval


class WatchedTestCase(PublishingTestCase):
    """A node that is watched, on the shared network."""

    def watched(self, settings: VerifySettings, **figures: float) -> WatchedNode:
        """Return a node that has been started and is stopped with the test."""
        node = WatchedNode(self.network, settings, **figures)
        self.addCleanup(lambda: deferred(node.stop()))
        node.start()
        return node


class DayTests(WatchedTestCase):
    """Over the halves of a test network's day."""

    timeout = 900.0

    def test_no_false_alarm(self) -> Deferred[None]:
        """
        Directories are asked again and again while one half of the day becomes the other and the consensus of the Tor
        that looks is now ahead of ours, now behind: each check is good, and nothing is posted because of one.
        """
        return deferred(self.check_day())

    async def check_day(self) -> None:
        """Look every three seconds until both descriptors have been the one that clients fetch, and two checks more."""
        node = self.watched(VerifySettings(mode="off"), refresh_interval_secs=5_400.0)
        await node.ready()
        asked: list[str] = []
        apart: set[int] = set()
        end = clocks().mono + 420
        while clocks().mono < end and set(asked[:-2]) != {"first", "second"}:
            apart.add(await node.steps_ahead(self.network.voting_interval))
            report = await node.checked()
            self.assert_good(report, node)
            asked.append(str(report.asked))
            await pause(reactor, 3)
        self.assertEqual(set(asked), {"first", "second"}, asked)
        self.assertEqual(node.lines("Stale descriptor"), [])
        self.assertNotIn(True, node.stale)
        print(f"{len(asked)} checks, first one of {asked[0]}; the looking Tor was ahead by {sorted(apart)} consensuses")

    def assert_good(self, report: DirectoryReport, node: WatchedNode) -> None:
        """Every directory that could have it by now has it; what has just been published may still be on its way."""
        bad = [row for row in report.rows if not row.finding.good and row.finding is not Finding.UNCONFIRMED]
        self.assertEqual(bad, [], node.said)
        self.assertIsNone(report.problem)


class PlantedTests(WatchedTestCase):
    """Directories that hold what we have not published."""

    def test_five_of_eight_refuse(self) -> Deferred[None]:
        """
        Somebody else's higher counter on five directories is seen and not fought; our next publish fails there, which
        is a failed publish, and a higher counter solves it.
        """
        return deferred(self.check_refused())

    async def check_refused(self) -> None:
        """Plant it at five directories of the descriptor that clients fetch, look, then publish."""
        node = self.watched(VerifySettings(delay=1.0, interval=INTERVAL))
        await node.ready()
        seat = next(seat for seat in node.plan if seat.seat is node.plan.visited)
        posts = len(node.posts)
        planted = await plant(node, seat, seat.directories[:5], 600.0)
        report = await node.checked()
        if report.asked == seat.seat:  # else the half of the day has just ended
            found = {row.directory for row in report.rows if row.finding is Finding.NEWER}
            self.assertEqual(found, set(seat.directories[:5]))
            self.assertTrue(node.lines("5 directories hold a newer"))
            self.assertIn("somebody else publishes this address", " ".join(node.verifier.problems()))
        self.assertEqual(len(node.posts), posts)
        before = len(node.said)
        node.publisher.publish_now()
        began = clocks().mono
        blinded = seat.blinded_public
        await until("our counter is above theirs", lambda: self.revision(node, blinded) > planted, 60)
        await until("everybody has it", node.complete, 60)
        note(
            Row(
                drill=31,
                injected="five of eight directories refuse: they hold somebody else's higher counter",
                repair="a failed publish, and a higher counter that all take",
                seconds=clocks().mono - began,
                bound=60.0,
            )
        )
        outcomes = [
            (level, line) for level, line in node.said[before:] if f"the {seat.seat.value} descriptor (" in line
        ]
        self.assertEqual(outcomes[0][0], LogLevel.warn, outcomes)
        self.assertTrue(outcomes[0][1].startswith("Could not publish"), outcomes)
        self.assertIn("UPLOAD_REJECTED", outcomes[0][1])
        self.assertTrue(outcomes[-1][1].startswith("Published"), outcomes)
        self.assertIn("confirmed by 8 of 8", outcomes[-1][1])

    def revision(self, node: WatchedNode, blinded: bytes) -> int:
        """Return our counter for that key."""
        progress = node.publisher._uploads.progress(blinded)
        return 0 if progress is None else progress.revision


class EmptiedDirectoryTests(OwnNetworkTestCase):
    """A directory that forgets everything."""

    def test_exactly_that_one(self) -> Deferred[None]:
        """It is found within one interval and gets both descriptors again, and nobody else gets anything."""
        return deferred(self.check_emptied())

    async def check_emptied(self) -> None:
        """Kill a directory and start it with the same keys: what it held was in memory; time counts from then."""
        node = WatchedNode(self.network, VerifySettings(delay=2.0, interval=INTERVAL))
        self.addCleanup(lambda: deferred(node.stop()))
        node.start()
        await node.ready()
        await until("a check that finds all well", lambda: node.verifier.report().good, 60)
        relay = await self.expendable(node)
        await self.restart(relay)
        began, posts = clocks().mono, len(node.posts)
        await until("it is found", lambda: bool(node.lines(f"Stale descriptor at directory {relay}")), 60)
        found = clocks().mono - began
        await until("it has confirmed both again", node.complete, 30)
        mended = clocks().mono - began
        again = {(post.seat, directory) for post in node.posts[posts:] for directory in post.directories}
        self.assertEqual({directory for _, directory in again}, {relay}, node.said)
        self.assertEqual(len(again), 2)
        await until("a check that finds all well", lambda: node.verifier.report().good, 60)
        self.assertNotIn(True, node.stale)
        note(
            Row(
                drill=30,
                injected=f"a directory forgets everything (checks every {INTERVAL:g} s; by default every 300 s)",
                repair="exactly that one is sent both descriptors again",
                seconds=mended,
                bound=INTERVAL + BUSY,
            )
        )
        print(f"found after {found:.1f} s, both are there again after {mended:.1f} s; checks every {INTERVAL:g} s")
        self.assertLessEqual(mended, INTERVAL + BUSY)

    async def restart(self, relay: str) -> None:
        """
        Kill a relay, start it again when whoever ran it has seen it end (its port is free then), and wait until it
        takes connections.
        """
        directory = Path(self.network.directory) / self.name(relay)
        os.kill(self.process(relay), signal.SIGKILL)
        await until("the relay has ended", lambda: not (directory / PID_FILE).exists())
        argv = ["tor", "-f", str(directory / "torrc"), "--hush"]
        child = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(lambda: deferToThread(ended_by_us, child))
        found = re.search(r"(?m)^ORPort .*?([0-9]+)$", (directory / "torrc").read_text())
        assert found is not None
        port = int(found[1])
        await until("it takes connections", lambda: takes_connections(port))


class CommandTests(ClusterTestCase):
    """C{rustbalance verify} on the node that publishes and on one that does not."""

    def test_on_each_node(self) -> Deferred[None]:
        """There is a row for each directory and descriptor, nothing is wrong, and the exit status says so."""
        return deferred(self.check_command())

    async def check_command(self) -> None:
        """Start two nodes and ask both."""
        await self.prepare()
        for name in NODES[:2]:
            self.members[name].start()
        await self.until(
            "their points are everywhere", lambda found: published_points(found, everywhere=True) == 6, 120
        )
        _, _, table = await self.verify(NODES[0])
        self.assertEqual(sum("the latest" in line for line in table.splitlines()), 16, table)
        reports = {name: await self.verify(name, "--json") for name in NODES[:2]}
        for name, (code, report, out) in reports.items():
            self.assertEqual((code, len(report.rows)), (0, 16), f"{name}: {out}")
            of_asked = [row.finding for row in report.rows if row.seat == report.asked]
            self.assertEqual(of_asked, [Finding.VERIFIED] * 8, out)
        others = {
            report.publishes: {row.finding for row in report.rows if row.seat != report.asked}
            for _, report, _ in reports.values()
        }
        self.assertEqual(others, {True: {Finding.CONFIRMED}, False: {Finding.UNASKED}})

    async def verify(self, name: str, *words: str) -> tuple[int, DirectoryReport, str]:
        """Call the command as an operator does; return exit status, report (with --json) and what it printed."""
        argv = [str(PROGRAM), "verify", "--config", str(self.members[name].config), *words]
        done = await deferToThread(subprocess.run, argv, check=False, capture_output=True, text=True, timeout=150)
        empty = DirectoryReport(number=0, running=False, publishes=False)
        report = msgspec.json.decode(done.stdout, type=DirectoryReport) if words and done.stdout else empty
        return done.returncode, report, done.stdout + done.stderr


def takes_connections(port: int) -> bool:
    """Tell whether somebody listens at a port of loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ended_by_us(child: "subprocess.Popen[str]") -> None:
    """End a process and read what it has left."""
    child.kill()
    child.communicate()
