"""
Three nodes on machines of their own lose one of them, the way between them, or the way to Tor; visitors come meanwhile.

The machines are network namespaces on a bridge, the carrier is C{direct}. A machine's loopback leads to the relays of
the private Tor network and to nothing else: set down, the machine has lost Tor, and the other nodes hear it still.
"""

import re
import signal
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor as global_reactor  # noqa: TID251  (real processes)
from twisted.internet.defer import DeferredList

from rustbalance.life import deferred, pause
from rustbalance.ops.status import NodeStatus
from tests.drills.drill import Drill
from tests.live.cluster import NODES, Member, published_points, publisher
from tests.live.crowd import Crowd
from tests.live.machines import MachinesTestCase, words

reactor: Any = global_reactor
#: Visitors at a time, and the points of all nodes and of all but one.
VISITORS, ALL, LESS = 2, 9, 6
#: Seconds from the loss of the publisher until another one has published, and from the return until all is one again.
TAKEN_OVER, UNITED, STARTED = 15.0, 20.0, 60.0
#: Seconds after which a node that is not heard is looked for anew; until a lease is given away for want of Tor; and
#: until all is one again when it is there.
SILENT, GIVEN_AWAY, RETURNED = 45.0, 240.0, 180.0
#: The most visits that may fail: who was sent to a node that hangs, or that hears nothing any more, gets no error but
#: waits, and 30 seconds are soon over; a node that has lost Tor stays in the descriptor, as nobody can tell.
FEW, SOME = 0.02, 0.1
OTHERS = "another node publishes, without its points"
ONE = "one publisher, and the points of all"

Found = dict[str, NodeStatus]


