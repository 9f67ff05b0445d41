"""
One daemon at a time.

Owns: the locks that keep two daemons out of each other's way. In: the path of a lock file in a private directory; out:
a lock that the kernel lets go of when the process ends, however it ends.
"""

import fcntl
import os
from pathlib import Path


class AlreadyRunning(OSError):
    """Another daemon holds what we need: two of them must not share a state directory or a control socket."""


class Lock:
    """
    The lock on the file at ``path``, which is made when it is missing and stays when the lock is released.

    :raises AlreadyRunning: another process holds it. :raises OSError: the file cannot be made or opened.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor: int | None = _taken(path)

    def release(self) -> None:
        """Let go of it; a second time is nothing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _taken(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise AlreadyRunning(f"another daemon is running: it holds {path}") from None
        raise
    return descriptor
