"""
Secrets written into a TOML file.

Owns: telling them from the rest before anything becomes ``str``, which nobody could wipe. In: a path and the dotted
names of the secrets; out: text without them, and a ``Secret`` for each.
"""

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from rustbalance.secret_files.files import SecretFileError, check_private, fill, opened
from rustbalance.secrets import Secret


class _Token(NamedTuple):
    """A piece of TOML: one character that says what it is, and where it lies."""

    shape: str
    start: int
    end: int


_TOKEN = re.compile(
    rb"""
    (?P<space>[ \t]+) | (?P<newline>\r?\n) | (?P<comment>\#[^\n]*) | (?P<sign>[.,=\[\]{}]) |
    (?P<multiline>"{3}(?:[^\\]|\\.)*?"{3,5} | '{3}.*?'{3,5}) |
    (?P<string>"(?:[^"\\\n]|\\[^\n])*") | (?P<literal>'[^'\n]*') | (?P<bare>[A-Za-z0-9_+:-]+)
    """,
    re.VERBOSE | re.DOTALL,
)
_SHAPES = {"space": " ", "newline": "\n", "comment": "#", "multiline": "m", "string": "s", "literal": "l", "bare": "b"}
_HEADER = re.compile(r"\[\[?[bsl](\.[bsl])*\]?\]")
_ASSIGNMENT = re.compile(r"[bsl](\.[bsl])*=([slm]|[b.]+|[\[{].*[\]}])")
_PLAIN = re.compile(rb'"[^"\\\x00-\x1f\x7f]+"')


def read_inline(path: Path, names: Collection[str], limit: int = 65536) -> tuple[str, dict[str, Secret]]:
    """
    Return a TOML file as text without its secrets, and the secrets by their dotted names.

    In the text, asterisks stand for the values of ``names`` (like ``tor.control_password``) and blanks for comments,
    which may hold an old value. A secret must be written as ``key = "value"`` in its section: without escapes, on one
    line, the key bare. What cannot be told apart as TOML is refused before anything becomes ``str``.

    :raises SecretFileError: as ``read_secret`` (open to others only when it holds a secret); no TOML; a secret that
        is written in another way.
    """
    with opened(path) as descriptor, Secret(limit + 1) as room, room.expose() as whole:
        view = whole[: fill(path, descriptor, whole)]
        found = _cut_all(path, view, names)
        if found:
            check_private(path, descriptor)
        try:
            return str(view, "utf-8"), found
        except UnicodeDecodeError:
            raise SecretFileError(path, "must be UTF-8") from None


def _cut_all(path: Path, view: memoryview, names: Collection[str]) -> dict[str, Secret]:
    found: dict[str, Secret] = {}
    section: tuple[str, ...] = ()
    for statement in _statements(path, view):
        shape = "".join(token.shape for token in statement)
        keys = [token for token in statement[: shape.find("=")] if token.shape in "bsl"]
        parts = tuple(_key(path, view, token) for token in keys)
        name = ".".join((*section, *parts))
        if _HEADER.fullmatch(shape):
            section = parts
        elif name in names:
            found[name] = _cut(path, view, name, statement)
        else:
            _check_not_inside(path, name, shape, names)
    return found


def _statements(path: Path, view: memoryview) -> Iterator[list[_Token]]:
    """Yield the tokens of each header and each assignment; overwrite the comments on the way."""
    statement: list[_Token] = []
    open_brackets: list[str] = []
    for token in _tokens(path, view):
        if token.shape == "#":
            view[token.start : token.end] = b" " * (token.end - token.start)
        elif token.shape == "\n" and not open_brackets:
            yield from _checked(path, view, statement)
            statement = []
        elif token.shape != " " and not _bracketed(token.shape, open_brackets):
            raise _not_toml(path, view, token.start)
        elif token.shape not in " \n":
            statement.append(token)
    if open_brackets:
        raise _not_toml(path, view, len(view))
    yield from _checked(path, view, statement)


def _tokens(path: Path, view: memoryview) -> Iterator[_Token]:
    position = 0
    while position < len(view):
        match = _TOKEN.match(view, position)
        if match is None:
            raise _not_toml(path, view, position)
        kind = str(match.lastgroup)
        yield _Token(_SHAPES.get(kind) or chr(view[position]), position, match.end())
        position = match.end()


def _bracketed(shape: str, open_brackets: list[str]) -> bool:
    """Follow the brackets; say no where a line would hide in a value that was not closed."""
    inside = open_brackets[-1] if open_brackets else ""
    if shape in "[{":
        open_brackets.append(shape)
    elif shape in "]}":
        return bool(inside) and open_brackets.pop() + shape in ("[]", "{}")
    return not (inside == "[" and shape == "=") and not (inside == "{" and shape == "\n")


def _checked(path: Path, view: memoryview, statement: list[_Token]) -> Iterator[list[_Token]]:
    shape = "".join(token.shape for token in statement)
    if _HEADER.fullmatch(shape) or _ASSIGNMENT.fullmatch(shape):
        yield statement
    elif statement:
        raise _not_toml(path, view, statement[0].start)


def _key(path: Path, view: memoryview, token: _Token) -> str:
    start, end = (token.start, token.end) if token.shape == "b" else (token.start + 1, token.end - 1)
    if any(octet in b"\\" or octet > 126 for octet in view[start:end]):  # escapes could hide a name
        raise _not_toml(path, view, start)
    return str(view[start:end], "utf-8")


def _cut(path: Path, view: memoryview, name: str, statement: list[_Token]) -> Secret:
    value = statement[-1]
    shape = "".join(token.shape for token in statement)
    if shape != "b=s" or not _PLAIN.fullmatch(view, value.start, value.end):
        key = name.rpartition(".")[2]
        raise SecretFileError(
            path, f'must be written as {key} = "…" in its section, on one line, without escapes', name
        )
    secret = Secret.copy_of(view[value.start + 1 : value.end - 1])
    view[value.start + 1 : value.end - 1] = b"*" * len(secret)
    return secret


def _check_not_inside(path: Path, name: str, shape: str, names: Collection[str]) -> None:
    inside = sorted(secret for secret in names if secret.startswith(name + "."))
    if inside and shape[-1] in "]}":
        raise SecretFileError(path, f"must be a section, [{name}], because {inside[0]} belongs there", name)


def _not_toml(path: Path, view: memoryview, position: int) -> SecretFileError:
    line = 1 + sum(octet == 10 for octet in view[:position])
    return SecretFileError(path, f"line {line} is not TOML that can be read safely; is a quote or bracket missing?")
