"""
One form for all spellings of a path, and what a path might be taken for.

Owns: both ways to compare the paths that are ours. In: a request's target; out: its canonical form, or whether it
comes near to a path. Pure.

The canonical form of a target is its path without the query in which, in this order, percent-escapes of unreserved
characters are decoded once and all others have capital digits (RFC 3986 sections 6.2.2.1 and 6.2.2.2), several slashes
in a row are one, and dot segments are removed (section 5.2.4). Case counts, and so does a slash at the end. The
absolute form (RFC 9112 section 3.2.2) has become a path before that, with the same host as Host (``request.py``).
Nothing else makes two paths the same.

Servers go further, each in its own way. A target comes near to a path when one of them might take it for that path or
for something below it: percent-escapes decoded again and again, backslashes as slashes, empty segments kept or dropped,
dot segments left as they are, parameters (``;x``) cut off, what a decoded ``?``, ``#`` or NUL starts cut off, white
space around a segment, any case; ``%u002e``, UTF-8 that is longer than it should be, characters that look like others
or like nothing; a host between two slashes and the path; and what Windows makes of names: no dots at their ends, and
what follows a colon is not the name.
"""

import re
import unicodedata
from collections.abc import Iterator

_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_SLASHES = re.compile(rb"//+")
_CUTS = re.compile(rb"[?#\0]")
_BLANK = b" \t\n\v\f\r\0"
#: What is spelled with more layers of escapes than this comes near to everything.
_DEEPEST = 8
#: Bytes of all the ways to read one target; with more it comes near to everything (a plain one has one way).
_MOST_WORK = 20000
#: Escapes as somebody might decode them, those of IIS included (which takes fullwidth forms for what they stand for).
_ANY_ESCAPE = re.compile(rb"%(?:[uU]00)?([0-9A-Fa-f]{2})|%[uU][fF]{2}([0-5][0-9A-Fa-f])")
_WIDE = 0x20
#: ASCII in more bytes than it needs; some decoders do not look at the upper bits of the second byte.
_OVERLONG = re.compile(rb"([\xc0\xc1])(.)|\xe0([\x80\x81])([\x80-\xbf])|\xf0\x80([\x80\x81])([\x80-\xbf])", re.DOTALL)
_NOT_THE_NAME = re.compile(rb"[;:]")
#: Targets that every server reads alike: nothing to decode, to cut off or to remove.
_PLAIN = re.compile(rb"(?:/(?!\.\.?(?:[/?]|$))[A-Za-z0-9\-._~!$&'()*+,=@]++(?<!\.))*+/?(?:\?.*)?", re.DOTALL)


def canonical(target: bytes) -> bytes:
    """Return the canonical form of ``target`` (origin form)."""
    path = _SLASHES.sub(b"/", _ESCAPE.sub(_normal, target.partition(b"?")[0]))
    if b"/." not in path:
        return path
    kept: list[bytes] = []
    segments = path.split(b"/")[1:]
    for segment in segments:
        if segment == b"..":
            del kept[-1:]
        elif segment != b".":
            kept.append(segment)
    if segments[-1] in (b".", b".."):
        kept.append(b"")
    return b"/" + b"/".join(kept)


def comes_near(target: bytes, path: bytes) -> bool:
    """
    Say whether some server might take ``target`` (origin form) for ``path``, or for something below it.

    ``path`` begins with a slash, has none at its end and is in canonical form.
    """
    wanted = path.lower()
    if _PLAIN.fullmatch(target):
        found = target.partition(b"?")[0].lower()
        return found == wanted or found.startswith(wanted + b"/")
    names = wanted.split(b"/")[1:]
    return any(_leads_to(spelling, names) for spelling in _spellings(target))


def _normal(escape: re.Match[bytes]) -> bytes:
    octet = int(escape[1], 16)
    return bytes([octet]) if octet in _UNRESERVED else escape[0].upper()


def _spellings(target: bytes) -> Iterator[bytes | None]:
    """
    Yield the path with one layer of escapes after the other taken off, dot segments removed before that or not.

    None stands for one layer, or more ways to read it than there should be.
    """
    paths, seen, work = {target.partition(b"?")[0]}, set[bytes](), 0
    for _ in range(_DEEPEST):
        for path in paths:
            yield from _looks(path)
        seen |= paths
        paths = {_ANY_ESCAPE.sub(_octet, each) for path in paths for each in (path, *_undotted(path))} - seen
        if not paths:
            return
        work += sum(map(len, paths))
        if work > _MOST_WORK:
            break
    yield None


def _undotted(path: bytes) -> Iterator[bytes]:
    """Yield the path without dot segments, with backslashes for slashes and without."""
    if b"." in path:
        for parts in (path.split(b"/"), path.replace(b"\\", b"/").split(b"/")):
            yield b"/" + b"/".join(_without_dots(parts[1:]))
            yield b"/" + b"/".join(_resolved(parts))


def _looks(path: bytes) -> Iterator[bytes]:
    yield path
    if not path.isascii():
        yield (short := _OVERLONG.sub(_short, path))
        yield _look(short)


def _octet(escape: re.Match[bytes]) -> bytes:
    return bytes([int(escape[1], 16) if escape[1] else int(escape[2], 16) + _WIDE])


def _short(sequence: re.Match[bytes]) -> bytes:
    """Return the one byte that stands for an overlong sequence."""
    upper, lower = (group for group in sequence.groups() if group is not None)
    return bytes([(upper[0] & 1) << 6 | lower[0] & 0x3F])


def _look(path: bytes) -> bytes:
    """Return the path as it looks: compatible characters are the same (NFKC), those without a look are left out."""
    text = unicodedata.normalize("NFKC", path.decode("utf-8", "surrogateescape"))
    seen = "".join(each for each in text if unicodedata.category(each) != "Cf" and not "\ufe00" <= each <= "\ufe0f")
    return seen.casefold().encode("utf-8", "surrogateescape")


def _leads_to(path: bytes | None, names: list[bytes]) -> bool:
    """
    Reduce the path, in several ways.

    What a decoded ``?``, ``#`` or NUL starts may belong to it or not, and a backslash may be a slash or not.
    """
    if path is None:
        return True
    return any(
        segments[: len(names)] == names
        for whole in {path, _CUTS.split(path)[0]}
        for parts in (_segments(whole), _segments(whole.replace(b"\\", b"/")))
        for segments in _readings(parts)
    )


def _readings(parts: list[bytes]) -> Iterator[list[bytes]]:
    """Yield the segments with dots, and after these are resolved; after two slashes a host may stand before them."""
    full = [part for part in parts if part]
    yield from (full, _resolved(parts[1:]), _resolved(full))
    if not any(parts[:2]):
        for host_and_path in (full, _resolved(parts[1:]), _resolved(full)):
            yield host_and_path[1:]
            yield _resolved(host_and_path[1:])


def _segments(path: bytes) -> list[bytes]:
    return [_name(part) for part in path.split(b"/")]


def _name(segment: bytes) -> bytes:
    """Return what is left of a segment, in lower case; dots alone keep their meaning."""
    name = _NOT_THE_NAME.split(segment)[0].strip(_BLANK)
    return (name.rstrip(b". ") or name).lower()


def _resolved(segments: list[bytes]) -> list[bytes]:
    """Return the segments that are left when dot segments and empty ones are removed."""
    return [segment for segment in _without_dots(segments) if segment]


def _without_dots(segments: list[bytes]) -> list[bytes]:
    kept: list[bytes] = []
    for segment in segments:
        if segment == b"..":
            del kept[-1:]
        elif segment != b".":
            kept.append(segment)
    return kept
