"""
Why we may not use a file of somebody else's Tor.

Owns: finding the group that may. In: a path; out: a sentence for the operator, or None. Debian's Tors open their
control sockets and cookies to the group of their own user, and to nobody else.
"""

import grp
import os
import stat
from pathlib import Path


def advice(path: Path) -> str | None:
    """Say which group our user has to join to read and write (a socket) or read ``path``; None: that would not help."""
    refused = _refused(path)
    if refused is None:
        return None
    name = _name(refused.st_gid)
    return f"only the group {name} may: add this node's user to it (adduser USER {name}) and start the node again"


def _refused(path: Path) -> os.stat_result | None:
    """Return what keeps us out and lets a group in: the first directory on the way, or the file itself."""
    for place in (*reversed(path.absolute().parents), path):
        try:
            found = place.stat()
        except OSError:
            return None
        wanted = _wanted(found.st_mode)
        if not os.access(place, wanted, effective_ids=True):
            return found if (found.st_mode >> 3) & wanted == wanted and found.st_gid else None
    return None


def _wanted(mode: int) -> int:
    if stat.S_ISDIR(mode):
        return os.X_OK
    return os.R_OK | os.W_OK if stat.S_ISSOCK(mode) else os.R_OK


def _name(group: int) -> str:
    try:
        return grp.getgrgid(group).gr_name
    except KeyError:
        return str(group)
