"""What ``lab up`` shows and with what status it ends."""

import io
import os
import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeadlinePassed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.lab import demo
from rustbalance.lab.checks import Check
from rustbalance.lab.network import NetworkNotUsable
from rustbalance.lab.state import hold
from rustbalance.lab.visits import Visit
from rustbalance.life import deferred, pause
from rustbalance.ops.status import Health, NodeStatus
from tests.lab.statuses import node_status


class Reactor(Clock):
    """A clock that can be told to stop."""

    def addSystemEventTrigger(self, *_: Any) -> None:  # noqa: N802
        """Nothing stops it."""


class Node:
    """A node with a configuration."""

    config = Path("config.toml")


class Lab:
    """A lab without processes: every visit takes a tenth of a second and ends as ``visit`` says."""

    onion_address = "served.onion"
    visit = Visit(True, 0.1, 200)
    refusal: Exception | None = None
    client = None

    def __init__(self, directory: Path, reactor: Reactor, nodes: int, carrier: str) -> None:
        self.nodes = [Node() for _ in range(nodes)]
        self.visitor = self
        self.reactor = reactor
        self.stopped = False

    async def start(self, progress: Any) -> None:
        if self.refusal is not None:
            raise self.refusal
        progress("started")

    async def statuses(self) -> list[NodeStatus | None]:
        return [node_status(Health.HEALTHY), *[None] * (len(self.nodes) - 1)]

    async def stop(self) -> None:
        self.stopped = True

    async def fetch(self, onion: str) -> Visit:
        await pause(self.reactor, 0.1)
        return self.visit


class DemoTests(SynchronousTestCase):
    """With a lab that needs no network; tests/live/test_lab.py has a real one."""

    def setUp(self) -> None:
        self.reactor = Reactor()
        self.out, self.err = io.StringIO(), io.StringIO()
        self.patch(sys, "stdout", self.out)
        self.patch(sys, "stderr", self.err)
        self.patch(demo, "Lab", Lab)
        self.patch(demo, "checks", self.checks)
        self.patch(demo, "takeover", self.takeover)
        self.taken_over = True
        self.results = [True]

    async def checks(self, node: Node, visitor: object) -> Any:
        for result in self.results:
            yield Check("it works", result, "seen")

    async def takeover(self, lab: Lab, quiet: Any, reactor: Reactor) -> Any:
        await quiet()
        await pause(reactor, 20.0)
        yield Check("another publishes", self.taken_over, "seen")

    def run_demo(self, seconds: float | None, check: bool, nodes: int = 1) -> Deferred[int]:
        return deferred(demo.demo(self.reactor, seconds, check, nodes, Path("unused")))

    def ended(self, running: Deferred[int], seconds: int) -> int:
        self.reactor.pump([0.1] * seconds * 10)
        return self.successResultOf(running)

    def test_checks_and_visits(self) -> None:
        """All went well: 0, a line per check, and the visits in the remaining time."""
        self.assertEqual(self.ended(self.run_demo(10, True), 12), 0)
        self.assertIn("ok    it works: seen", self.out.getvalue())
        self.assertRegex(self.out.getvalue(), r"ok    (9|10) of \1 visits, median 0.10 s")

    def test_several_nodes(self) -> None:
        """Visits go on while the publisher is killed, and that too has to go well."""
        self.assertEqual(self.ended(self.run_demo(None, True, 3), 23), 0)
        self.assertIn("ok    another publishes: seen", self.out.getvalue())
        self.assertRegex(self.out.getvalue(), r"ok    (19|20|21) of \1 visits")
        self.taken_over = False
        self.assertEqual(self.ended(self.run_demo(None, True, 3), 23), 1)

    def test_not_one_service(self) -> None:
        """Nodes that do not find each other in time are an error with a sentence."""
        self.patch(Lab, "refusal", DeadlinePassed())
        self.assertEqual(self.ended(self.run_demo(10, True, 2), 0), 1)
        self.assertIn("did not become one service in time", self.err.getvalue())

    def test_a_failed_check(self) -> None:
        """One check that failed is enough."""
        self.results = [True, False, True]
        self.assertEqual(self.ended(self.run_demo(None, True), 1), 1)

    def test_failed_visits(self) -> None:
        """The checks passed, but visitors did not get through afterwards."""
        self.patch(Lab, "visit", Visit(False, 0.1, 503))
        self.assertEqual(self.ended(self.run_demo(5, True), 7), 1)
        self.assertIn("FAIL  0 of", self.out.getvalue())

    def test_shown_for_a_while(self) -> None:
        """Without checks the status is shown until the time is over."""
        running = self.run_demo(10, False, 2)
        self.reactor.pump([0.1] * 90)
        self.assertNoResult(running)
        self.assertEqual(self.ended(running, 2), 0)
        self.assertIn("served.onion", self.out.getvalue())
        self.assertIn("the node does not answer", self.out.getvalue())

    def test_network_does_not_come_up(self) -> None:
        """The reason is one line on standard error."""
        self.patch(Lab, "refusal", NetworkNotUsable("no luck"))
        self.assertEqual(self.ended(self.run_demo(10, True), 0), 1)
        self.assertEqual(self.err.getvalue(), "rustbalance: no luck\n")


class RefusedTests(SynchronousTestCase):
    """A lab that is there already."""

    def test_directory_in_use(self) -> None:
        """The second lab says so and ends."""
        directory = Path(self.mktemp()).absolute()
        directory.mkdir(mode=0o700)
        self.addCleanup(os.close, hold(directory))
        self.patch(sys, "stderr", io.StringIO())
        running = deferred(demo.demo(Reactor(), 1, True, 1, directory))
        self.assertEqual(self.successResultOf(running), 1)
        self.assertIn("runs in", sys.stderr.getvalue())  # type: ignore[union-attr]
