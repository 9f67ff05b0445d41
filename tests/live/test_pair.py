"""A node that loses one of its two Tors. Each kind of loss once; five times each is a drill."""

import signal

from tests.live.pairs import KILL, STOP, PairTestCase


class ServiceTests(PairTestCase):
    """C{tor.standby_mode = "service"}, as it is by default."""

    async def test_the_primary_is_lost(self) -> None:
        """
        Killed, ended and stopped: visitors keep getting pages, streams get out again in time, and all comes back.

        Only visits that were under way when it happened may fail.
        """
        await self.prepare()
        self.node.start()
        await self.ready()
        await self.page()
        visits, streams = self.paces()
        for number, bound in ((signal.SIGKILL, KILL), (signal.SIGTERM, KILL), (signal.SIGSTOP, STOP)):
            await self.fresh()
            hit = await self.hit(number)
            await self.again(streams, hit, bound)
            await self.node.until(lambda now: now.pair is not None and now.pair.active == "standby", 10.0)
            await self.ready()
            self.assertEqual(visits.failures(hit), [])
            self.assertLess(streams.stalled(hit, 3.0), bound, streams.failures(hit))
            self.report(number, hit, visits, streams)
        self.assertEqual(self.said("trying standby"), 3)
        self.assertEqual(self.said("Primary Tor control port reconnected"), 3)
