"""
What a large cluster costs: C{python -m tests.sim.scale --nodes 100 --seconds 3600}.

Owns: the measurements of C{docs/scaling.md}. In: a number of nodes; out: bytes and seconds, and exit code 1 when a node
sends more than it may.
"""

import argparse
from collections.abc import Callable

from tests.sim.world import World

MOST_BYTES = 20_000.0
"""Bytes that a node may send per second, frames included."""
PATIENCE = 300.0


def seconds_until(world: World, reached: Callable[[], bool], step: float = 0.25) -> float:
    """Let time pass until that is so; return how long it took, or infinity."""
    begun = world.agenda.now
    while world.agenda.now < begun + PATIENCE:
        world.agenda.run_until(world.agenda.now + step)
        if reached():
            return world.agenda.now - begun
    return float("inf")


def settled(world: World) -> bool:
    """Tell whether all is as it ought to be."""
    return not world.settled()


def publishing_again(world: World) -> bool:
    """Tell whether there is one publisher and everybody knows it."""
    return not world.leaderless()


def traffic(world: World, seconds: float) -> tuple[float, float, int]:
    """
    Let time pass.

    Return bytes sent per node and second, those of the busiest node, and how many deaths were believed meanwhile.
    """
    before = {node.name: node.sent_bytes for node in world.nodes}
    deaths = len(world.oracle.deaths)
    world.agenda.run_until(world.agenda.now + seconds)
    rates = [(node.sent_bytes - before[node.name]) / seconds for node in world.nodes]
    return sum(rates) / len(rates), max(rates), len(world.oracle.deaths) - deaths


def chain(count: int) -> list[tuple[int, int]]:
    """Return who knows whom when each node knows the one before it."""
    return [(place, place - 1) for place in range(1, count)]


def report(nodes: int, seconds: float, seed: int) -> bool:
    """Print the figures; return whether they are as they ought to be."""
    world = World(seed, nodes, acquainted=chain(nodes))
    world.boot_all()
    world.agenda.run_until(3.0)
    meshed = 3 + seconds_until(world, lambda: not world.unmeshed())
    print(f"{nodes} nodes, each knows one other: full mesh after {meshed:.1f} s")
    print(f"  all settled {seconds_until(world, lambda: settled(world)):.1f} s later")
    mean, most, deaths = traffic(world, seconds)
    print(
        f"  {seconds:.0f} quiet s: {mean:.0f} bytes/s sent by a node, {most:.0f} by the busiest; {deaths} false deaths"
    )
    publisher = next(node for node in world.nodes if node.name in world.publishers())
    publisher.crash()
    print(f"  publisher killed: another after {seconds_until(world, lambda: publishing_again(world)):.1f} s", end="")
    print(f", descriptors right {seconds_until(world, lambda: settled(world)):.1f} s later")
    publisher.boot()
    back = seconds_until(world, lambda: bool(publisher.keys) and settled(world))
    print(f"  back, with its Tor: all settled after {back:.1f} s")
    world.network.cut({node.name for node in world.nodes[: nodes // 3]})
    world.agenda.run_until(world.agenda.now + 60)
    world.network.fair()
    print(
        f"  a third cut off for 60 s: one publisher {seconds_until(world, lambda: publishing_again(world)):.1f} s",
        end="",
    )
    print(f" after it healed, all settled {seconds_until(world, lambda: settled(world)):.1f} s later")
    return most < MOST_BYTES and deaths == 0


def main() -> int:
    """Measure."""
    parser = argparse.ArgumentParser(prog="tests.sim.scale", description="Measure what a large cluster costs.")
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    return 0 if report(options.nodes, options.seconds, options.seed) else 1


if __name__ == "__main__":
    raise SystemExit(main())
