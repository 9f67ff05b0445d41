"""
How the node is, in one sentence.

Owns: the sentence. Pure. In: the facts of a status; out: what is wrong, the worst first, and what is done about it.
"""

from collections.abc import Iterator, Sequence

from rustbalance.ops.status import ClusterStatus, DescriptorStatus, Health, InstanceStatus, ProxyStatus

VERDICTS = {
    Health.HEALTHY: "visitors are served",
    Health.DEGRADED: "visitors are served, but",
    Health.DOWN: "no visitor can reach this node:",
}


def summarize(
    health: Health,
    instances: tuple[InstanceStatus, ...],
    descriptors: tuple[DescriptorStatus, ...],
    proxy: ProxyStatus,
    cluster: ClusterStatus | None,
    problems: Sequence[str] = (),
    *,
    drained: bool,
) -> str:
    """Return the sentence, without a full stop; the first of ``problems`` is for when nothing else is to be said."""
    others = () if cluster is None else cluster.serving_others
    if drained and others:
        return "this node is drained: visitors are sent to the others until `rustbalance undrain`"
    causes = [
        *_of_tors([tor for tor in instances if tor.serves_visitors]),
        *_of_target(proxy),
        *_of_others(cluster),
        *_of_descriptors(descriptors),
        *(["it is drained, and no other node serves, so they still come here"] if drained else []),
    ]
    if health is Health.HEALTHY:
        return VERDICTS[health]
    return f"{VERDICTS[health]} {', '.join(causes) or _first(problems)}"


def _first(problems: Sequence[str]) -> str:
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{problems[0]}{more}" if problems else "the reason is not known"


def _of_tors(serving: list[InstanceStatus]) -> Iterator[str]:
    down = [tor for tor in serving if tor.phase != "serving"]
    if down and len(down) == len(serving):
        yield f"no Tor serves ({'; '.join(map(_tor, down))})"
    else:
        yield from (f"Tor ({tor.name}) does not serve ({_doing(tor)})" for tor in down)


def _tor(tor: InstanceStatus) -> str:
    return f"{tor.name}: {_doing(tor)}"


def _doing(tor: InstanceStatus) -> str:
    why = f"{tor.problem}; " if tor.problem else ""
    if tor.phase == "bootstrapping":
        return f"{why}it is at {tor.bootstrap_percent} % of its start"
    return f"{why}it is being started again" if tor.phase == "waiting" else f"{why}it is {tor.phase}"


def _of_target(proxy: ProxyStatus) -> Iterator[str]:
    if proxy.listening is None:
        yield "the front does not listen"
    if proxy.target_healthy is False:
        yield "the target does not answer (it is asked again and again)"


def _of_others(cluster: ClusterStatus | None) -> Iterator[str]:
    if cluster is None:
        return
    dead = [member.id for member in cluster.members if member.state == "dead" and not member.left]
    if dead and len(dead) + 1 == len(cluster.members):
        yield "no other node is heard (they are called again and again)"
    elif dead:
        yield f"{', '.join(dead)} {'is' if len(dead) == 1 else 'are'} not heard (called again and again)"
    elif cluster.publisher is None:
        yield "no node publishes (one of them is about to)"


def _of_descriptors(descriptors: tuple[DescriptorStatus, ...]) -> Iterator[str]:
    late = [descriptor for descriptor in descriptors if not descriptor.published]
    if late:
        worst = min(late, key=lambda one: one.confirmed)
        yield f"only {worst.confirmed} of {worst.directories} directories have confirmed (they are tried again)"
