"""
The cluster as people see it.

Owns: the sentences and the status value of this room. In: the core's view and the carrier's state; out:
``ClusterStatus``. Pure.
"""

from collections.abc import Iterator, Mapping

from rustbalance.cluster.commands import ClusterView, MemberView
from rustbalance.cluster.messages import State
from rustbalance.mesh.carrier import CarrierStatus
from rustbalance.ops.status import ClusterStatus, MemberStatus


def cluster_status(
    view: ClusterView,
    priority: int,
    carrier: CarrierStatus,
    rejected: Mapping[str, int],
    kept: str | None,
    drained: bool = False,
) -> ClusterStatus:
    """Return the status; ``priority`` and ``drained`` are ours, ``kept`` is what is wrong with the state on disk."""
    own = MemberStatus(id=view.me, state=view.state.value, priority=priority, silent_secs=0.0, drained=drained)
    members = sorted((own, *map(_member, view.members)), key=lambda member: member.id)
    return ClusterStatus(
        me=view.me,
        members=tuple(members),
        publisher=view.publisher,
        term=view.round,
        lease_left_secs=view.lease_left,
        phase=view.phase,
        certainty=view.certainty.value,
        sources=tuple(sorted(view.sources)),
        carrier=carrier.name,
        listening=carrier.listening,
        links_up=carrier.links_up,
        links_down=carrier.links_down,
        messages_rejected=dict(rejected),
        problems=tuple(_problems(view, carrier, kept)),
    )


def _member(member: MemberView) -> MemberStatus:
    return MemberStatus(
        id=member.id,
        state=member.state.value,
        priority=member.priority,
        silent_secs=member.silent,
        left=member.left,
        drained=member.drained,
    )


def _problems(view: ClusterView, carrier: CarrierStatus, kept: str | None) -> Iterator[str]:
    for member in view.members:
        if member.state is State.DEAD and member.left:
            yield f"node {member.id} has been stopped"
        elif member.state is State.DEAD:
            yield f"node {member.id} is not heard (if it is gone for good: rustbalance forget {member.id})"
    if view.expelled_by is not None:
        yield f"{view.expelled_by} joined with the same bundle, so this node is out: join again with a new bundle"
    if view.isolated:
        yield "most of the other nodes are not heard: this node takes itself for cut off and publishes nothing"
    if view.publisher is None:
        yield "no node publishes at present"
    for problem in (carrier.problem, kept):
        if problem is not None:
            yield problem
