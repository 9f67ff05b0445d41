"""
Files that are written whole or not at all.

Owns: how state reaches the disk. In: a path and bytes; out: a file that is either the old or the new one, whatever
is killed at whatever moment. Secret contents go through ``rustbalance.secret_files`` instead.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class UnsafePath(ValueError):
    """A file or directory has an owner, a mode or a kind that we do not accept."""


def private_directory(path: Path) -> Path:
    """
    Make ``path`` (with parents) a directory of mode 0700 and return it.

    :raises UnsafePath: it exists and is no directory, belongs to someone else or is open to others.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise UnsafePath(f"{path} must be a directory")
    if found.st_uid != os.geteuid():
        raise UnsafePath(f"{path} must belong to user id {os.geteuid()}, not {found.st_uid}")
    if found.st_mode & 0o077:
        raise UnsafePath(f"{path} must have mode 0700, not {stat.S_IMODE(found.st_mode):04o}")
    return path


@contextmanager
def replacing(path: Path, mode: int = 0o600, *, durable: bool = True) -> Iterator[int]:
    """
    Yield the descriptor of a new file that takes the place of ``path`` when the block ends well.

    The file is fsynced, renamed and its directory fsynced; when the block raises, nothing has happened. There is one
    writer of a file at a time: what a killed one left half-written is thrown away by the next. What means nothing after
    the machine has stood still need not be ``durable``: then nothing is fsynced.
    """
    temporary = path.with_name(f".{path.name}.new")
    with suppress(FileNotFoundError):
        temporary.unlink()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, mode)
    try:
        os.fchmod(descriptor, mode)
        yield descriptor
        if durable:
            os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
    finally:
        os.close(descriptor)
    if durable:
        _sync_directory(path.parent)


def write_atomically(path: Path, data: bytes, mode: int = 0o600, *, durable: bool = True) -> None:
    """Replace the contents of ``path`` by ``data`` in one step, and durably, which takes two fsyncs."""
    with replacing(path, mode, durable=durable) as descriptor:
        write_all(lambda rest: os.write(descriptor, rest), data)


def ensure_contents(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write ``data`` as ``write_atomically`` does, unless just that is there already: what stays costs no fsync."""
    if not _is_there(path, data, mode):
        write_atomically(path, data, mode)


def _is_there(path: Path, data: bytes, mode: int) -> bool:
    try:
        found = path.lstat()
        alike = (stat.S_ISREG(found.st_mode), stat.S_IMODE(found.st_mode), found.st_size) == (True, mode, len(data))
        return alike and path.read_bytes() == data
    except OSError:
        return False


def write_all(write: Callable[[memoryview], int], data: bytes) -> None:
    """Call ``write`` with what is left of ``data`` until nothing is."""
    rest = memoryview(data)
    while rest:
        rest = rest[write(rest) :]


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
