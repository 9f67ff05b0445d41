"""All introduction points that a visitor knows die at once, and there are others."""

import os
import signal

from twisted.internet import reactor

from rustbalance.life import pause
from tests.live.cluster import ClusterTestCase, figure, published_points

ROUNDS = 3
EVERYBODY = 9
#: Seconds that a visit may take.
VISIT = 30.0


class NewPointsTests(ClusterTestCase):
    """Three nodes; their Tors are killed at the same moment, and come back with points of their own making."""

    async def published(self) -> None:
        """Wait until the points of all are at all directories."""
        await self.until("nine points", lambda found: published_points(found, everywhere=True) == EVERYBODY)

    async def test_old_descriptor(self) -> None:
        """
        Who holds the descriptor with the dead points finds the new ones by itself, within the time of a visit.

        A client asks the directories again when it has found every point dead. Of two points at one relay it would only
        ever try the first, and so go on for as long as the descriptor lasts: that is what this looks for.
        """
        await self.prepare()
        self.start()
        await self.published()
        took = []
        for _ in range(ROUNDS):
            known = await self.visitors.fetch(self.address.text, fresh_descriptor=True)
            self.assertTrue(known.ok, known)
            for member in self.members.values():
                for path in member.directory.glob("state/tor/*/pid"):
                    os.kill(int(path.read_text().split()[0]), signal.SIGKILL)
            await self.until("it is known", lambda found: published_points(found, everywhere=True) != EVERYBODY)
            await self.published()
            visit = await self.visitors.fetch(self.address.text)
            self.assertTrue(visit.ok, visit)
            took.append(visit.seconds)
            await pause(reactor, 1.0)
        figure(f"a page for who knows dead points only: after {', '.join(f'{each:.1f}' for each in took)} s")
        self.assertLessEqual(max(took), VISIT)
