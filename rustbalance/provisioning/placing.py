"""
The key for Tors that run as users of their own.

Owns: making their service directories, which Tor takes only from its own user. In: a configuration and the identity
key; out: directories with everything that Tor reads. Root writes with the rights of that user and no others, so that
whatever lies, or is put, in a directory of somebody else can lead us nowhere that he could not go himself.
"""

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rustbalance.config import Config
from rustbalance.files import UnsafePath
from rustbalance.key_files import HOSTNAME, PUBLIC_NAME, SECRET_NAME, KeyFileError
from rustbalance.onion.keys import MasterKey
from rustbalance.tor.service_dir import OB_CONFIG, is_ours, prepare_service_directory

WRITTEN = frozenset((SECRET_NAME, PUBLIC_NAME, HOSTNAME, OB_CONFIG))
#: What else Tor keeps there, or is told there.
EXPECTED = WRITTEN | {"authorized_clients"}


class CannotPlace(ValueError):
    """The key cannot be given to a Tor; the message names the directory and says what to do."""


@dataclass(frozen=True)
class Placed:
    """What has been done for the Tor ``instance``, which runs as ``user``; ``new``: something was missing before."""

    instance: str
    directory: Path
    user: str
    new: bool


def place_keys(config: Config, key: MasterKey) -> Iterator[Placed]:
    """
    Give every Tor that serves visitors, and is not a child of ours, its directory; what is right already stays.

    :raises CannotPlace: one cannot be written; those before it have been.
    """
    if config.tor.mode != "external":
        return
    yield place_key("primary", config.node.hidden_service_dir, key)
    if config.tor.standby_mode == "service":
        yield place_key("standby", config.node.standby_hidden_service_dir, key)


def place_key(instance: str, directory: Path, key: MasterKey) -> Placed:
    """
    Put ``key`` and ``ob_config`` into ``directory``, made for the user whom the directory above it belongs to.

    :raises CannotPlace: we may not, it holds other things, or the key of another service.
    """
    user, group = _whose(directory) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    with _acting_as(user, group):
        try:
            if not is_ours(directory):
                raise CannotPlace(f"{directory}: {_not_for(user)}")
            before = _names(directory)
            prepare_service_directory(directory, key)
        except (UnsafePath, KeyFileError) as error:
            raise CannotPlace(f"{error}; move that out of the way, and run this again") from None
        except OSError as error:
            raise CannotPlace(f"{error.filename or directory}: {error.strerror}") from None
    return Placed(instance, directory, _name(user), not before >= WRITTEN)


def _whose(directory: Path) -> tuple[int, int]:
    """
    Return user and group for whom root makes ``directory``: those of the one above it.

    A directory that root has given away, in a place that only root may write, is for whom it was given to.
    """
    try:
        above = directory.parent.stat()
    except OSError as error:
        raise CannotPlace(
            f"{directory.parent}: {error.strerror}; it is to be a Tor's DataDirectory, made at that Tor's first start"
        ) from None
    if above.st_uid == 0 and above.st_mode & 0o022:
        raise CannotPlace(f"{directory.parent} may be written by others than root; name a directory below Tor's own")
    found = directory.lstat() if above.st_uid == 0 and os.path.lexists(directory) else above
    return found.st_uid, found.st_gid


def _not_for(user: int) -> str:
    if os.getuid() == 0:
        return f"it is not the user {_name(user)}'s, as the directory above; move it out of the way, and run this again"
    return "it has to belong to Tor's own user, for whom only root can make it: run this as root"


def _names(directory: Path) -> frozenset[str]:
    """
    Return what lies there already.

    :raises CannotPlace: something that has no business there: it is no directory of an onion service.
    """
    try:
        names = frozenset(name for name in os.listdir(directory) if not name.startswith("."))
    except FileNotFoundError:
        return frozenset()
    if others := sorted(names - EXPECTED):
        raise CannotPlace(f"{directory} holds other things than an onion service ({others[0]}); name another directory")
    return names


@contextmanager
def _acting_as(user: int, group: int) -> Iterator[None]:
    """Have the rights of ``user`` and ``group``, where we are root, and nobody else's."""
    if os.geteuid() == user:
        yield
        return
    groups, own = os.getgroups(), os.getegid()
    try:
        os.setgroups([group])
        os.setegid(group)
        os.seteuid(user)
        yield
    finally:
        os.seteuid(0)
        os.setegid(own)
        os.setgroups(groups)


def _name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
