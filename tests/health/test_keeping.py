"""Putting the care for a node together: each repair reaches the part that it is about."""

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.health.keeping import Care, CareSettings, repairer
from rustbalance.health.probing import ProbeSettings
from rustbalance.health.repair import Failure
from rustbalance.moment import Moment
from rustbalance.proxy.health import TargetHealth
from rustbalance.tor.failures import TorFailure
from tests.coordination.memory import Cluster
from tests.ops import statuses
from tests.ops.statuses import node


class Tor:
    """A Tor that notes when it is to start anew."""

    def __init__(self, name: str, *, serving: bool = True) -> None:
        self.name: str | None = name
        self.serving = serving
        self.restartable = True
        self.reasons: list[str] = []

    def failed(self, reason: str, failure: TorFailure = TorFailure.HUNG) -> None:
        """Note it."""
        self.reasons.append(reason)


class Front:
    """A front whose target answers."""

    def __init__(self) -> None:
        self.target = TargetHealth()

    async def ask(self, path: str, host: str, seconds: float) -> int:
        """Answer."""
        return 200


class KeepingTests(SynchronousTestCase):
    """A real node of a cluster in memory, with Tors of which the test decides."""

    def setUp(self) -> None:
        """Make it."""
        self.cluster = Cluster("alpha", "beta")
        self.node = self.cluster["alpha"]
        self.tors = [Tor("primary"), Tor("standby", serving=False)]
        self.repairs = repairer(self.tors, self.node.coordination, self.node.publisher, self.now)
        self.called: list[Any] = []

    def now(self) -> Moment:
        """Return the time."""
        return self.node.now()

    def test_restart(self) -> None:
        """A Tor that takes itself for well is started anew; one that is on its way back is left alone."""
        for name in ("primary", "standby", "scout"):
            self.repairs.report(Failure.TOR_HUNG, name)
        self.assertEqual([len(tor.reasons) for tor in self.tors], [1, 0])

    def test_nobody_restarts_it(self) -> None:
        """Where the operator has given no command for it, nobody says that a Tor is being restarted: he is asked."""
        self.tors[0].restartable = False
        self.repairs.report(Failure.TOR_DOWN, "primary")
        self.repairs.report(Failure.TOR_DOWN, "standby")
        first, second = self.repairs.problems()
        self.assertIn("Tor (primary) does not run: see why it does not start", first)
        self.assertIn("Tor (standby) does not run: it is being restarted", second)
        self.assertEqual(self.tors[0].reasons, [])

    def test_the_others(self) -> None:
        """Publishing again, joining a peer anew, building the tunnel anew, giving the lease away."""
        self.patch(self.node.publisher, "publish_now", lambda: self.called.append("publish"))
        coordination = self.node.coordination
        coordination.rebuild = lambda reason: self.called.append("rebuild")
        self.patch(coordination.fitness, "resign", lambda at: self.called.append(at))
        self.patch(coordination, "rejoin", lambda node: self.called.append(node))
        self.patch(coordination, "status", lambda: statuses.cluster(beta="healthy"))
        self.node.publisher.outlook.leading = True
        repairs = repairer(self.tors, coordination, self.node.publisher, self.now)
        repairs.report(Failure.DESCRIPTOR_STALE)
        repairs.report(Failure.PEER_SILENT, "beta")
        repairs.report(Failure.WIREGUARD_DOWN)
        self.assertEqual(self.called, ["publish", "beta", "rebuild"])
        repairs.report(Failure.UNREACHABLE)
        self.cluster.clock.advance(200.0)
        repairs.report(Failure.UNREACHABLE)
        self.assertEqual(self.called[3:], ["publish", self.now().mono])

    def test_impossible(self) -> None:
        """A node that follows publishes nothing, and where no other serves the lease is not given away."""
        self.patch(self.node.publisher, "publish_now", lambda: self.called.append("publish"))
        self.patch(self.node.coordination.fitness, "resign", lambda at: self.called.append("resign"))
        self.patch(self.node.coordination, "status", lambda: statuses.cluster(beta="dead"))
        self.node.publisher.outlook.leading = False
        self.repairs.report(Failure.UNREACHABLE)
        self.assertEqual(self.called, [])
        self.assertIn("visit it from elsewhere", self.repairs.problems()[0])
        self.patch(self.node.coordination, "status", lambda: statuses.cluster(beta="healthy"))
        self.cluster.clock.advance(1000.0)
        self.repairs.report(Failure.UNREACHABLE)
        self.assertEqual(self.called, ["resign"])

    def test_target(self) -> None:
        """What the probe finds out about the target, the cluster is told."""
        clock, front, coordination = Clock(), Front(), self.node.coordination
        parts = (front, coordination, self.node.publisher, self.repairs, node, clock, self.now)
        care = Care(CareSettings(ProbeSettings("x.onion")), *parts)
        for service in care.services:
            service.startService()
        self.assertIs(coordination.fitness.target_healthy, True)
        front.target.down("no answer")
        self.assertIs(coordination.fitness.target_healthy, False)
        for service in care.services:
            service.stopService()
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_without_probes(self) -> None:
        """Then the cluster is told nothing: a node that is taken out would never come back."""
        front, coordination = Front(), self.node.coordination
        parts = (front, coordination, self.node.publisher, self.repairs, node, Clock(), self.now)
        care = Care(CareSettings(None), *parts)
        front.target.failed("no answer")
        self.assertIsNone(coordination.fitness.target_healthy)
        self.assertEqual(len(care.services), 1)