class ClusterDrills(MachinesTestCase):
    """C{self.crowd} goes on all the time."""

    timeout = 1500

    async def prepare(self) -> None:
        """Make three nodes, and let visitors begin when the points of all are published."""
        await self.begin()
        self.machine_of = dict(zip(NODES, await self.machines(3), strict=True))
        self.configure(
            {name: f"{machine.ip}:7000" for name, machine in self.machine_of.items()},
            {name: words(machine) for name, machine in self.machine_of.items()},
        )
        self.start()
        await self.all_is_well()
        self.crowd = Crowd(self.visitors, self.address.text, reactor, VISITORS)
        self.crowd.start()
        self.addCleanup(self.crowd.abandon)

    async def all_is_well(self, seconds: float = 120.0) -> None:
        """Wait until the points of all are at all directories."""
        await self.until("nine", lambda found: published_points(found, everywhere=True) == ALL, seconds)

    async def wait(self, drill: Drill, began: float, condition: Callable[[Found], bool]) -> None:
        """Wait until it is mended, and note how long it took and how visitors fared."""
        await self.until(drill.repair, condition, drill.bound + 30)
        drill.mended(self, began, **self.fared(began))

    def fared(self, began: float) -> dict[str, int]:
        """Return how many visits have ended that began then or later, and how many of them in vain."""
        made = [one for one in self.crowd.visits if one.began >= began]
        return {"visits": len(made), "failed": sum(not one.visit.ok for one in made)}

    def taken_over(self, lost: str) -> Callable[[Found], bool]:
        """Return what is so when another node than C{lost} has published the points of the others."""

        def others(found: Found) -> bool:
            rest = {name: status for name, status in found.items() if name != lost}
            return publisher(rest) not in (None, lost) and published_points(rest, everywhere=True) == LESS

        return others

    def united(self, found: Found) -> bool:
        """Do all name one publisher, and have the points of all been confirmed?"""
        return len(found) == len(NODES) and published_points(found, everywhere=True) == ALL

    async def test_publisher(self) -> None:
        """Killed, hung, cut off: another one takes over, and when it is back there is one publisher again."""
        await self.prepare()
        await self.killed_and_started()
        await self.hung_and_woken()
        await self.cut_off_and_back()
        await self.ended(FEW)

    async def ended(self, share: float) -> None:
        """No more than that share of all visits has failed: who got an error could try again within 30 seconds."""
        await self.crowd.finish()
        complaints = self.crowd.complaints(self.crowd.visits[0].began)
        self.assertLessEqual(len(self.crowd.failed), share * len(self.crowd.visits), complaints)

    async def killed_and_started(self) -> None:
        """The end of the machine, and its start."""
        lost = self.members[await self.lead()]
        began = reactor.seconds()
        lost.kill()
        await self.wait(Drill(1, "the publisher is killed", OTHERS, TAKEN_OVER), began, self.taken_over(lost.name))
        began = reactor.seconds()
        lost.start()
        await self.wait(Drill(2, "the killed one is started", ONE, STARTED), began, self.united)
        await self.all_is_well()

    async def hung_and_woken(self) -> None:
        """The machine sleeps for a while."""
        lost = self.members[await self.lead()]
        began = reactor.seconds()
        lost.signal(signal.SIGSTOP)
        self.hung = {lost.name}
        self.addCleanup(self.wake, lost)
        await self.wait(Drill(3, "the publisher hangs", OTHERS, TAKEN_OVER), began, self.taken_over(lost.name))
        await pause(reactor, 5.0)
        began = reactor.seconds()
        self.wake(lost)
        await self.wait(Drill(4, "the hung one goes on", ONE, UNITED), began, self.united)
        await self.all_is_well()

    def wake(self, member: Member) -> None:
        """Let it go on."""
        if member.process.alive:
            member.signal(signal.SIGCONT)
        self.hung = set()

    async def cut_off_and_back(self) -> None:
        """The cable is pulled and put back; the others look for it anew meanwhile, and it for them."""
        name = await self.lead()
        machine, began = self.machine_of[name], reactor.seconds()
        await self.switch.cut(machine)
        await self.wait(Drill(5, "the publisher's cable is pulled", OTHERS, TAKEN_OVER), began, self.taken_over(name))
        rest = [member for member in self.members.values() if member.name != name]
        words = f"node {name} is not heard: the way to it is being looked for anew"
        drill = Drill(50, "a node is not heard", "the way to it is looked for anew", SILENT)
        await self.until("it is looked for", lambda _: all(words in one.log for one in rest), SILENT + 30)
        drill.mended(self, began)
        began = reactor.seconds()
        await self.switch.mend(machine)
        await self.wait(Drill(6, "the cable is put back", ONE, UNITED), began, self.united)
        await self.all_is_well()

    async def test_severed_and_moved(self) -> None:
        """A publisher that has lost Tor lets another one publish; and a node comes back at another place."""
        await self.prepare()
        await self.severed()
        await self.moved()
        await self.ended(SOME)

    async def severed(self) -> None:
        """
        The publisher has lost Tor without noticing, and another node has new points: it cannot publish them.

        It says so, tries once more, and gives the lease away.
        """
        name = await self.lead()
        machine, other = self.machine_of[name], next(one for one in NODES if one != name)
        began = reactor.seconds()
        await machine.run("ip", "link", "set", "lo", "down")
        self.members[other].kill_tors()

        def given_away(found: Found) -> bool:
            return publisher(found) not in (None, name) and published_points(found) >= LESS

        repair = "it finds that it cannot publish, and gives the lease away: another node has published"
        drill = Drill(7, "the publisher loses Tor, and there is something to publish", repair, GIVEN_AWAY)
        await self.wait(drill, began, given_away)
        await machine.run("ip", "link", "set", "lo", "up")
        await self.until(ONE, self.united, RETURNED)

    async def moved(self) -> None:
        """Another place is in the configuration of a node that does not publish; it is started again."""
        lead = await self.lead()
        name = next(name for name in NODES if name != lead)
        member = self.members[name]
        await DeferredList([deferred(member.process.stop(15.0))])
        text = member.config.read_text()
        member.config.write_text(re.sub(r'(?m)^listen = "(.*):7000"$', r'listen = "\1:7001"', text))
        self.assertIn(':7001"', member.config.read_text())
        began = reactor.seconds()
        member.start()

        def meshed(found: Found) -> bool:
            links = [status.cluster.links_up for status in found.values() if status.cluster is not None]
            return links == [2, 2, 2] and self.united(found)

        repair = "all hear it at its new place, and its points are published"
        await self.wait(Drill(51, "a node comes back at another address", repair, STARTED), began, meshed)
