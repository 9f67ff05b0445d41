"""
A network that falls into two parts and grows together again.

Three whole nodes stand on machines of their own, with the carrier C{direct} between them. A cable is pulled; the ways
to the Tor network stay, so that both parts can be visited, and publish.
"""

from itertools import pairwise

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from rustbalance.life import deferred, pause
from rustbalance.ops.status import NodeStatus
from tests.live.cluster import NODES, figure, published_points, publisher
from tests.live.crowd import Crowd
from tests.live.directories import Directories, Held
from tests.live.machines import MachinesTestCase, words
from tests.live.namespaces import Machine

#: Seconds without the cable, and from the healing to one publisher, and to nine points at every directory.
CUT, ONE_PUBLISHER, UNITED = 60.0, 5.0, 15.0
EVERYBODY = 9


def claiming(found: dict[str, NodeStatus]) -> set[str]:
    """Return the nodes that publish by their own word."""
    return {name for name, status in found.items() if status.cluster is not None and status.cluster.publisher == name}


class Watch:
    """Asks all directories over and over; C{history} of each is in the order of time."""

    def __init__(self, directories: Directories) -> None:
        self.history: dict[tuple[str, int], list[tuple[float, Held]]] = {}
        self.rounds = 0
        self._directories = directories
        self._going = True
        self._running: Deferred[None] = deferred(self._watch())

    async def stop(self) -> None:
        """Let the round under way be the last."""
        self._going = False
        await self._running

    def abandon(self) -> None:
        """Break off; for a test that has failed."""
        self._running.addErrback(lambda _: None)
        self._running.cancel()

    async def _watch(self) -> None:
        while self._going:
            asked = reactor.seconds()
            for directory, held in (await self._directories.ask()).items():
                if held is not None:
                    self.history.setdefault((directory, held.period), []).append((asked, held))
            self.rounds += 1
            await pause(reactor, 0.3)

    def steps_back(self) -> list[str]:
        """Return where a directory has had a lower counter than before."""
        found = []
        for place, history in self.history.items():
            for (_, before), (_, after) in pairwise(history):
                if after.revision < before.revision:
                    found.append(f"{place}: {before} {after}")
        return found

    def figures(self, since: float) -> str:
        """Return how the directory that has seen most went, for people."""
        history = max(self.history.values(), key=lambda one: len({held.revision for _, held in one}))
        kept = [history[0], *(new for old, new in pairwise(history) if new[1] != old[1])]
        return ", ".join(f"{held.points} points at {at - since:+.1f} s" for at, held in kept)

    def last_before(self, revisions: dict[int, int]) -> float:
        """Return when a directory was last seen with a lower counter than these, each by the period it is for."""
        entries = [entry for history in self.history.values() for entry in history]
        times = [at for at, held in entries if held.revision < revisions.get(held.period, 0)]
        return max(times, default=float("-inf"))


class PartitionTests(MachinesTestCase):
    """One of three nodes does not hear the other two."""

    async def prepare(self) -> None:
        """Make three nodes on machines, with visitors, and somebody who asks the directories."""
        await self.begin()
        self.machine_of = dict(zip(NODES, await self.machines(3), strict=True))
        self.configure(
            {name: f"{machine.ip}:7000" for name, machine in self.machine_of.items()},
            {name: words(machine) for name, machine in self.machine_of.items()},
        )
        self.directories = Directories(self.network, self.address)
        self.addCleanup(lambda: deferred(self.directories.stop()))
        await self.directories.start()

    def watch(self) -> Watch:
        """Begin to ask the directories."""
        watch = Watch(self.directories)
        self.addCleanup(watch.abandon)
        return watch

    async def healed(self, machine: Machine, watch: Watch) -> None:
        """Put the cable back, see the cluster grow together, and say how fast."""
        await self.switch.mend(machine)
        healed = reactor.seconds()
        await self.until("one publisher", lambda found: len(found) == 3 and publisher(found) is not None, 60)
        one = reactor.seconds() - healed
        await self.until("the nine", lambda found: published_points(found) == EVERYBODY, 60)
        united = await self.revisions()
        await self.until("nine everywhere", lambda found: published_points(found, everywhere=True) == EVERYBODY, 60)
        whole = reactor.seconds() - healed
        await pause(reactor, max(0.0, UNITED - whole) + 1)
        await watch.stop()
        left = watch.last_before(united) - healed
        figure(f"the cable is put back: one publisher after {one:.1f} s (target {ONE_PUBLISHER:g})")
        figure(f"all nine points confirmed by all directories after {whole:.1f} s")
        figure(f"the last directory with fewer was asked {left:.1f} s after the healing (target {UNITED:g})")
        figure(f"directories asked {watch.rounds} times; the busiest (0 is the healing): {watch.figures(healed)}")
        self.assertEqual(watch.steps_back(), [])
        self.assertLessEqual(one, ONE_PUBLISHER)
        self.assertLessEqual(left, UNITED)

    async def revisions(self) -> dict[int, int]:
        """Return the counters of the descriptors that are out, by the period that each is for."""
        statuses = [await member.status() for member in self.members.values()]
        out = [one for status in statuses if status is not None for one in status.descriptors]
        return {one.period: one.revision for one in out if one.revision is not None}

    async def test_two_publishers(self) -> None:
        """
        Nodes that start without hearing each other both publish, each what it knows: no directory ever goes back to a
        lower counter, and when they hear each other one publishes, and every directory has the points of all.
        """
        await self.prepare()
        lone = self.machine_of["alpha"]
        await self.switch.cut(lone)
        watch = self.watch()
        self.start()
        took = await self.until("two publishers", self.both_publish, 60)
        figure(f"two publishers for an address, {took:.1f} s after the start")
        await pause(reactor, 5)
        await self.healed(lone, watch)

    def both_publish(self, found: dict[str, NodeStatus]) -> bool:
        """Do two nodes take themselves for the publisher, and have published?"""
        out = [name for name, status in found.items() if status.descriptors and status.published]
        return len(claiming(found) & set(out)) == 2

    async def test_partition(self) -> None:
        """
        The publisher is cut off for a minute: all visits succeed, no directory goes back, and soon after the healing
        one node publishes, and every directory has the points of all.
        """
        await self.prepare()
        self.start()
        await self.until("nine", lambda found: published_points(found, everywhere=True) == EVERYBODY, 120)
        lone = await self.lead()
        crowd, watch = Crowd(self.visitors, self.address.text, reactor, 2), self.watch()
        crowd.start()
        self.addCleanup(crowd.abandon)
        began = reactor.seconds()
        await self.switch.cut(self.machine_of[lone])
        others = set(NODES) - {lone}

        def succeeded(found: dict[str, NodeStatus]) -> bool:
            return publisher({name: status for name, status in found.items() if name in others}) in others

        took = await self.until("the other two have a publisher", succeeded, 30)
        figure(f"the publisher is cut off: another two have one of their own after {took:.1f} s")
        await pause(reactor, began + CUT - reactor.seconds())
        statuses = {name: await self.members[name].status() for name in NODES}
        parts = {name: status.cluster.publisher for name, status in statuses.items() if status and status.cluster}
        figure(f"after {CUT:g} s the publisher is, by {lone} and the others: {parts}")
        await self.healed(self.machine_of[lone], watch)
        await crowd.finish()
        figure(f"through all that: {crowd}")
        self.assertEqual(crowd.failed, [], f"0 is when the cable was pulled: {crowd.complaints(began)}")
