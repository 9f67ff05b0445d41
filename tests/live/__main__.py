"""
The live tests against one network, two at a time: C{python -m tests.live [TEST ...]}.

Most of their time is waiting (for a segment of the day, for a Tor to boot), so two fit on two cores. Options for trial
stand in TRIAL_ARGS. With LIVE_WORKERS=1 there is one after the other, and what they measure is seen as they go.
"""

import os
import shlex
import subprocess
import sys

from tests.live.network import SHARED, VARIABLE, NetworkFailed

WORKERS = 2


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
    command = [sys.executable, "-m", "twisted.trial", *options, *(sys.argv[1:] or ["tests.live"])]
    return subprocess.call(command, env={**os.environ, VARIABLE: network.directory})


if __name__ == "__main__":
    sys.exit(main())
