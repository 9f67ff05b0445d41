"""
Memory for secrets, and the type that never shows what it holds.

Owns: pages that are locked into RAM, left out of core dumps, blank in forked children, and overwritten on wipe, on drop
and at exit. In: sizes, views, random numbers from the kernel; out: ``Secret``.

CPython copies ``bytes``, ``str`` and ``int`` as it likes and clears none of them, so a secret never becomes one: the
kernel reads into and writes from a page (readv, writev) and libsodium works on pointers into it. Whoever opens a page
does so through ``expose`` or ``pointer``, and is listed in ``tests/test_secret_exposure.py``.

A secret does not survive ``fork``: load it after daemonizing.
"""

import ctypes
import mmap
import os
import resource
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import ENOMEM
from types import TracebackType
from typing import Any, Final, NoReturn, TypeAlias

import nacl._sodium as _sodium

CData: TypeAlias = Any
"""A cffi pointer to unsigned char."""

ffi: Final = _sodium.ffi
sodium: Final = _sodium.lib
"""What PyNaCl declares of libsodium; pointers go in and come out."""
libsodium: Final = ctypes.CDLL(_sodium.__file__)
"""The same library, for the few functions that PyNaCl does not declare."""
libsodium.sodium_stackzero.argtypes = [ctypes.c_size_t]
libsodium.sodium_stackzero.restype = None
sodium.sodium_init()

_MADV_WIPEONFORK = 18  # linux/mman.h; the mmap module has no name for it
_PR_SET_DUMPABLE = 4  # linux/prctl.h
_BURNT_STACK = 64 * 1024


class SecretWiped(ValueError):
    """The secret was wiped, or this process is a child that was forked after it was made."""


class MemoryNotLocked(OSError):
    """The kernel would not lock a page and ``require_locking`` asks for it."""


