"""
A whole cluster in one process.

Owns: the nodes, their network, the directories, and what a bystander who sees everything would say of them.
In: a seed; out: the same story each time.
"""

from collections.abc import Iterable
from random import Random

from rustbalance.cluster.messages import NodeRecord, State
from rustbalance.cluster.settings import ClusterSettings
from rustbalance.onion.inner import InnerLayer
from rustbalance.onion.merge import Offer, merge
from tests.sim.directories import Directories, Text, point
from tests.sim.events import Agenda
from tests.sim.network import Network
from tests.sim.node import SimulatedNode
from tests.sim.oracle import Oracle
from tests.sim.publishing import LIMIT, SETTINGS

Edge = tuple[int, int]


class World:
    """
    ``count`` nodes, all down.

    ``acquainted``: pairs of nodes that know each other from the beginning; None: all do.
    """

    def __init__(
        self,
        seed: int,
        count: int,
        settings: ClusterSettings | None = None,
        acquainted: Iterable[Edge] | None = None,
        priorities: Iterable[int] | None = None,
    ) -> None:
        self.seed = seed
        self.random = Random(f"{seed}/world")
        self.settings = settings or ClusterSettings()
        self.agenda = Agenda()
        self.agenda.most_calls += 20 * count * count
        self.network = Network(self.agenda, Random(f"{seed}/network"))
        self.directories = Directories()
        self.oracle = Oracle(self)
        chosen = list(priorities) if priorities is not None else [100] * count
        self.refresh = SETTINGS.refresh_interval_secs
        self.gone: set[str] = set()
        self.forgetful = False
        self.nodes = [SimulatedNode(f"node-{number:02}", self, chosen[number]) for number in range(count)]
        for node in self.nodes:
            self.network.deliver[node.name] = node.receive
        self._acquaint(acquainted)

    def boot_all(self, count: int | None = None, within: float = 3.0) -> None:
        """Start the first ``count`` nodes, or all, each at some moment."""
        for node in self.nodes[:count]:
            self.agenda.after(within * self.random.random(), node.boot)

    def rejoin(self, node: SimulatedNode) -> None:
        """Boot a node that knows nobody; it joins through some node that is up, and publishes nothing before."""
        if not node.up:
            node.outside, node.seeds = True, ()
            node.boot()
            self.agenda.after(0.5 + 3 * self.random.random(), self._join, node)

    def _join(self, node: SimulatedNode) -> None:
        hosts = [other for other in self.up() if other is not node and not other.outside]
        if not node.up or not node.outside:
            return
        if hosts and not node.hung:
            node.join(self.random.choice(hosts))
        else:
            self.agenda.after(2.0, self._join, node)

    def forget(self, node: SimulatedNode, subject: SimulatedNode) -> None:
        """
        An operator tells ``node`` that ``subject`` is gone for good; nobody may know it then.

        Two sides of a partition that forget each other are two clusters, and so are two nodes of which one has
        forgotten the other, and that one has never heard of it; this operator does neither.
        """
        kept = subject.disk.state
        if kept is None or node.name not in {record.id for record in kept.records}:
            return
        if node.name in {each.record.id for each in kept.forgotten}:
            return
        record = node.core._parts.table.get(subject.name)
        assert record is not None
        self.forgetful = True
        if node.forget(subject) and not subject.up and record.incarnation == subject.core.record.incarnation:
            self.gone.add(subject.name)

    def store(self, node: SimulatedNode, directory: str, text: Text) -> bool:
        """A directory is sent a descriptor."""
        return self.directories.store(directory, text)

    # What a bystander sees.

    def up(self) -> list[SimulatedNode]:
        """Return the nodes that run."""
        return [node for node in self.nodes if node.up and not node.hung]

    def publishers(self) -> list[str]:
        """Return who publishes."""
        return [node.name for node in self.up() if node.core._parts.succession.publishing]

    def right_keys(self) -> frozenset[bytes]:
        """Return the points that ought to be published: all that live and serve (or that live, or that are drained)."""
        living = [node for node in self.up() if not node.drained] or self.up()
        serving = [node for node in living if node.target_healthy] or living
        offers = [Offer(f"{node.name}/primary", InnerLayer(tuple(map(point, node.keys)))) for node in serving]
        merged = merge(offers, limit=LIMIT, random_bytes=lambda size: bytes(size))
        return frozenset(each.auth_key for each in merged.inner.points)

    def settled(self) -> str:
        """Return what is still wrong in words; nothing when all is as it ought to be."""
        return self.leaderless() or self.unmeshed() or self.unforgotten() or self.unpublished()

    def leaderless(self) -> str:
        """Return what is wrong with the publisher."""
        publishers = self.publishers()
        if len(publishers) != 1:
            return f"publishers: {publishers}"
        believed = {node.core.status(node.clock()).publisher for node in self.up()}
        return "" if believed == set(publishers) else f"{publishers[0]} publishes, but believed are {believed}"

    def unmeshed(self) -> str:
        """Return what is wrong with who sees whom."""
        running = {node.name for node in self.up()}
        for node in self.up():
            present = {each.id for each in node.core.status(node.clock()).members if _present(each.state)}
            if present != running - {node.name}:
                return f"{node} sees {sorted(present)}"
        return ""

    def unforgotten(self) -> str:
        """Return who is known that somebody who is up was told to forget."""
        told = {each.record.id for node in self.up() for each in node.core._parts.table.former()} & self.gone
        return ", ".join(f"{node} knows {name}" for node in self.up() for name in sorted(told & node.known))

    def unpublished(self) -> str:
        """Return what is wrong with the descriptors."""
        texts, right = self.directories.texts(), self.right_keys()
        stale = sum(text is None or text.keys != right for text in texts)
        return f"{stale} of {len(texts)} copies are not of the right union" if stale else ""

    def _acquaint(self, pairs: Iterable[Edge] | None) -> None:
        count = len(self.nodes)
        everybody = ((one, other) for one in range(count) for other in range(one))
        seeds: dict[int, list[NodeRecord]] = {number: [] for number in range(count)}
        for one, other in everybody if pairs is None else pairs:
            seeds[one].append(self.nodes[other].record())
            seeds[other].append(self.nodes[one].record())
        for number, node in enumerate(self.nodes):
            node.seeds = tuple(seeds[number])


def _present(state: State) -> bool:
    return state not in (State.DEAD, State.JOINING)
