"""A cluster whose messages go over Tor: made by C{init} and C{join}, it survives the end of the publisher."""

from twisted.internet import reactor

from rustbalance.life import pause
from rustbalance.ops.status import Health
from tests.live.cluster import CROWD, figure, published_points
from tests.live.crowd import Crowd
from tests.live.joined import EVERYBODY, FIRST_VISITOR, OF_ONE, JoinedTestCase

THROUGH = 100


class TorClusterTests(JoinedTestCase):
    """Each node has a scout Tor for its messages besides the one that serves visitors."""

    async def test_three_nodes(self) -> None:
        """Two nodes join the first one; when the publisher is killed another one takes over, and visits go on."""
        await self.begin()
        await self.first("tor")
        second, third = await self.another("second"), await self.another("third")
        third.start()
        figure(
            f"tor: {await self.first_visitor(second):.1f} s from run to the first visitor (target {FIRST_VISITOR:g})"
        )
        took = await self.until("all points", lambda found: published_points(found) == EVERYBODY)
        await self.until("all are well", lambda found: all(one.health is Health.HEALTHY for one in found.values()))
        figure(f"tor: all points are published {took:.1f} s later")
        crowd = Crowd(self.visitors, self.address.text, reactor, CROWD)
        self.addCleanup(crowd.abandon)
        crowd.start()
        await pause(reactor, 2)
        began = reactor.seconds()
        killed = await self.killed(points=EVERYBODY - OF_ONE)
        await crowd.finish(at_least=THROUGH)
        figure(f"tor: through it: {crowd} {crowd.complaints(began)}")
        self.assertEqual(crowd.failed, [], crowd.complaints(began))
        self.members[killed].start()
        back = await self.until("all points again", lambda found: published_points(found) == EVERYBODY)
        figure(f"tor: started again, the node's points are published after {back:.1f} s")
        for status in [await member.status() for member in self.members.values()]:
            assert status is not None
            assert status.cluster is not None
            self.assertEqual((status.cluster.carrier, len(status.cluster.members)), ("tor", 3))
