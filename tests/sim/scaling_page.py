"""
The page C{docs/scaling.md}.

Owns: what was measured of a cluster, and how that is told. In: figures for several sizes; out: the page, or a line.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

MOST_BYTES = 20_000.0
"""Bytes that a node may send per second, frames included."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """
    One cluster: seconds, but ``mean`` and ``most`` are bytes that a node, and the busiest, sent per second in the
    ``quiet`` time, and ``deaths`` how often somebody who was alive was taken for dead in it.
    """

    nodes: int
    quiet: float
    meshed: float
    settled: float
    mean: float
    most: float
    deaths: int
    rotated: float
    taken_over: float
    withdrawn: float
    back: float
    healed: float
    united: float

    @property
    def good(self) -> bool:
        """Whether this is what is promised."""
        return self.most < MOST_BYTES and self.deaths == 0


ROWS: tuple[tuple[str, Callable[[Figures], str]], ...] = (
    ("bytes that a node sends per second, on average", lambda it: f"{it.mean:,.0f}"),
    ("the same of the busiest node (must be under 20,000)", lambda it: f"{it.most:,.0f}"),
    ("nodes that were taken for dead and were not", lambda it: f"{it.deaths}"),
    ("from the start, each knowing one other, until everybody hears everybody", lambda it: f"{it.meshed:g} s"),
    ("... and all descriptors have the right points", lambda it: f"{it.settled:g} s"),
    ("new points of one node are in all descriptors", lambda it: f"{it.rotated:g} s"),
    ("publisher killed: there is another, and everybody knows it", lambda it: f"{it.taken_over:g} s"),
    ("... and its points are out of all descriptors", lambda it: f"{it.withdrawn:g} s"),
    ("it starts again: everything is right", lambda it: f"{it.back:g} s"),
    ("a third was cut off for 60 s: there is one publisher after healing", lambda it: f"{it.healed:g} s"),
    ("... and everything is right", lambda it: f"{it.united:g} s"),
)

EFFORT = "a quarter of an hour on two processors"

HEAD = """\
# What a large cluster costs

This page is made by `make sim-scale ARGS="{arguments}"`, which takes
{effort}. `make sim-scale` alone measures 100 nodes, and fails when one of them sends 20 kB/s.

Measured is the simulator (`tests/sim/`): the real decisions on membership, election, gossip and publishing, with the
default settings, on a simulated clock and network. Frames take 20 to 300 ms, and 2 % of them are lost. Each node has
one Tor with three introduction points; 20 are published at most. A descriptor takes up to a second to each directory.
Bytes are those of sealed frames, over {quiet:.0f} quiet seconds; what the carrier adds (TCP, Tor cells, WireGuard)
comes on top.

| |{sizes}
|---|{line}
"""

TAIL = """
Times are rounded up to a quarter of a second. One run each, seed {seed}: repeat it with another seed to see how they
vary.

## Why it grows slowly

In a cluster of up to 25 nodes every heartbeat (every 2 s) goes to everybody and tells of everybody. In a larger one it
goes to half of the nodes in turn and tells of eight others and the publisher: nobody is without direct news of anybody
for more than two beats, and the size of a heartbeat does not depend on the number of nodes. Records are exchanged
between nodes whose digests differ; points are sent when they change, to everybody.

A descriptor has room for 20 points (`publish.max_intro_points`): of more than 20 nodes 20 have one point each in it,
and the others see no visitors until one of those is gone.
"""


def page(found: Sequence[Figures], seed: int) -> str:
    """Return the page for these clusters."""
    arguments = f"--nodes {' '.join(str(figures.nodes) for figures in found)} --page docs/scaling.md"
    head = HEAD.format(
        arguments=arguments,
        quiet=found[0].quiet,
        effort=EFFORT,
        sizes="".join(f" {figures.nodes} nodes |" for figures in found),
        line="---|" * len(found),
    )
    rows = [f"| {says} | {' | '.join(map(show, found))} |" for says, show in ROWS]
    return head + "\n".join(rows) + "\n" + TAIL.format(seed=seed)


def summary(figures: Figures) -> str:
    """Return one cluster in lines for a terminal."""
    return "\n".join([f"{figures.nodes} nodes:", *(f"  {show(figures):>10}  {says}" for says, show in ROWS)])
