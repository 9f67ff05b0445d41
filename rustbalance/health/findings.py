"""
What is wrong with a node by its own status.

Owns: which facts amount to which failure, and how long each must last before something is done about it. In: statuses,
one after another; out: failures that last, and failures that are over. Pure.
"""

from collections.abc import Iterator

from rustbalance.health.repair import Failure
from rustbalance.moment import Moment
from rustbalance.ops.status import ClusterStatus, InstanceStatus, NodeStatus
from rustbalance.tor.failures import TorFailure

#: A failure and its subject.
Finding = tuple[Failure, str]

#: Seconds that a failure must last: what mends itself, as most does, is left to.
PATIENCE: dict[Failure, float] = {
    Failure.TOR_DOWN: 20.0,
    Failure.TOR_HUNG: 20.0,
    Failure.TOR_UNUSABLE: 20.0,
    Failure.PEER_SILENT: 20.0,
    Failure.WIREGUARD_DOWN: 40.0,
    Failure.PUBLISHER_UNABLE: 60.0,  # an upload that nobody answers has been repeated by then, by the other Tor as well
}


def find(node: NodeStatus) -> Iterator[Finding]:
    """Yield what is wrong at this moment."""
    for tor in node.instances:
        yield from _of_instance(tor)
    if node.cluster is not None:
        yield from _of_cluster(node.cluster)
    if node.publishes and _serves(node) and not (node.descriptors and node.published):
        yield Failure.PUBLISHER_UNABLE, ""


def _of_instance(tor: InstanceStatus) -> Iterator[Finding]:
    if tor.failure is not None and tor.phase not in ("serving", "stopped"):
        yield kind(tor), tor.name


def kind(tor: InstanceStatus) -> Failure:
    """Return what is the matter with a Tor that does not serve."""
    failure = TorFailure.ENDED if tor.failure is None else TorFailure(tor.failure)
    if not failure.restart_helps:
        return Failure.TOR_UNUSABLE
    return Failure.TOR_HUNG if failure is TorFailure.HUNG else Failure.TOR_DOWN


def _of_cluster(cluster: ClusterStatus) -> Iterator[Finding]:
    others = [member for member in cluster.members if member.id != cluster.me]
    silent = [member.id for member in others if member.state == "dead" and not member.left]
    for node in silent:
        yield Failure.PEER_SILENT, node
    if silent and cluster.carrier == "wireguard" and all(member.state in ("dead", "joining") for member in others):
        yield Failure.WIREGUARD_DOWN, ""


def _serves(node: NodeStatus) -> bool:
    return any(tor.phase == "serving" for tor in node.instances if tor.serves_visitors)


class Findings:
    """The failures of a node, with the time since when."""

    def __init__(self) -> None:
        self._since: dict[Finding, float] = {}
        self._told: set[Finding] = set()

    def look(self, node: NodeStatus, now: Moment) -> tuple[list[Finding], list[Finding]]:
        """Return the failures that have lasted long enough to be told (each time), and those told that are over."""
        found = dict.fromkeys(find(node))
        self._since = {finding: self._since.get(finding, now.mono) for finding in found}
        lasting = [finding for finding in found if now.mono - self._since[finding] >= PATIENCE[finding[0]]]
        over = [finding for finding in self._told if finding not in found]
        self._told = (self._told | set(lasting)) - set(over)
        return lasting, over
