"""What is wrong with a node by its own status."""

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.health.findings import PATIENCE, Finding, Findings, find
from rustbalance.health.repair import Failure
from rustbalance.moment import Moment
from rustbalance.ops.status import ClusterStatus, NodeStatus
from tests.ops.statuses import cluster, descriptor, instance, node

WELL = node()
HUNG = node(instances=(instance(phase="waiting", failure="hung"), instance("standby")))


def goodbye(cluster: ClusterStatus, node: str) -> ClusterStatus:
    """Return the cluster after that node has said goodbye."""
    members = (replace(each, left=each.id == node) for each in cluster.members)
    return replace(cluster, members=tuple(members))


class FindTests(SynchronousTestCase):
    """One status, and what is found in it."""

    def found(self, status: NodeStatus) -> list[Finding]:
        """Return it."""
        return list(find(status))

    def test_well(self) -> None:
        """A node that is well has no failures, alone or among others, publishing or not."""
        self.assertEqual(self.found(WELL), [])
        self.assertEqual(self.found(node(cluster=cluster(a="healthy", b="initializing"))), [])
        self.assertEqual(self.found(node(cluster=cluster(publisher="a", a="healthy"), descriptors=())), [])

    def test_instances(self) -> None:
        """A Tor that failed and is not back has hung, or does not run; one that begins or ends has not failed."""
        down = instance("standby", "bootstrapping", failure="ended")
        hung = instance("primary", "waiting", failure="hung")
        self.assertEqual(
            self.found(node(instances=(hung, down))),
            [(Failure.TOR_HUNG, "primary"), (Failure.TOR_DOWN, "standby")],
        )
        for tor in (instance(phase="bootstrapping"), instance(phase="stopped", failure="ended")):
            self.assertEqual(self.found(node(instances=(tor,))), [])

    def test_unusable(self) -> None:
        """One that wants another password is not being restarted, and nobody says that it is."""
        for failure in ("authentication", "unusable"):
            status = node(instances=(instance("primary", "waiting", failure=failure),))
            self.assertEqual(self.found(status), [(Failure.TOR_UNUSABLE, "primary")])

    def test_silent_peers(self) -> None:
        """One that is not heard any more is a failure; one that said goodbye, or was never heard, is none."""
        others = goodbye(cluster(a="dead", b="dead", c="joining", d="healthy"), "b")
        self.assertEqual(self.found(node(cluster=others)), [(Failure.PEER_SILENT, "a")])

    def test_tunnel(self) -> None:
        """When nobody at all is heard through the tunnel, it may be the tunnel."""
        silent, down = (Failure.PEER_SILENT, "a"), (Failure.WIREGUARD_DOWN, "")
        alone = goodbye(cluster(a="dead", b="dead"), "b")
        self.assertEqual(self.found(node(cluster=replace(alone, carrier="wireguard"))), [silent, down])
        self.assertEqual(self.found(node(cluster=alone)), [silent])
        some = replace(cluster(a="dead", b="unhealthy"), carrier="wireguard")
        self.assertEqual(self.found(node(cluster=some)), [silent])
        left = replace(goodbye(cluster(a="dead"), "a"), carrier="wireguard")
        self.assertEqual(self.found(node(cluster=left)), [])

    def test_unable(self) -> None:
        """Who has the lease and a Tor, and does not get a descriptor out, cannot publish."""
        stuck = (descriptor(), descriptor(seat="second", published=False))
        unable = [(Failure.PUBLISHER_UNABLE, "")]
        self.assertEqual(self.found(node(descriptors=stuck)), unable)
        self.assertEqual(self.found(node(descriptors=stuck, cluster=cluster(a="healthy"))), unable)
        self.assertEqual(self.found(node(descriptors=(), cluster=cluster(a="healthy"))), unable)
        self.assertEqual(self.found(node(descriptors=(), cluster=cluster(publisher="a", a="healthy"))), [])
        starting = node(descriptors=stuck, instances=(instance(phase="bootstrapping"),))
        self.assertEqual(self.found(starting), [])


class FindingsTests(SynchronousTestCase):
    """One status after another."""

    def setUp(self) -> None:
        """Begin."""
        self.findings = Findings()

    def look(self, status: NodeStatus, seconds: float) -> tuple[list[Finding], list[Finding]]:
        """Look at a status at that second."""
        return self.findings.look(status, Moment(seconds, seconds))

    def test_what_lasts_is_told_each_time(self) -> None:
        """Until then it may mend itself; when it is over, that is told once."""
        hung = (Failure.TOR_HUNG, "primary")
        patience = PATIENCE[Failure.TOR_HUNG]
        self.assertEqual(self.look(HUNG, 0), ([], []))
        self.assertEqual(self.look(HUNG, patience - 1), ([], []))
        self.assertEqual(self.look(HUNG, patience), ([hung], []))
        self.assertEqual(self.look(HUNG, patience + 5), ([hung], []))
        self.assertEqual(self.look(WELL, patience + 6), ([], [hung]))
        self.assertEqual(self.look(WELL, patience + 7), ([], []))

    def test_what_mends_itself_is_never_told(self) -> None:
        """Coming and going within its time, it is not even over."""
        for second in range(0, 300, 10):
            self.assertEqual(self.look(HUNG if second % 20 else WELL, second), ([], []))
