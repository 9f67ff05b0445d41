"""
The commands that people type, run to their end.

Owns: C{rustbalance ...} as a process of its own. In: arguments; out: what it said.
"""

import subprocess
import sys

from twisted.internet.threads import deferToThread

COMMAND = "import sys; from rustbalance.cli import main; sys.exit(main())"
DEADLINE = 60.0


async def rustbalance(*arguments: object) -> str:
    """
    Return what the command says.

    @raise AssertionError: it fails.
    """
    command = [sys.executable, "-c", COMMAND, *map(str, arguments)]
    ended = await deferToThread(subprocess.run, command, capture_output=True, text=True, timeout=DEADLINE)
    if ended.returncode != 0:
        raise AssertionError(f"{arguments[0]}: {ended.returncode} {ended.stdout}{ended.stderr}")
    return str(ended.stdout)
