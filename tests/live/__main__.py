"""
The live tests against one network, three at a time: C{python -m tests.live [TEST ...]}.

Most of their time is waiting (for a segment of the day, for a Tor to boot), so three fit on two cores. Options of
trial stand in TRIAL_ARGS. With LIVE_WORKERS=1 there is one after the other, and what they measure is seen as they go.
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path

from tests.live.network import SHARED, VARIABLE, NetworkFailed

WORKERS = 3

#: Modules with tests that wait for half a day of the network; begun last, one of them would keep us waiting alone.
LONGEST = ("test_node", "test_publishing", "test_verification", "test_recovery", "test_partition")


def main() -> int:
    """Boot the network, run trial, and return its exit status; without a network nothing has been tested: 1."""
    try:
        network = SHARED.state()
    except NetworkFailed as failed:
        print(failed, file=sys.stderr)
        return 1
    print(f"the private network is up after {network.boot_secs:.0f} s", flush=True)
    workers = int(os.environ.get("LIVE_WORKERS", WORKERS))
    options = [*([f"-j{workers}"] if workers > 1 else []), *shlex.split(os.environ.get("TRIAL_ARGS", ""))]
    command = [sys.executable, "-m", "twisted.trial", *options, *(sys.argv[1:] or modules())]
    return subprocess.call(command, env={**os.environ, VARIABLE: network.directory})


def modules() -> list[str]:
    """Return the names of all modules with tests, the longest first."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("test_*.py"))
    return [f"tests.live.{name}" for name in sorted(names, key=lambda name: name not in LONGEST)]


if __name__ == "__main__":
    sys.exit(main())
