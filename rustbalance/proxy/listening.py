"""
Where visitors come in.

Owns: the listening socket. In: a path or a port; out: Twisted's port, and the address as torrc writes it. A Unix socket
is private from its first moment; one that a dead process left is removed, one that somebody listens on is not.
"""

import contextlib
import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IProtocolFactory

from rustbalance.proxy.pages import Intercept

BACKLOG = 1024


@dataclass(frozen=True)
class Entrance:
    """A place where visitors come in: a path, or a port on 127.0.0.1; ``intercept`` sees their requests first."""

    listen: Path | int
    intercept: Intercept


def listen(where: Path | int, factory: IProtocolFactory, reactor: Any) -> Any:
    """
    Listen on a Unix socket (mode 0600) or on a port of 127.0.0.1; return Twisted's ``IListeningPort``.

    :raises CannotListenError: the place is taken, or cannot be used.
    """
    if isinstance(where, int):
        return reactor.listenTCP(where, factory, backlog=BACKLOG, interface="127.0.0.1")
    _remove_stale(where)
    before = os.umask(0o177)
    try:
        return reactor.listenUNIX(str(where), factory, backlog=BACKLOG, mode=0o600)
    finally:
        os.umask(before)


async def stop_listening(port: Any) -> None:
    """Accept nobody else; a socket that somebody removed from the file system is no reason to fail."""
    with contextlib.suppress(FileNotFoundError):
        await maybeDeferred(port.stopListening)


def describe(where: Path | int, port: Any) -> str:
    """Return the address in the form of HiddenServicePort: ``unix:PATH`` or ``127.0.0.1:PORT``."""
    return f"unix:{where}" if isinstance(where, Path) else f"127.0.0.1:{port.getHost().port}"


def _remove_stale(path: Path) -> None:
    try:
        found = path.lstat()
    except OSError:
        return
    if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.geteuid():
        raise CannotListenError(None, str(path), OSError("it exists and is no socket of ours"))
    if _is_alive(path):
        raise CannotListenError(None, str(path), OSError("somebody listens there already"))
    path.unlink(missing_ok=True)


def _is_alive(path: Path) -> bool:
    """Say whether somebody accepts connections there; on a Unix socket the answer comes without waiting."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
        except OSError:
            return True
    return True
