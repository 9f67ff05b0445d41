"""Three nodes serve one address: they find each other, share their points, and survive the end of the publisher."""

import signal
import sys

from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList

from rustbalance.lab.visits import VisitLog
from rustbalance.life import deferred, pause
from tests.live.cluster import NODES, ClusterTestCase, published_points, publisher

STARTED_WITHIN = 120.0
#: Seconds from kill -9 of the publisher until another holds the lease, and until its points are withdrawn.
TAKEN_OVER, WITHDRAWN = 12.0, 15.0
#: Seconds from the stop of the publisher until another holds the lease.
HANDED_OVER = 3.0


def figure(text: str) -> None:
    """Print a measured figure."""
    print(f"\n    {text}", file=sys.stderr, flush=True)


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

    async def visit(self, log: VisitLog, until: Deferred[None]) -> None:
        """Make one visit after the other, each on circuits of its own."""
        while not until.called:
            log.record(reactor.seconds(), await self.visitors.fetch(self.address.text))
            await pause(reactor, 0.1)

    async def test_killed_publisher(self) -> None:
        """
        When the publisher and its Tors are killed (SIGKILL) another takes over within 12 s, the dead node's points are
        gone from the directories within 15 s, and visits go on.
        """
        keys = await self.serving()
        first = await self.lead()
        log = VisitLog(reactor.seconds())
        over: Deferred[None] = Deferred()
        visits = deferred(self.visit(log, over))
        await pause(reactor, 5)
        began = reactor.seconds()
        self.members[first].kill()
        await self.until(
            "another publisher", lambda found: publisher(found) not in (None, first) and first not in found, 30
        )
        taken = reactor.seconds() - began
        await self.until("six points published", lambda found: published_points(found) == 6, 30)
        withdrawn = reactor.seconds() - began
        await self.until("they are everywhere", lambda found: published_points(found, everywhere=True) == 6, 30)
        left = await self.found_by_clients()
        await pause(reactor, 5)
        over.callback(None)
        await visits
        figure(f"kill -9 of the publisher: another holds the lease after {taken:.1f} s (target {TAKEN_OVER:g})")
        figure(f"a descriptor without its points is confirmed after {withdrawn:.1f} s (target {WITHDRAWN:g})")
        figure(f"{log.visits} visits through it, {log.percent_ok:.0f} % succeeded {log.errors or ''}")
        self.assertLessEqual(taken, TAKEN_OVER)
        self.assertLessEqual(withdrawn, WITHDRAWN)
        self.assertEqual(len(left), 6)
        self.assertLess(left, keys)
        self.assertLessEqual(log.visits - log.succeeded, 1, log.errors)  # a client Tor itself hangs now and then
        self.members[first].start()
        back = await self.until("nine points again", lambda found: published_points(found) == 9, STARTED_WITHIN)
        figure(f"started again, the node's points are published after {back:.1f} s")

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
