"""
All drills, three at a time, then the page: C{python -m tests.drills [TEST ...]}.

The page docs/reliability.md is written only when all of them ran and passed. Options for trial stand in TRIAL_ARGS.
Most of the time of a drill is waiting, so three fit on two cores: two share a network, and beside them runs what has
one to itself. With DRILL_WORKERS=1 the former come one after the other, and each row is seen as it comes.
"""

import os
import platform
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rustbalance.files import write_atomically
from tests.drills.records import VARIABLE as ROWS
from tests.drills.records import page, read
from tests.live.network import VARIABLE, NetworkFailed, SharedNetwork

WORKERS = 2
ALONE = "tests.drills.test_drill_pair"
"""Its visitors come twice a second, and may not be disturbed by what others do to the network's client."""
PAGE = Path(__file__).parent.parent.parent / "docs" / "reliability.md"


def conditions() -> str:
    """Return the sentence about this machine; nothing that would tell it from another one."""
    tor = subprocess.run(("tor", "--version"), capture_output=True, text=True, check=True).stdout
    version = tor.split()[2].rstrip(".")
    system = f"tor {version} and Python {platform.python_version()} on {os.cpu_count()} cores"
    return f"Measured with {system}, up to {workers() + 1} drills at a time."


def workers() -> int:
    """Return how many drills share a network at a time."""
    return int(os.environ.get("DRILL_WORKERS", WORKERS))


def groups() -> list[list[str]]:
    """Return what shares a network: all that was asked for, or else what is to be alone with its own, and the rest."""
    if sys.argv[1:]:
        return [sys.argv[1:]]
    names = sorted(f"tests.drills.{path.stem}" for path in Path(__file__).parent.glob("test_*.py"))
    return [[ALONE], [name for name in names if name != ALONE]]


def run(tests: list[str], directory: str) -> int:
    """
    Boot a network and let trial run these, a single one as it is, more than one two at a time.

    Return its exit status; without a network nothing has been tested: 1.
    """
    try:
        network = SharedNetwork().state()
    except NetworkFailed as failed:
        print(failed, file=sys.stderr)
        return 1
    several = [f"-j{workers()}"] if len(tests) > 1 and workers() > 1 else []
    options = [f"--temp-directory=_trial_temp_{tests[0]}", *several, *shlex.split(os.environ.get("TRIAL_ARGS", ""))]
    command = [sys.executable, "-m", "twisted.trial", *options, *tests]
    environment = {VARIABLE: network.directory, ROWS: str(Path(directory) / "rows")}
    return subprocess.call(command, env={**os.environ, **environment})


def main() -> int:
    """Run all of it at the same time, each group with a network of its own, and return the worst exit status."""
    with tempfile.TemporaryDirectory() as directory, ThreadPoolExecutor() as pool:
        status = max(pool.map(lambda tests: run(tests, directory), groups()))
        text = page(read(Path(directory) / "rows"), conditions())
        print(text)
        if status == 0 and not sys.argv[1:]:
            write_atomically(PAGE, text.encode(), mode=0o644)
    return status


if __name__ == "__main__":
    sys.exit(main())
