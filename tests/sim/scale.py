"""
What a large cluster costs: C{python -m tests.sim.scale --nodes 100}, or C{--page docs/scaling.md} for all sizes.

Owns: the measurements of C{docs/scaling.md}. In: numbers of nodes; out: bytes and seconds, and exit code 1 when a node
sends more than it may, or is taken for dead and is not.
"""

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from multiprocessing import Pool
from pathlib import Path

from tests.sim.scaling_page import Figures, page, summary
from tests.sim.world import World

PATIENCE = 300.0
CUT = 60.0
"""Seconds that the partition lasts."""
WORSE = 10
"""Nice value, so that a machine stays usable meanwhile."""


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


def measure(nodes: int, seconds: float, seed: int) -> Figures:
    """Put a cluster through all of it."""
    world = World(seed, nodes, acquainted=chain(nodes))
    world.boot_all()
    world.agenda.run_until(3.0)
    meshed = 3.0 + seconds_until(world, lambda: not world.unmeshed())
    first = meshed + seconds_until(world, partial(settled, world))
    mean, most, deaths = traffic(world, seconds)
    seen = world.right_keys()
    next(node for node in reversed(world.nodes) if seen & set(node.keys)).rotate()
    rotated = seconds_until(world, partial(settled, world))
    publisher = next(node for node in world.nodes if node.name in world.publishers())
    publisher.crash()
    taken_over = seconds_until(world, partial(publishing_again, world))
    withdrawn = taken_over + seconds_until(world, partial(settled, world))
    publisher.boot()
    back = seconds_until(world, lambda: bool(publisher.keys) and settled(world))
    world.network.cut({node.name for node in world.nodes[: nodes // 3]})
    world.agenda.run_until(world.agenda.now + CUT)
    world.network.fair()
    healed = seconds_until(world, partial(publishing_again, world))
    united = healed + seconds_until(world, partial(settled, world))
    return Figures(
        nodes=nodes,
        quiet=seconds,
        meshed=meshed,
        settled=first,
        mean=mean,
        most=most,
        deaths=deaths,
        rotated=rotated,
        taken_over=taken_over,
        withdrawn=withdrawn,
        back=back,
        healed=healed,
        united=united,
    )


def each(sizes: Sequence[int], seconds: float, seed: int, processes: int) -> Iterator[Figures]:
    """Yield the figures of each size when they are known, in the order of ``sizes``."""
    with Pool(processes, initializer=partial(os.nice, WORSE)) as pool:
        yield from pool.imap(partial(measure, seconds=seconds, seed=seed), sizes)


def main() -> int:
    """Measure."""
    parser = argparse.ArgumentParser(prog="tests.sim.scale", description="Measure what a large cluster costs.")
    parser.add_argument("--nodes", type=int, nargs="+", default=[100], help="sizes of the clusters (default 100)")
    parser.add_argument("--seconds", type=float, default=3600.0, help="of quiet time (default 3600)")
    parser.add_argument("--seed", type=int, default=1, help="which story (default 1)")
    parser.add_argument("--processes", type=int, default=2, help="processes to spread the sizes over (default 2)")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write all of it there, for people")
    options = parser.parse_args()
    sizes = sorted(options.nodes, reverse=True)  # the long one first
    found: list[Figures] = []
    for figures in each(sizes, options.seconds, options.seed, options.processes):
        found.append(figures)
        print(summary(figures), flush=True)
    if options.page is not None:
        options.page.write_text(page(found[::-1], options.seed))
    return 0 if all(figures.good for figures in found) else 1


if __name__ == "__main__":
    raise SystemExit(main())
