"""Three nodes serve one address: they find each other, share their points, and survive the end of the publisher."""

import signal

from twisted.internet import reactor
from twisted.internet.defer import DeferredList

from rustbalance.life import pause
from tests.live.cluster import (
    CROWD,
    NODES,
    STARTED_WITHIN,
    WITHDRAWN,
    ClusterTestCase,
    figure,
    published_points,
    publisher,
)
from tests.live.crowd import Crowd

#: Visits through the kill of a publisher; visits that are to be spread, and the most for one of three.
THROUGH, SPREAD, SHARE = 200, 300, 0.45
#: Seconds from the stop of the publisher until another holds the lease.
HANDED_OVER = 3.0


class FailoverTests(ClusterTestCase):
    """The carrier is C{direct}; the Tors, the directories and the visitors are real."""

    async def serving(self) -> set[str]:
        """Start three nodes and wait for nine points in the descriptor; return their keys."""
        await self.prepare()
        self.start()
        took = await self.until("nine points published", lambda found: published_points(found) == 9, STARTED_WITHIN)
        await self.until("they are everywhere", lambda found: published_points(found, everywhere=True) == 9, 30)
        figure(f"from the start of three nodes to nine points at the directories: {took:.1f} s")
        keys = await self.found_by_clients()
        self.assertEqual(len(keys), 9)
        return keys

    def crowd(self) -> Crowd:
        """Let visitors begin, each visit on circuits of its own."""
        crowd = Crowd(self.visitors, self.address.text, reactor, CROWD)
        self.addCleanup(crowd.abandon)
        crowd.start()
        return crowd

    async def test_killed_publisher(self) -> None:
        """
        When the publisher and its Tors are killed (SIGKILL) another takes over within 12 s, the dead node's points are
        gone from the directories within 15 s, and visits go on.
        """
        keys = await self.serving()
        crowd = self.crowd()
        await pause(reactor, 5)
        began = reactor.seconds()
        first = await self.killed(points=6)
        await self.until("they are everywhere", lambda found: published_points(found, everywhere=True) == 6, 30)
        left = await self.found_by_clients()
        await crowd.finish(at_least=THROUGH)
        figure(f"through it: {crowd} {crowd.complaints(began)}")
        self.assertEqual(len(left), 6)
        self.assertLess(left, keys)
        self.assertEqual([made for made in crowd.failed if made.began > began], [], crowd.complaints(began))
        self.assertLessEqual(len(crowd.failed), CROWD, "a page that was on its way from the killed node")
        self.members[first].start()
        back = await self.until("nine points again", lambda found: published_points(found) == 9, STARTED_WITHIN)
        figure(f"started again, the node's points are published after {back:.1f} s")

    async def test_spread(self) -> None:
        """Visitors are spread over the nodes: none gets more than 45 % of 300."""
        await self.serving()
        before = await self.served()
        crowd = self.crowd()
        await crowd.finish(at_least=SPREAD)
        after = await self.served()
        shares = {name: after[name] - before[name] for name in NODES}
        total = sum(shares.values())
        largest = max(shares.values()) / total
        figure(f"{crowd}; spread {shares}: the largest share is {100 * largest:.0f} % (target {100 * SHARE:.0f})")
        self.assertEqual(crowd.failed, [], crowd.complaints(0))
        self.assertGreaterEqual(total, SPREAD)
        self.assertLessEqual(largest, SHARE)

    async def served(self) -> dict[str, int]:
        """Return how many requests each node has had."""
        statuses = {name: await member.status() for name, member in self.members.items()}
        return {name: status.proxy.requests_total for name, status in statuses.items() if status is not None}

    async def test_hung_publisher(self) -> None:
        """
        A publisher that hangs with its Tors (SIGSTOP) loses its points within 15 s; when it goes on, it leaves the
        publishing to the other, and all points are out again.
        """
        await self.serving()
        first = await self.lead()
        self.hung.add(first)
        began = reactor.seconds()
        self.members[first].signal(signal.SIGSTOP)
        self.addCleanup(lambda: self.members[first].signal(signal.SIGCONT))
        await self.until("six points published", lambda found: published_points(found) == 6, 30)
        withdrawn = reactor.seconds() - began
        figure(
            f"SIGSTOP of the publisher and its Tors: its points are withdrawn after {withdrawn:.1f} s ({WITHDRAWN:g})"
        )
        self.assertLessEqual(withdrawn, WITHDRAWN)
        self.members[first].signal(signal.SIGCONT)
        self.hung.clear()
        back = await self.until("nine points again", lambda found: published_points(found) == 9, 60)
        figure(f"and published again {back:.1f} s after SIGCONT")
        self.assertNotEqual(await self.lead(), first)

    async def test_stopped_publisher(self) -> None:
        """SIGTERM to the publisher: it releases the lease, and another holds it within 3 s; it ends with status 0."""
        await self.serving()
        first = await self.lead()
        began = reactor.seconds()
        self.members[first].process.send(signal.SIGTERM)
        ended = self.members[first].process.gone()
        await self.until("another publisher", lambda found: publisher(found) not in (None, first), 30)
        handed = reactor.seconds() - began
        await self.until("six points published", lambda found: published_points(found) == 6, 30)
        withdrawn = reactor.seconds() - began
        await DeferredList([ended])
        figure(f"graceful stop of the publisher: another holds the lease after {handed:.1f} s (target {HANDED_OVER:g})")
        figure(f"a descriptor without its points is confirmed after {withdrawn:.1f} s")
        self.assertLessEqual(handed, HANDED_OVER)
        self.assertEqual(self.members[first].process.returncode, 0)
        self.assertIn("Released lease", self.members[first].log)
        for name in NODES:
            self.assertNotIn("Traceback", self.members[name].log)