class _Page:
    """One secret's own pages: locks do not nest, so nobody else may share them."""

    __slots__ = ("_map", "_wiped", "locked", "pid", "size")

    def __init__(self, length: int) -> None:
        self.pid = os.getpid()
        self._wiped = False
        self.size = max(1, -(-length // mmap.PAGESIZE)) * mmap.PAGESIZE
        # Without these flags the mapping would be shared with children, and could not be blanked in them.
        self._map = mmap.mmap(-1, self.size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._map.madvise(mmap.MADV_DONTDUMP)
        self._map.madvise(_MADV_WIPEONFORK)
        with self.pointer() as start:
            self.locked: bool = sodium.sodium_mlock(start, self.size) == 0

    @property
    def alive(self) -> bool:
        """Whether it still holds what was put there: not after a wipe, and not in a forked child."""
        return not self._wiped and self.pid == os.getpid()

    @contextmanager
    def pointer(self) -> Iterator[CData]:
        """Yield the address; while it is held the page stays mapped."""
        start = ffi.from_buffer("unsigned char[]", self._map)
        try:
            yield start
        finally:
            ffi.release(start)

    def view(self) -> memoryview:
        return memoryview(self._map)

    def wipe(self) -> None:
        """Overwrite, unlock and unmap; a second time, or in a forked child where the page is blank, do nothing."""
        _pages.discard(self)
        if not self.alive:
            return
        self._wiped = True
        with self.pointer() as start:
            sodium.sodium_memzero(start, self.size)
            if self.locked:
                sodium.sodium_munlock(start, self.size)
        with suppress(BufferError):  # a view is still out: it sees zeros, and the page goes when the view does
            self._map.close()


class _Policy:
    """What to do when a page cannot be locked, and what happened so far."""

    required = False
    problem: str | None = None


_pages: set[_Page] = set()


class Secret:
    """
    ``size`` bytes, zero at first, that nothing prints, copies, pickles, hashes or iterates.

    Used as a context manager it is wiped at the end. Comparing takes the same time whatever the contents.

    :raises MemoryNotLocked: the page cannot be locked and ``require_locking(True)`` was called.
    """

    __slots__ = ("__weakref__", "_finalizer", "_page", "_size")

    def __init__(self, size: int) -> None:
        if size < 0:
            raise ValueError(f"a secret cannot have {size} bytes")
        page = _Page(size)
        if not page.locked:
            _note_unlocked(page)
        _pages.add(page)
        self._page = page
        self._size = size
        self._finalizer = weakref.finalize(self, page.wipe)

    @classmethod
    def random(cls, size: int) -> "Secret":
        """Return ``size`` bytes from the kernel's random number generator."""
        secret = cls(size)
        with secret.pointer() as start:
            sodium.randombytes(start, size)
        return secret

    @classmethod
    def copy_of(cls, view: memoryview | bytes) -> "Secret":
        """Return a secret with the bytes of a view into another one; ``bytes`` are for public and test data only."""
        secret = cls(len(view))
        with secret.expose() as own:
            own[:] = view
        return secret

    @property
    def alive(self) -> bool:
        """Whether it can still be used in this process."""
        return self._page.alive

    @property
    def locked(self) -> bool:
        """Whether its page is locked into RAM now."""
        return self._page.locked and self._page.alive

    def wipe(self) -> None:
        """Overwrite it for good; to do so twice is harmless."""
        self._finalizer()

    @contextmanager
    def expose(self) -> Iterator[memoryview]:
        """
        Yield a writable view of the contents that is valid inside the block only. Never make ``bytes`` of it.

        :raises SecretWiped: it is gone.
        """
        self._check()
        with self._page.view() as page, page[: self._size] as view:
            yield view

    @contextmanager
    def pointer(self, offset: int = 0) -> Iterator[CData]:
        """
        Yield a libsodium pointer to the byte at ``offset`` that is valid inside the block only.

        :raises SecretWiped: it is gone.
        """
        self._check()
        with self._page.pointer() as start:
            yield start + offset

    def _check(self) -> None:
        if not self._page.alive:
            raise SecretWiped("the secret was wiped or belongs to the process that forked this one")

    def __len__(self) -> int:
        return self._size

    def __bool__(self) -> bool:
        return True

    def __enter__(self) -> "Secret":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.wipe()

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Secret):
            with other.expose() as theirs:
                return self._equals(theirs)
        if isinstance(other, bytes | bytearray | memoryview):
            return self._equals(other)
        return NotImplemented

    def _equals(self, other: bytes | bytearray | memoryview) -> bool:
        if len(other) != self._size:
            return False
        with self.pointer() as ours, ffi.from_buffer("unsigned char[]", other) as theirs:
            return bool(sodium.sodium_memcmp(ours, theirs, self._size) == 0)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "<Secret>"

    __str__ = __repr__

    def __format__(self, specification: str) -> str:
        return repr(self)

    def _refuse(self, *_: object) -> NoReturn:
        raise TypeError("a Secret is not converted, copied, pickled or iterated; open it with expose() or pointer()")

    __bytes__ = __iter__ = __reversed__ = __getitem__ = __contains__ = __copy__ = __deepcopy__ = _refuse
    __reduce__ = __reduce_ex__ = __getstate__ = _refuse


def _note_unlocked(page: _Page) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    problem = f"cannot lock {page.size} bytes of memory for a secret (RLIMIT_MEMLOCK soft {soft}, hard {hard} bytes)"
    _Policy.problem = problem
    if _Policy.required:
        page.wipe()
        raise MemoryNotLocked(ENOMEM, problem)


def require_locking(required: bool) -> None:
    """
    Say whether a page that cannot be locked is an error; at first it is not.

    :raises MemoryNotLocked: it is one from now on, and a secret that is alive is not locked.
    """
    _Policy.required = required
    if required and not everything_locked():
        raise MemoryNotLocked(ENOMEM, _Policy.problem or "a secret is not locked into memory")


def locking_problem() -> str | None:
    """Return why the last page that could not be locked could not, with the limits, or None when there was none."""
    return _Policy.problem


def _own_pages() -> list[_Page]:
    return [page for page in list(_pages) if page.alive]


def locked_bytes() -> int:
    """Return how many bytes of memory this process holds locked for secrets: whole pages."""
    return sum(page.size for page in _own_pages() if page.locked)


def everything_locked() -> bool:
    """Tell whether every secret that is alive is locked into RAM."""
    return all(page.locked for page in _own_pages())


def wipe_all() -> None:
    """Wipe every secret of this process; called at shutdown, and by the interpreter for what is left at exit."""
    for page in _own_pages():
        page.wipe()
    burn_stack()


def burn_stack() -> None:
    """Overwrite dead C frames below the caller, where libsodium leaves parts of scalars; call it after using a key."""
    libsodium.sodium_stackzero(_BURNT_STACK)


def address_of(pointer: CData) -> int:
    """Return a cffi pointer as the number that ctypes takes."""
    return int(ffi.cast("uintptr_t", pointer))


def harden_process() -> None:
    """
    Forbid core dumps and reading by other processes of the same user (prctl(2), PR_SET_DUMPABLE).

    Call it after dropping privileges: setuid(2) undoes it.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
