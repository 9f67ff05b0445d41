"""A node that loses one of its two Tors. Each kind of loss once; five times each is a drill."""

import os
import signal

from twisted.internet import reactor

from rustbalance.ops.status import NodeStatus
from tests.live.cluster import ClusterTestCase, published_points, publisher
from tests.live.pairs import KILL, STOP, PairTestCase

WITHDRAWN = 10.0


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
            await self.left()
            await self.ready()
            self.assertEqual(visits.failures(hit), [])
            self.assertLess(streams.stalled(hit, 3.0), bound, streams.failures(hit))
            self.report(number, hit, visits, streams)
        self.assertEqual(self.said("trying standby"), 3)
        self.assertEqual(self.said("Primary Tor control port reconnected"), 3)


class SocksTests(ClusterTestCase):
    """C{tor.standby_mode = "socks"}: visitors of this node come in through its primary alone."""

    async def test_points_leave(self) -> None:
        """
        When its primary is killed or hangs, this node's points leave the descriptor within 10 s, and come back.

        It is this node that publishes all the time, meanwhile through its standby.
        """
        await self.prepare()
        alpha, beta = self.members["alpha"], self.members["beta"]
        alpha.config.write_text(alpha.config.read_text().replace('standby_mode = "off"', 'standby_mode = "socks"'))
        for member in (alpha, beta):
            member.start()
        await self.until("six points published", lambda found: published_points(found) == 6, 120)
        await self.until("alpha publishes", lambda found: publisher(found) == "alpha", 60)
        for number in (signal.SIGKILL, signal.SIGSTOP):
            await self.until("the primary is used", lambda found: active(found) == ("primary", 6), 60)
            began = reactor.seconds()
            os.kill(int((alpha.directory / "state/tor/primary/pid").read_text()), number)
            await self.until("beta's points alone", lambda found: active(found) == ("standby", 3), 30)
            took = reactor.seconds() - began
            print(f"\n{number.name}: alpha's points are out of a confirmed descriptor after {took:.1f} s")
            self.assertLess(took, WITHDRAWN)


def active(found: dict[str, NodeStatus]) -> tuple[str | None, int]:
    """Return which Tor of alpha is used, and how many points alpha has published."""
    pair = found["alpha"].pair if "alpha" in found else None
    return None if pair is None else pair.active, published_points(found, everywhere=True)
