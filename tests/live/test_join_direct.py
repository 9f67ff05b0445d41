"""Two nodes that join a lone one at the same moment; their messages go by plain TCP, as those of the demo do."""

import random

from rustbalance.lab.ports import PortBlock
from rustbalance.ops.status import Health
from tests.live.cluster import figure, published_points, publisher
from tests.live.joined import EVERYBODY, FIRST_VISITOR, JoinedTestCase


class TwoAtOnceTests(JoinedTestCase):
    """Each node came with a bundle that names the first one; none of them lets anybody in by the token alone."""

    async def test_two_at_once(self) -> None:
        """The first node goes on publishing all the while; soon all three know each other, and all points are out."""
        await self.begin()
        ports = PortBlock.reserve(random.Random())
        self.addCleanup(ports.release)
        first = await self.first("direct", (), *self.endpoint(ports))
        others = [await self.another(name, (), *self.endpoint(ports)) for name in ("second", "third")]
        for member in others:
            member.start()
        took = await self.until("all points", lambda found: published_points(found) == EVERYBODY, FIRST_VISITOR)
        figure(f"direct: all points of two nodes that joined at once are out after {took:.1f} s")
        self.assertNotIn("does not publish any longer", first.log)
        await self.until("all are well", lambda found: [one.health for one in found.values()] == [Health.HEALTHY] * 3)
        await self.until("the first publishes", lambda found: publisher(found) == first.name, 0)

    def endpoint(self, ports: PortBlock) -> tuple[str, str]:
        """Return the words that say where a node listens."""
        return ("--endpoint", f"127.0.0.1:{ports.take()}")
