"""Everything at once, as far as it can be told without booting it; tests/live/test_lab.py does."""

import os
from pathlib import Path

from twisted.internet import reactor  # noqa: TID251  (handed on, never run)
from twisted.internet.defer import TimeoutError as DeadlinePassed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.lab import state
from rustbalance.lab.child import ChildEnded
from rustbalance.lab.whole import Lab
from rustbalance.life import deferred
from rustbalance.ops.status import NodeStatus
from tests.lab.statuses import member_status


class LabTests(SynchronousTestCase):
    """Beginnings and ends."""

    def test_directory_in_use(self) -> None:
        """A second lab in the same directory is refused, and the first one's state stays."""
        directory = Path(self.mktemp()).absolute()
        directory.mkdir(mode=0o700)
        (directory / state.LAB_FILE).write_text("{}")
        self.addCleanup(os.close, state.hold(directory))
        self.failureResultOf(deferred(Lab(directory, reactor).start()), state.LabRuns)
        self.assertTrue((directory / state.LAB_FILE).exists())

    def test_stop_before_start(self) -> None:
        """Stopping what never ran does nothing, however often."""
        lab = Lab(Path(self.mktemp()), reactor)
        self.successResultOf(deferred(lab.stop()))
        self.successResultOf(deferred(lab.stop()))

    def test_no_visitor_before_start(self) -> None:
        """Nobody can visit yet."""
        with self.assertRaises(RuntimeError):
            Lab(Path(self.mktemp()), reactor).visitor


class UnionTests(SynchronousTestCase):
    """When the nodes of a lab are one service, with nodes that only say so."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.lab = Lab(Path(self.mktemp()), self.clock, 2)
        self.nodes = [Speaker("a"), Speaker("b")]
        self.lab.nodes = self.nodes  # type: ignore[assignment]

    def test_united(self) -> None:
        """They are when one publishes for both, and not before."""
        self.nodes[0].says = member_status("a", "a", ("a",), 3)
        waiting = deferred(self.lab.united())
        self.clock.pump([0.25] * 8)
        self.assertNoResult(waiting)
        self.nodes[0].says = member_status("a", "a", ("a", "b"), 6)
        self.nodes[1].says = member_status("b", "a")
        self.clock.pump([0.25] * 2)
        self.successResultOf(waiting)
        self.assertIs(self.successResultOf(deferred(self.lab.publisher())), self.nodes[0])
        self.assertEqual(self.lab.onion_address, "served.onion")

    def test_not_in_time(self) -> None:
        """The wait ends."""
        waiting = deferred(self.lab.united(5.0))
        self.clock.pump([0.25] * 24)
        self.failureResultOf(waiting, DeadlinePassed)
        self.assertIsNone(self.successResultOf(deferred(self.lab.publisher())))

    def test_one_ends(self) -> None:
        """A node that has ended is not waited for."""
        self.nodes[1].child = Ended()
        self.failureResultOf(deferred(self.lab.united()), ChildEnded)


class Speaker:
    """A node that says what it is told to."""

    onion_address = "served.onion"

    def __init__(self, name: str) -> None:
        self.name = name
        self.says: NodeStatus | None = None
        self.child: Ended | None = None

    async def status(self) -> NodeStatus | None:
        return self.says


class Ended:
    """A process that has ended."""

    def raise_if_ended(self) -> None:
        """Say so."""
        raise ChildEnded("node2 ended with 1")
