"""
The primary Tor is lost, again and again, while visitors come twice a second.

Its target is another onion service, so that each visit needs both ways through Tor. Visits that were under way when it
happened may fail, no others.
"""

import signal

from twisted.internet import reactor  # noqa: TID251  (real processes)

from rustbalance.life import pause
from tests.drills.records import Row, note
from tests.live.pairs import KILL, STOP, PairTestCase

TIMES = 5
CYCLES, MINUTE = 5, 60.0
LOSSES = (
    (signal.SIGKILL, "the primary Tor is killed (SIGKILL)", KILL),
    (signal.SIGTERM, "the primary Tor is ended (SIGTERM)", KILL),
    (signal.SIGSTOP, "the primary Tor hangs (SIGSTOP)", STOP),
)


class PairDrills(PairTestCase):
    """C{tor.standby_mode = "service"}."""

    timeout = 1500

    async def test_losses(self) -> None:
        """Each kind of loss five times: streams get out again in time, and each time all comes back."""
        await self.prepare()
        self.node.start()
        await self.ready()
        await self.page()
        visits, streams = self.paces()
        lost: list[str] = []
        for number, injected, bound in LOSSES:
            for _ in range(TIMES):
                await self.fresh()
                hit = await self.hit(number)
                await self.again(streams, hit, bound)
                await self.left()
                await self.ready()
                self.report(number, hit, visits, streams)
                seconds = max(streams.first(hit) or 0.0, streams.stalled(hit, 3.0))
                failed = visits.failures(hit)
                note(
                    Row(
                        drill=10,
                        injected=injected,
                        repair="streams and visitors go through the standby",
                        seconds=seconds,
                        bound=bound,
                        visits=len(visits.since(hit)),
                        failed=len(failed),
                    )
                )
                self.assertLess(seconds, bound, streams.failures(hit))
                lost += failed
        self.assertEqual(lost, [])

    async def test_flapping(self) -> None:
        """
        Five kills and restarts within a minute are at most five switches each way; the node stays in service.

        The client begins each cycle knowing nothing, as a new visitor does. One that makes all of 120 visits a minute
        may ask a directory only once in two minutes, and keeps for as long which points have failed it: it has fetched
        4 to 6 times in a run, of 6 times at most, and once it has used them up all its visits fail, whatever is out
        there ("host unreachable", seen on a busy machine).
        """
        await self.prepare()
        self.node.start()
        await self.ready()
        await self.page()
        visits, _ = self.paces()
        began = reactor.seconds()
        for cycle in range(CYCLES):
            while (await self.instance("primary")).phase != "serving":
                await pause(reactor, 0.2)
            if self.visitors.client.may_forget:
                await self.visitors.client.forget()
            await self.hit(signal.SIGKILL)
            await pause(reactor, max(0.0, began + (cycle + 1) * MINUTE / CYCLES - reactor.seconds()))
        took = reactor.seconds() - began
        await self.ready()
        there, back = self.said("trying standby"), self.said("Primary Tor control port reconnected")
        failed = visits.failures(began)
        print(f"\n{CYCLES} kills in {took:.0f} s: {there} switches to the standby, {back} back; failed: {failed}")
        self.assertLessEqual(took, MINUTE + 15)
        self.assertLessEqual(max(there, back), CYCLES)
        self.assertLessEqual(len(failed), CYCLES)
