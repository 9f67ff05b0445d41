"""
The last revision counter of every blinded key.

Owns: that a counter is never used twice, whatever is killed at whatever moment. In: a blinded key and the counter that
Tor's scheme gives for now, and what other nodes have used; out: a counter above every earlier one, on disk before
anybody sees it. The file is JSON: hexadecimal blinded key to last counter. Blinded keys are public.
"""

from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Annotated

import msgspec
from twisted.logger import Logger

from rustbalance.files import write_atomically

LARGEST = 2**63 - 1
"""The largest that the file can hold; Tor's scheme itself stays under 2**35."""

KEPT = 8
"""Blinded keys that are remembered, the last used ones: two are in use, and directories forget within hours."""

_Key = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
_Counter = Annotated[int, msgspec.Meta(ge=0, le=LARGEST)]


class CounterExhausted(OverflowError):
    """A counter has reached its largest value; nothing can be published under that key any more."""


class RevisionStore:
    """
    Counters that only grow, kept in the file ``path``.

    May be used from several threads. A file that cannot be read is set aside and the store begins anew: Tor's scheme
    is ahead of what was used before, unless a counter had to be raised, and then a directory's refusal raises it again.
    """

    log = Logger()

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock, self._learning = Lock(), Lock()
        self._last = self._load()
        self._floors: dict[str, int] = {}

    def last(self, blinded_public: bytes) -> int | None:
        """Return the last counter handed out for this key, None when there was none."""
        return self._last.get(blinded_public.hex())

    def learn(self, used: Mapping[str, int]) -> None:
        """
        Other nodes have used these counters, by blinded key in hexadecimal; ours will be higher.

        They are not written here: whoever tells keeps them. Nor is a write waited for that is under way.
        """
        with self._learning:
            higher = {key: counter for key, counter in used.items() if counter > self._floors.get(key, -1)}
            others = {key: counter for key, counter in self._floors.items() if key not in higher}
            self._floors = dict([*others.items(), *higher.items()][-KEPT:])

    def next(self, blinded_public: bytes, scheme_value: int) -> int:
        """
        Return the counter to use now; on disk when this returns. Blocks for as long as an fsync takes.

        :raises CounterExhausted: there is none.
        :raises OSError: it could not be written; it has not been used up then.
        """
        key = blinded_public.hex()
        with self._lock:
            counter = max(self._last.get(key, 0) + 1, self._floors.get(key, 0) + 1, scheme_value)
            if counter > LARGEST:
                raise CounterExhausted("the revision counter is at its largest value")
            others = {other: last for other, last in self._last.items() if other != key}
            self._write(dict([*others.items(), (key, counter)][-KEPT:]))
        return counter

    def _write(self, counters: dict[str, int]) -> None:
        write_atomically(self._path, msgspec.json.encode(counters) + b"\n")
        self._last = counters

    def _load(self) -> dict[str, int]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[_Key, _Counter])
        except FileNotFoundError:
            return {}
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self._set_aside(error)
            return {}

    def _set_aside(self, error: Exception) -> None:
        aside = self._path.with_name(self._path.name + ".corrupt")
        self._path.replace(aside)
        self.log.error(
            "{path} is damaged ({error}); it is now {aside}, and counters start anew from the clock",
            path=str(self._path),
            error=str(error),
            aside=aside.name,
        )
