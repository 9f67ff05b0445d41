"""
One simulated cluster, told event by event: C{python -m tests.sim.run --seed 7}.

Owns: the command. In: a seed; out: what happened, and exit code 1 when it must not have.
"""

import argparse

from tests.sim.events import Restless
from tests.sim.oracle import Violation
from tests.sim.weather import CALM, STORM, live_through


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="tests.sim.run", description="Give a simulated cluster a hard time.")
    parser.add_argument("--seed", type=int, default=0, help="which story (default 0)")
    parser.add_argument("--nodes", type=int, default=7, help="how many nodes (default 7)")
    parser.add_argument("--seconds", type=float, default=STORM, help=f"of bad weather (default {STORM:.0f})")
    parser.add_argument("--quiet", action="store_true", help="say only how it ended")
    options = parser.parse_args()
    story: list[str] = []
    try:
        digest = live_through(options.seed, options.nodes, options.seconds, story).agenda.digest
    except (Violation, Restless) as wrong:
        ending, code = f"WRONG: {wrong}", 1
    else:
        ending, code = f"all came right within {CALM:.0f} s of good weather; trace {digest:08x}", 0
    if not options.quiet:
        print(*story, sep="\n")
    print(f"seed {options.seed}, {options.nodes} nodes: {ending}")
    return code


if __name__ == "__main__":
    raise SystemExit(main())
