"""The site behind a node is killed, and hangs: visitors are told at once, and it is found again without any visitor."""

from typing import Any

from twisted.internet import reactor as global_reactor  # noqa: TID251  (real processes)
from twisted.internet.protocol import Factory, Protocol

from rustbalance.lab.site import PAGE
from rustbalance.ops.status import Health
from tests.drills.drill import Drill
from tests.drills.test_drill_repairs import TOR, LoneNodeTestCase
from tests.live import test_health as live

reactor: Any = global_reactor
PROBES = "[health]\nhttp_probe_interval_secs = 3\nhttp_probe_timeout_secs = 2"
#: Seconds until it counts as down, and as up again; and within which a visitor has the answer that comes at once.
DOWN, UP, AT_ONCE = 30.0, 15.0, 10.0
TOLD = "three probes fail (every 3 s; by default every 60 s): visitors get a 503 at once"
FOUND = "a probe finds it, visitors get pages"


class TargetDrills(LoneNodeTestCase):
    """The site is in the test's process, on a Unix socket."""

    lines = (TOR, PROBES)

    async def test_target(self) -> None:
        """In both cases the node says that the target is down, and later that it is not."""
        await self.begin()
        await self.page()
        await self.node.until(lambda status: status.proxy.target_healthy is True, 20)
        began = reactor.seconds()
        await self.site.stop()
        await self.down(70, "the site behind the node is killed", began)
        began = reactor.seconds()
        await self.site.start(self.target)
        await self.up(71, "the killed site is started", began)
        await self.site.stop()
        began = reactor.seconds()
        silent = reactor.listenUNIX(str(self.target), Factory.forProtocol(Protocol))
        self.addCleanup(silent.stopListening)
        await self.down(72, "the site behind the node hangs", began)
        await silent.stopListening()
        began = reactor.seconds()
        await self.site.start(self.target)
        await self.up(73, "the site answers again", began)
        self.assertEqual((self.said("Target is DOWN"), self.said("Target recovered")), (2, 2))

    async def down(self, drill: int, injected: str, began: float) -> None:
        """Wait until it counts as down, then visit."""
        status = await self.node.until(lambda now: now.proxy.target_healthy is False, DOWN + 30)
        Drill(drill, injected, TOLD, DOWN).mended(self, began)
        self.assertEqual(status.health, Health.DEGRADED)
        self.assertIn("the target does not answer (it is asked again and again)", status.summary)
        visit = await self.visitors.fetch(self.node.onion_address)
        self.assertEqual(visit.status, 503, visit.error)
        self.assertLess(visit.seconds, AT_ONCE)

    async def up(self, drill: int, injected: str, began: float) -> None:
        """Wait until it counts as up, then visit."""
        await self.node.until(lambda now: now.proxy.target_healthy is True, UP + 30)
        Drill(drill, injected, FOUND, UP).mended(self, began)
        visit = await self.visitors.fetch(self.node.onion_address)
        self.assertEqual((visit.status, visit.body), (200, PAGE), visit.error)
        await self.well()


class EverythingDrill(live.BrokenTests):
    """Everything that a node needs is gone at once, and comes back."""
