"""
Writing a configuration that explains itself.

Owns: the text of a new ``config.toml``. In: the values that are to be set, by dotted name; out: TOML with every key
that this version has, each with its sentence; what is not set stands there as a comment with its default.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rustbalance.config.outline import REQUIRED, Entry, entries, known_names, secret_names, sections

Value = str | int | float | bool | Sequence[str]


def render(settings: Mapping[str, Value], opening: str) -> str:
    """
    Return the text of a file that sets ``settings``; ``opening`` are the words at its head.

    A secret ``x`` is never among them; ``x_file``, where it lies, may be.
    """
    unused = settings.keys() - set(known_names()) | settings.keys() & set(secret_names())
    if unused:
        raise ValueError(f"no such keys: {', '.join(sorted(unused))}")
    lines = [*(f"# {line}".rstrip() for line in opening.splitlines())]
    for section, table in sections().items():
        wanted = [entry for entry in entries(section) if not entry.key.later]
        if wanted:
            lines += _table(section, table.__doc__ or "", wanted, settings)
    return "\n".join(lines) + "\n"


def _table(section: str, says: str, wanted: list[Entry], settings: Mapping[str, Value]) -> Iterator[str]:
    yield ""
    if section:
        yield f"[{section}]  # {says}"
    for entry in wanted:
        yield f"# {entry.key.says}{_found_out(entry)}"
        yield _line(entry, settings)


def _line(entry: Entry, settings: Mapping[str, Value]) -> str:
    if entry.dotted in settings:
        return f"{entry.name} = {as_toml(settings[entry.dotted])}"
    if entry.key.secret:
        path = settings.get(f"{entry.dotted}_file")
        return f'#{entry.name}_file = ""' if path is None else f"{entry.name}_file = {as_toml(path)}"
    if entry.key.default is not None or entry.default in (None, REQUIRED):
        return f'#{entry.name} = ""'
    return f"#{entry.name} = {as_toml(entry.default)}"


def _found_out(entry: Entry) -> str:
    return f" Default: {entry.key.default.replace('`', '')}." if entry.key.default is not None else ""


def as_toml(value: Any) -> str:
    """Return a default or a setting as TOML spells it."""
    if isinstance(value, tuple | list):
        return "[" + ", ".join(as_toml(part) for part in value) + "]"
    if isinstance(value, Path):
        return as_toml(str(value))
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
