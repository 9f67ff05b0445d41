"""
Ending processes that are not our children.

Owns: finding what a lab that was killed left behind, and ending it. In: a lab's directory; out: nothing left. Blocks;
a process is ended only when its command line shows that it is one of ours.
"""

import os
import select
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from rustbalance.lab.child import PID_FILE


def end_leftovers(directory: Path, patience: float = 5.0) -> int:
    """End the children that an earlier lab left in ``directory``, each within ``patience`` s; return how many."""
    return sum(end(pid, patience, where) for pid, where in recorded(directory))


def recorded(directory: Path) -> Iterator[tuple[int, Path]]:
    """Yield process id and directory of each child that has a pid file somewhere in ``directory``."""
    for path in sorted(directory.glob(f"**/{PID_FILE}")):
        with suppress(ValueError, FileNotFoundError):
            yield int(path.read_text()), path.parent


def end(pid: int, patience: float, named: Path | None = None) -> bool:
    """
    End process ``pid`` with SIGTERM, after ``patience`` seconds with SIGKILL, and wait until it is gone.

    Nothing happens, and False is returned, when there is no such process or its command line does not name ``named``.
    """
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if named is not None and not mentions(pid, named):
            return False
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, number)
            if select.select([handle], [], [], patience)[0]:
                break
        return True
    finally:
        os.close(handle)


def mentions(pid: int, directory: Path) -> bool:
    """Say whether process ``pid`` runs and names ``directory`` (or something in it) on its command line."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    wanted = os.fsencode(directory)
    return any(argument == wanted or argument.startswith(wanted + b"/") for argument in arguments)
