"""Three nodes serve one address: they find each other, share their points, and survive the end of the publisher."""

import signal
from collections import Counter

from twisted.internet import reactor
from twisted.internet.defer import DeferredList

from rustbalance.life import deferred, pause
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

#: Visits through the kill of a publisher; visits of each of four lots, and the most for one of three.
THROUGH, LOT, SHARE = 200, 75, 0.45
#: Standard deviations by which a share may be off by chance, and the most that is near enough to a third.
DEVIATIONS, EVEN = 4.0, 0.38
#: Seconds from the stop of the publisher until another holds the lease.
HANDED_OVER = 3.0


class FailoverTests(ClusterTestCase):
    """The carrier is C{direct}; the Tors, the directories and the visitors are real."""

    async def serving(self) -> dict[str, set[str]]:
        """Start three nodes and wait until their nine points are published; return the keys of each."""
        await self.prepare()
        self.start()
        took = await self.until("nine points published", lambda found: published_points(found) == 9, STARTED_WITHIN)
        await self.until("they are everywhere", lambda found: published_points(found, everywhere=True) == 9, 30)
        figure(f"from the start of three nodes to nine points at the directories: {took:.1f} s")
        offered = {name: set(await self.own_points(member)) for name, member in self.members.items()}
        self.assertEqual([len(keys) for keys in offered.values()], [3, 3, 3])
        await self.found(offered)
        return offered

    async def found(self, offered: dict[str, set[str]]) -> None:
        """See that the directories have points of each of these nodes and of nobody else, none at the same relay."""
        found = await self.found_by_clients()
        self.assertEqual(len(set(found.values())), len(found))
        self.assertLessEqual(set(found), set().union(*offered.values()))
        for name, keys in offered.items():
            self.assertTrue(keys & set(found), name)

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
        offered = await self.serving()
        crowd = self.crowd()
        await pause(reactor, 5)
        began = reactor.seconds()
        first = await self.killed(points=6)
        await self.until("they are everywhere", lambda found: published_points(found, everywhere=True) == 6, 30)
        del offered[first]
        await self.found(offered)
        await crowd.finish(at_least=THROUGH)
        figure(f"through it: {crowd} {crowd.complaints(began)}")
        self.assertEqual(crowd.failed, [], crowd.complaints(began))
        again = [made for made in crowd.visits if made.lost and made.began > began]
        self.assertEqual(again, [], "only what was on its way as the node died is cut off")
        self.members[first].start()
        back = await self.until("nine points again", lambda found: published_points(found) == 9, STARTED_WITHIN)
        figure(f"started again, the node's points are published after {back:.1f} s")

    async def test_spread(self) -> None:
        """
        Visitors are spread over the nodes as their points say, and of 300 none gets more than 45 %.

        They come in lots, between which a node is started again: of points at one relay only one is published, and with
        twelve relays there are always some, so that a node may have a point more than another.
        """
        await self.serving()
        shares: Counter[str] = Counter()
        wanted: Counter[str] = Counter()
        for again in (*NODES, None):
            lot, points = await self.lot()
            figure(f"a lot of visits: {dict(lot)}; points that lead there: {dict(points)}")
            shares, wanted = shares + lot, wanted + points
            if again is not None:
                await self.started_again(again)
        total = shares.total()
        figure(
            f"{total} visits: {dict(shares)}, at most {100 * max(shares.values()) / total:.0f} % ({100 * SHARE:.0f})"
        )
        for name in NODES:
            expected, found = wanted[name] / wanted.total(), shares[name] / total
            chance = DEVIATIONS * (expected * (1 - expected) / total) ** 0.5
            self.assertLessEqual(abs(found - expected), chance, (name, shares, wanted))
            self.assertLessEqual(found, SHARE if expected < EVEN else expected + chance, (name, shares, wanted))

    async def lot(self) -> tuple[Counter[str], Counter[str]]:
        """Visit with what the directories hold now; return who was visited, and what was to be expected."""
        points = await self.leading_to()  # its client has forgotten what it knew
        before = await self.served()
        crowd = self.crowd()
        await crowd.finish(at_least=LOT)
        self.assertEqual(crowd.failed, [], crowd.complaints(0))
        after = await self.served()
        return Counter({name: after[name] - before[name] for name in NODES}), points

    async def started_again(self, name: str) -> None:
        """Stop a node, start it again, and wait until its new points are everywhere."""
        await DeferredList([deferred(self.members[name].process.stop(15.0))])
        self.members[name].start()
        await self.until("all run", lambda found: len(found) == len(NODES))
        await self.until("nine points", lambda found: published_points(found, everywhere=True) == 9)

    async def leading_to(self) -> Counter[str]:
        """Return how many of the points in the descriptor lead visitors to each node."""
        owner = {key: name for name, member in self.members.items() for key in await self.own_points(member)}
        found = await self.found_by_clients()
        return Counter(owner[key] for key in found)

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
