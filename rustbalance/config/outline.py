"""
The schema as a list.

Owns: walking ``schema.py``. In: the structs; out: each key with its section, its ``Key`` and its default, in the order
in which they stand there, and the names of all that may be written.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

from rustbalance.config.keys import Key
from rustbalance.config.schema import Config, Section

#: What a key has when it must be given.
REQUIRED = msgspec.NODEFAULT


@dataclass(frozen=True)
class Entry:
    """One key: ``section`` is empty for those above the first table."""

    section: str
    name: str
    key: Key
    default: Any

    @property
    def dotted(self) -> str:
        """The name with its section, as complaints have it."""
        return f"{self.section}.{self.name}" if self.section else self.name

    @property
    def required(self) -> bool:
        """Whether the file must have it."""
        return self.default is REQUIRED


def sections() -> dict[str, type[Section]]:
    """Return the tables of the file by name, in order; the empty name is what stands above the first."""
    tables = {field.name: field.type for field in msgspec.structs.fields(Config) if _is_table(field.type)}
    return {"": Config, **tables}


@cache
def entries(section: str) -> tuple[Entry, ...]:
    """Return the keys of one table."""
    return tuple(_entries(section, sections()[section]))


def every_entry() -> Iterator[Entry]:
    """Yield all keys of the file."""
    for section in sections():
        yield from entries(section)


@cache
def known_names() -> tuple[str, ...]:
    """Return the dotted name of everything that may be written, ``x_file`` of the secrets included."""
    return tuple(name for entry in every_entry() for name in _spellings(entry))


@cache
def secret_names() -> tuple[str, ...]:
    """Return the dotted names of the secrets."""
    return tuple(entry.dotted for entry in every_entry() if entry.key.secret)


def _spellings(entry: Entry) -> tuple[str, ...]:
    return (entry.dotted, f"{entry.dotted}_file") if entry.key.secret else (entry.dotted,)


def _entries(section: str, table: type[Section]) -> Iterator[Entry]:
    for field in msgspec.structs.fields(table):
        if not _is_table(field.type):
            yield Entry(section, field.name, field.type.__metadata__[0], field.default)


def _is_table(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)
