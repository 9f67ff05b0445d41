"""
Paths that never reach the target.

Owns: what is under ``/.rb/`` in any spelling. In: a request's target; out: whether it is reserved. Pure.

The path holds secrets of the cluster, and the target writes its logs (D-42). So it is compared in every form that some
server might reduce it to: percent-escapes decoded again and again, backslashes as slashes, empty segments kept or
dropped, dot segments removed, parameters (``;x``) cut off, any case. A near miss is answered here like any unknown
path.
"""

import re

PREFIX = b".rb"
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
#: Deeper nesting than this is refused as if it were reserved.
_DEEPEST = 8


def is_reserved(target: bytes) -> bool:
    """Say whether ``target`` (origin form) might mean something under the reserved prefix."""
    path = target.partition(b"?")[0]
    for _ in range(_DEEPEST):
        if _leads_there(path):
            return True
        decoded = _ESCAPE.sub(_byte, path)
        if decoded == path:
            return False
        path = decoded
    return True


def _byte(escape: re.Match[bytes]) -> bytes:
    return bytes([int(escape[1], 16)])


def _leads_there(path: bytes) -> bool:
    """Reduce the path; what a decoded ``?`` or ``#`` starts may belong to the path or not, so both are tried."""
    whole = [part.partition(b";")[0].strip(b" \t\0") for part in path.replace(b"\\", b"/").split(b"/")]
    short = [part.partition(b";")[0] for part in re.split(rb"[?#]", path)[0].replace(b"\\", b"/").split(b"/")]
    return any(
        _first(segments) == PREFIX
        for parts in (whole, short)
        for segments in (parts[1:], [part for part in parts if part])
    )


def _first(segments: list[bytes]) -> bytes:
    """Return the first segment that is left when dot segments are removed (RFC 3986 section 5.2.4), in lower case."""
    kept: list[bytes] = []
    for segment in segments:
        if segment == b"..":
            del kept[-1:]
        elif segment != b".":
            kept.append(segment)
    while kept and not kept[0]:
        del kept[0]
    return kept[0].lower() if kept else b""
