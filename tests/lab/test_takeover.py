"""The checks around a killed publisher, with nodes that only say what they are."""

from typing import TypeAlias

from twisted.internet.defer import succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.lab.checks import Check
from rustbalance.lab.takeover import all_well, published_for, succeeded, takeover
from rustbalance.lab.whole import Lab
from rustbalance.life import deferred
from rustbalance.ops.status import Health, NodeStatus
from tests.lab.statuses import member_status

Statuses: TypeAlias = list[NodeStatus | None]
BEFORE: Statuses = [member_status("a", "a", ("a", "b"), 6), member_status("b", "a")]
KILLED: Statuses = [None, member_status("b", "a")]
FOLLOWED: Statuses = [None, member_status("b", "b", ("a", "b"), 6)]
WITHDRAWN: Statuses = [None, member_status("b", "b", ("b",), 3)]
AFTER: Statuses = [member_status("a", "b"), member_status("b", "b", ("a", "b"), 6)]


class Node:
    """A node that counts what is done to it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.kills = self.starts = 0

    def kill(self) -> None:
        """Count it."""
        self.kills += 1

    def start(self) -> None:
        """Count it."""
        self.starts += 1


class Story(Lab):
    """A lab in which things happen at given seconds, whoever looks."""

    def __init__(self, clock: Clock, story: dict[float, Statuses]) -> None:
        self.told = [Node("a"), Node("b")]
        self.nodes = self.told  # type: ignore[assignment]
        self.clock, self.story = clock, story

    async def statuses(self) -> Statuses:
        """Return what they say now."""
        return self.story[max(second for second in self.story if second <= self.clock.seconds())]


class TakeoverTests(SynchronousTestCase):
    """Node a publishes, and is killed."""

    def checks(self, story: dict[float, Statuses]) -> list[Check]:
        clock = Clock()
        self.lab = Story(clock, story)

        async def collect() -> list[Check]:
            return [check async for check in takeover(self.lab, lambda: succeed(None), clock)]

        running = deferred(collect())
        clock.pump([0.25] * 800)
        return self.successResultOf(running)

    def test_all_well(self) -> None:
        """Each step is seen, and timed from the kill or from the new start."""
        found = self.checks({0: BEFORE, 0.1: KILLED, 9: FOLLOWED, 10: WITHDRAWN, 15: AFTER})
        self.assertEqual([check.ok for check in found], [True] * 4)
        details = [check.detail for check in found]
        self.assertEqual(details[:2], ["a", "b, after 9.0 s"])
        self.assertEqual(details[2:], [f"descriptors by b confirmed, after {secs} s" for secs in ("10.0", "5.0")])
        self.assertEqual([(node.kills, node.starts) for node in self.lab.told], [(1, 1), (0, 0)])

    def test_too_late(self) -> None:
        """A successor that comes after 12 s, points that stay for 15 s, a node that does not come back."""
        found = self.checks({0: BEFORE, 0.1: KILLED, 13: FOLLOWED, 20: WITHDRAWN})
        self.assertEqual([check.ok for check in found], [True, False, False, False])

    def test_nobody_publishes(self) -> None:
        """Then nobody is killed."""
        found = self.checks({0: KILLED})
        self.assertEqual([check.ok for check in found], [False])
        self.assertEqual([node.kills for node in self.lab.told], [0, 0])


class ReachedTests(SynchronousTestCase):
    """When each step is reached."""

    def test_succeeded(self) -> None:
        """By another one than the killed."""
        self.assertEqual([succeeded("a", now) for now in (BEFORE, KILLED, FOLLOWED)], [None, None, "b"])

    def test_published(self) -> None:
        """The points of exactly these."""
        self.assertIsNone(published_for({"b"}, FOLLOWED))
        self.assertEqual(published_for({"b"}, WITHDRAWN), "descriptors by b confirmed")

    def test_all_well(self) -> None:
        """Everybody answers and is healthy."""
        self.assertIsNotNone(all_well({"a", "b"}, AFTER))
        self.assertIsNone(all_well({"a", "b"}, FOLLOWED))
        weak: Statuses = [member_status("a", "b", health=Health.DEGRADED), AFTER[1]]
        self.assertIsNone(all_well({"a", "b"}, weak))
