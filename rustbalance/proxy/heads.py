"""
The part of an HTTP/1.1 message in front of its body.

Owns: where a head ends, how large it may be, which bytes it may hold, its fields (RFC 9112 sections 2 and 5). In:
bytes; out: fields, or ``MalformedMessage``. Pure.

Nothing is repaired. A lone CR or LF, a folded line, white space before a colon and a control character each end the
conversation, because every repair is a chance that the target repairs it otherwise (D-52).
"""

import re

#: A field: its name as it was sent, its name in lower case, its value without white space around it.
Field = tuple[bytes, bytes, bytes]
Fields = tuple[Field, ...]

LONGEST_FIRST_LINE = 8192
LONGEST_HEAD = 32768
MOST_FIELDS = 100

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
VALUE = rb"[\t\x20-\x7e\x80-\xff]*+"
_FIELD_LINES = re.compile(rb"(?:" + TOKEN + rb":" + VALUE + rb"\r\n)*+")
_FIELD_LINE = re.compile(TOKEN + rb":" + VALUE)
_LIST_MEMBER = re.compile(TOKEN)
_FORBIDDEN = re.compile(rb"(?<!\r)\n|\r[^\n]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class MalformedMessage(ValueError):
    """
    A message that is not passed on.

    ``status`` is what a request like this is answered with; for a response it means nothing (that is always a 502).
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def cut_head(buffer: bytes) -> tuple[bytes, bytes] | None:
    """
    Return the head with its closing empty line and what comes behind it, or None while it is not whole.

    :raises MalformedMessage: 414, 431 or 400, whichever shows first in the order of the bytes, so that the answer is
        the same however the bytes were cut into segments.
    """
    end = buffer.find(b"\r\n\r\n")
    head = buffer if end < 0 else buffer[: end + 4]
    _check_bytes(head)
    return None if end < 0 else (head, buffer[end + 4 :])


def _check_bytes(head: bytes) -> None:
    found: list[tuple[int, int, str]] = []
    bad = _FORBIDDEN.search(head)
    if bad is not None:
        found.append((bad.end() - 1, 400, "a byte that no head may hold"))
    if len(head) >= LONGEST_FIRST_LINE + 2 and head.find(b"\r\n", 0, LONGEST_FIRST_LINE + 2) < 0:
        found.append((LONGEST_FIRST_LINE + 1, 414, "the first line is too long"))
    if len(head) > LONGEST_HEAD:
        found.append((LONGEST_HEAD, 431, "the head is too long"))
    if found:
        _, status, reason = min(found)
        raise MalformedMessage(status, reason)


def parse_fields(lines: bytes) -> Fields:
    r"""
    Read field lines, each with its ``\r\n``.

    :raises MalformedMessage: 400 for anything but ``name:value``, 431 for more than ``MOST_FIELDS``.
    """
    if _FIELD_LINES.fullmatch(lines) is None:
        raise MalformedMessage(400, "a line that is no field")
    found = lines.split(b"\r\n")[:-1]
    if len(found) > MOST_FIELDS:
        raise MalformedMessage(431, "too many fields")
    return tuple([_field(line) for line in found])


def is_field_line(line: bytes) -> bool:
    """Say whether ``line`` (without its end) has the form ``name:value``."""
    return _FIELD_LINE.fullmatch(line) is not None


def _field(line: bytes) -> Field:
    name, _, value = line.partition(b":")
    return name, name.lower(), value.strip(b" \t")


def values(fields: Fields, key: bytes) -> list[bytes]:
    """Return the values of all fields of that name (lower case)."""
    return [value for _, found, value in fields if found == key]


def tokens(fields: Fields, key: bytes) -> set[bytes]:
    """
    Return the members of a list of tokens, in lower case; several fields are one list (RFC 9110 section 5.6.1).

    :raises MalformedMessage: 400, a member is no token.
    """
    members = {part.strip(b" \t").lower() for value in values(fields, key) for part in value.split(b",")} - {b""}
    if not all(_LIST_MEMBER.fullmatch(member) for member in members):
        raise MalformedMessage(400, "a list that holds more than tokens")
    return members
