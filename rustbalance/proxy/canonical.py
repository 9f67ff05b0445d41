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
parameters (``;x``) cut off, what a decoded ``?``, ``#`` or NUL starts cut off, white space around a segment, any case.
"""

import re
from collections.abc import Iterator

_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_SLASHES = re.compile(rb"//+")
_CUTS = re.compile(rb"[?#\0]")
_BLANK = b" \t\n\v\f\r\0"
#: What is spelled with more layers of escapes than this comes near to everything.
_DEEPEST = 8
#: Targets that every server reads alike: nothing to decode, to cut off or to remove.
_PLAIN = re.compile(rb"(?:/(?!\.\.?(?:[/?]|$))[A-Za-z0-9\-._~!$&'()*+,=:@]++)*+/?(?:\?.*)?", re.DOTALL)


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
    """Yield the path with one layer of escapes after the other taken off; None for one layer too many."""
    path = target.partition(b"?")[0]
    for _ in range(_DEEPEST):
        yield path
        decoded = _ESCAPE.sub(_octet, path)
        if decoded == path:
            return
        path = decoded
    yield None


def _octet(escape: re.Match[bytes]) -> bytes:
    return bytes([int(escape[1], 16)])


def _leads_to(path: bytes | None, names: list[bytes]) -> bool:
    """Reduce the path; what a decoded ``?``, ``#`` or NUL starts may belong to it or not, so both are tried."""
    if path is None:
        return True
    return any(
        _first(segments, len(names)) == names
        for parts in (_segments(path), _segments(_CUTS.split(path)[0]))
        for segments in (parts[1:], [part for part in parts if part])
    )


def _segments(path: bytes) -> list[bytes]:
    return [part.partition(b";")[0].strip(_BLANK) for part in path.replace(b"\\", b"/").split(b"/")]


def _first(segments: list[bytes], count: int) -> list[bytes]:
    """Return the first segments that are left when dot segments and empty ones are removed, in lower case."""
    kept: list[bytes] = []
    for segment in segments:
        if segment == b"..":
            del kept[-1:]
        elif segment != b".":
            kept.append(segment)
    return [segment.lower() for segment in kept if segment][:count]
