"""
Secrets in files: in and out without passing through the Python heap.

Owns: what a secret file must look like, and that reading and writing one leaves no copy. In: paths; out: ``Secret``.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rustbalance.files import replacing
from rustbalance.secrets import Secret


class SecretFileError(ValueError):
    """
    A file breaks a rule for secrets; the message names the file and the rule and never what is in it.

    ``key`` is the dotted configuration key that the rule is about, where there is one.
    """

    def __init__(self, path: Path, rule: str, key: str | None = None) -> None:
        super().__init__(f"{path}: {key} {rule}" if key else f"{path}: {rule}")
        self.path = path
        self.rule = rule
        self.key = key


def read_secret(path: Path, limit: int = 4096, *, private: bool = True) -> Secret:
    """
    Return the contents of a file without the newline at its end.

    ``private`` refuses a file that its group or others may read; systemd's credentials, whose directory is closed
    to others, may show group permissions (they are an access list).

    :raises SecretFileError: missing, empty, longer than ``limit`` bytes, no regular file, or open to others.
    """
    with read_raw(path, limit, private=private) as raw, raw.expose() as view:
        end = _without_newline(view)
        if not end:
            raise SecretFileError(path, "is empty")
        return Secret.copy_of(view[:end])


def read_raw(path: Path, limit: int, *, private: bool = True) -> Secret:
    """Return every byte of a file, as ``read_secret`` does but with the newline, and also when there are none."""
    with opened(path) as descriptor, Secret(limit + 1) as room, room.expose() as view:
        if private:
            check_private(path, descriptor)
        count = fill(path, descriptor, view)
        return Secret.copy_of(view[:count])


def write_secret(path: Path, secret: Secret, prefix: bytes = b"", mode: int = 0o600) -> None:
    """Replace ``path``, durably and in one step, by ``prefix`` (public bytes) and the secret."""
    with replacing(path, mode) as descriptor, secret.expose() as view:
        parts = [memoryview(prefix), view]
        while parts:
            parts = _rest(parts, os.writev(descriptor, parts))


def _rest(parts: list[memoryview], written: int) -> list[memoryview]:
    """Return what is left of ``parts`` after a write that may have been short."""
    while parts and written >= len(parts[0]):
        written -= len(parts[0])
        parts = parts[1:]
    return [parts[0][written:], *parts[1:]] if parts else []


def create_secret(path: Path, secret: Secret, prefix: bytes = b"", mode: int = 0o600) -> None:
    """
    Write a new file as ``write_secret`` does.

    :raises FileExistsError: there is one already; it is left as it is.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.only")
    write_secret(temporary, secret, prefix, mode)
    try:
        os.link(temporary, path)  # unlike a rename, a link never takes the place of anything
    finally:
        temporary.unlink()
    with opened(path.parent, os.O_DIRECTORY) as directory:
        os.fsync(directory)


@contextmanager
def opened(path: Path, flags: int = 0) -> Iterator[int]:
    """Yield a descriptor for reading that never waits for a writer."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | flags)
    except OSError as error:
        raise SecretFileError(path, f"cannot be opened: {error.strerror}") from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def check_private(path: Path, descriptor: int) -> None:
    """Refuse a file that others than its owner may read."""
    mode = os.fstat(descriptor).st_mode
    if mode & _refused_bits(path):
        raise SecretFileError(path, f"must have mode 0600, so that only its owner can read it, not {mode & 0o7777:04o}")


def _refused_bits(path: Path) -> int:
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    return 0o007 if credentials and path.parent == Path(credentials) else 0o077


def fill(path: Path, descriptor: int, view: memoryview) -> int:
    """Read the whole file, which must leave at least one byte of ``view`` over, and return how long it is."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise SecretFileError(path, "must be a regular file")
    count = 0
    while count < len(view) and (got := os.readv(descriptor, [view[count:]])):
        count += got
    if count == len(view):
        raise SecretFileError(path, f"must not be longer than {count - 1} bytes")
    return count


def _without_newline(view: memoryview) -> int:
    end = len(view)
    while end and view[end - 1] in b"\r\n":
        end -= 1
    return end
