"""
Many simulated clusters: C{python -m tests.sim.many --seeds 10000}.

Owns: the command, which spreads seeds over processes. In: a range of seeds; out: the ones that went wrong, and exit
code 1 when there are any.
"""

import argparse
import os
import time
from collections.abc import Iterable
from functools import partial
from multiprocessing import Pool

from tests.sim.events import Restless
from tests.sim.oracle import Violation
from tests.sim.weather import live_through

WORSE = 10
"""Nice value, so that a machine stays usable meanwhile."""


def complaint(seed: int, nodes: int, lies: float = 0.0) -> str | None:
    """Return what goes wrong with that seed, None when nothing does; ``lies`` as for ``live_through``."""
    try:
        live_through(seed, nodes, lies=lies)
    except (Violation, Restless) as wrong:
        return f"seed {seed}: {wrong}"
    return None


def wrong_ones(seeds: Iterable[int], nodes: int, processes: int, lies: float) -> Iterable[str]:
    """Yield a line for each seed that goes wrong, as soon as it is known."""
    with Pool(processes, initializer=partial(os.nice, WORSE)) as pool:
        yield from filter(None, pool.imap_unordered(partial(complaint, nodes=nodes, lies=lies), seeds, chunksize=20))


def main() -> int:
    """Run them all."""
    parser = argparse.ArgumentParser(prog="tests.sim.many", description="Give many simulated clusters a hard time.")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--seeds", type=int, default=10_000, help="how many (default 10000)")
    parser.add_argument("--nodes", type=int, default=7, help="nodes of each cluster (default 7)")
    parser.add_argument("--processes", type=int, default=2, help="processes to spread them over (default 2)")
    parser.add_argument("--lies", type=float, default=0.0, help="how probably a member lies now and then (default 0)")
    options = parser.parse_args()
    begun = time.monotonic()
    wrong = 0
    seeds = range(options.first, options.first + options.seeds)
    for line in wrong_ones(seeds, options.nodes, options.processes, options.lies):
        wrong += 1
        print(line, flush=True)
    took = time.monotonic() - begun
    print(f"{options.seeds} clusters of {options.nodes} nodes in {took:.0f} s: {wrong} went wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
