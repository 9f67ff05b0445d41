"""
The line format of Tor's documents.

Owns: keyword lines, base64 objects, unpadded base64. In: text; out: items, or ``MalformedDescriptor``.
Source: dir-spec section 1.2, "Document meta-format".
"""

import binascii
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from struct import unpack

_ITEM = re.compile(
    r"(?P<keyword>[A-Za-z0-9][A-Za-z0-9-]*)(?P<rest>(?:[ \t][ -~\t]*)?)(?:\n|\Z)"
    r"(?:-----BEGIN (?P<tag>[A-Z0-9 ]+)-----\n(?P<body>[A-Za-z0-9+/=\n]*)-----END (?P=tag)-----(?:\n|\Z))?"
)
_LINE = 64
"""Characters of base64 in one line of an object."""


class MalformedDescriptor(ValueError):
    """A descriptor, or a part of one, breaks a rule of rend-spec-v3; the message names the rule."""


@dataclass(frozen=True)
class Item:
    """One keyword line with its object, if any; ``text`` is all of it without the last newline, ``start`` its place."""

    keyword: str
    rest: str
    tag: str | None
    body: str
    text: str
    start: int

    @property
    def arguments(self) -> list[str]:
        """The words behind the keyword."""
        return self.rest.split()

    @property
    def argument(self) -> str:
        """
        The first word behind the keyword.

        :raises MalformedDescriptor: there is none.
        """
        if not (words := self.arguments):
            raise MalformedDescriptor(f"{self.keyword} must have an argument")
        return words[0]

    def object(self, tag: str) -> bytes:
        """
        Return what the object holds.

        :raises MalformedDescriptor: there is none, it has another tag, or it is not base64.
        """
        if self.tag != tag:
            raise MalformedDescriptor(f"{self.keyword} must be followed by an object {tag}")
        return _decode(self.body.replace("\n", ""), self.keyword)


def text_of(data: bytes, what: str) -> str:
    """
    Return ``data`` as text.

    :raises MalformedDescriptor: it is not ASCII.
    """
    try:
        return data.decode("ascii")
    except UnicodeDecodeError:
        raise MalformedDescriptor(f"{what} must be ASCII") from None


def parse_items(text: str) -> list[Item]:
    """
    Cut a document into its items.

    :raises MalformedDescriptor: something in it is neither a keyword line nor an object.
    """
    items: list[Item] = []
    place = 0
    while place < len(text):
        found = _ITEM.match(text, place)
        if found is None:
            raise MalformedDescriptor(f"line {text.count(chr(10), 0, place) + 1} must start with a keyword")
        keyword, rest, tag, body = found.groups()
        items.append(Item(keyword, rest, tag, body or "", found[0].removesuffix("\n"), place))
        place = found.end()
    return items


def with_keyword(items: Iterable[Item], keyword: str) -> list[Item]:
    """Return the items of this keyword."""
    return [item for item in items if item.keyword == keyword]


def at_most_one(items: Iterable[Item], keyword: str) -> Item | None:
    """
    Return the item of this keyword, or None.

    :raises MalformedDescriptor: there are several.
    """
    found = with_keyword(items, keyword)
    if len(found) > 1:
        raise MalformedDescriptor(f"{keyword} must appear once, not {len(found)} times")
    return found[0] if found else None


def exactly_one(items: Iterable[Item], keyword: str) -> Item:
    """
    Return the item of this keyword.

    :raises MalformedDescriptor: there is none, or there are several.
    """
    found = at_most_one(items, keyword)
    if found is None:
        raise MalformedDescriptor(f"{keyword} is missing")
    return found


def unknown_lines(items: Iterable[Item], known: Collection[str]) -> tuple[str, ...]:
    """Return the text of the items whose keyword is none of ``known``."""
    return tuple(item.text for item in items if item.keyword not in known)


def check_unknown_lines(lines: Sequence[str], known: Collection[str]) -> None:
    """
    See that each of ``lines`` is one whole item which a reader will find again, and none that we write ourselves.

    :raises MalformedDescriptor: it is not.
    """
    for line in lines:
        items = parse_items(line)
        if len(items) != 1 or items[0].text != line:
            raise MalformedDescriptor("an additional line must be one keyword line, with or without an object")
        if items[0].keyword in known:
            raise MalformedDescriptor(f"{items[0].keyword} cannot be an additional line")


def decimal(text: str, what: str, highest: int) -> int:
    """
    Return a number from 0 to ``highest``.

    :raises MalformedDescriptor: it is not one.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and int(text) <= highest):
        raise MalformedDescriptor(f"{what} must be a number from 0 to {highest}")
    return int(text)


def decode_base64(text: str, what: str, size: int | None = None) -> bytes:
    """
    Decode base64 with or without its padding.

    :raises MalformedDescriptor: another alphabet, or not ``size`` bytes.
    """
    data = _decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), what)
    if size is not None and len(data) != size:
        raise MalformedDescriptor(f"{what} must have {size} bytes, not {len(data)}")
    return data


def _decode(text: str, what: str) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise MalformedDescriptor(f"{what} must be base64") from None


def encode_base64(data: bytes) -> str:
    """Encode with padding, in one line."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def encode_unpadded(data: bytes) -> str:
    """Encode in one line without padding."""
    return encode_base64(data).rstrip("=")


def encode_object(tag: str, data: bytes) -> str:
    """Return an object as Tor writes it: lines of 64 characters, each ended by a newline, the END line as well."""
    body = binascii.b2a_base64(data, newline=False)
    whole, rest = divmod(len(body), _LINE)
    lines = b"\n".join(unpack(f"{_LINE}s" * whole + f"{rest}s", body))  # one call, not one for each line
    newline = "\n" if rest else ""
    return f"-----BEGIN {tag}-----\n{lines.decode('ascii')}{newline}-----END {tag}-----\n"
