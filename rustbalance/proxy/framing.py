"""
How long the body of a message is.

Owns: the one decision between Content-Length, chunked, nothing and "until the connection closes" (RFC 9112 section 6).
In: a head's fields; out: ``Framing``, or ``MalformedMessage``. Pure.

Whatever two parsers might read differently is refused: both fields, the same one twice, a list, a sign, a coding other
than exactly ``chunked`` (D-52). Nothing is ever allocated by a length that somebody claims (D-48).
"""

import re
from dataclasses import dataclass
from enum import Enum

from rustbalance.proxy.heads import Fields, MalformedMessage, values

LONGEST_BODY = 2**63 - 1
_DIGITS = re.compile(rb"[0-9]+")
_CODINGS = re.compile(rb"[A-Za-z0-9\-_. \t,;=]+")


class Kind(Enum):
    """What marks the end of a body."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    UNTIL_CLOSE = "until close"


@dataclass(frozen=True)
class Framing:
    """``length`` (bytes) counts with ``Kind.LENGTH`` only."""

    kind: Kind
    length: int = 0


NO_BODY = Framing(Kind.NONE)
CHUNKED = Framing(Kind.CHUNKED)
UNTIL_CLOSE = Framing(Kind.UNTIL_CLOSE)


def request_framing(fields: Fields, minor: int) -> Framing:
    """
    Decide for a request of HTTP/1.``minor``; without a field it has no body, whatever its method.

    :raises MalformedMessage: 400 when it is ambiguous, 413 past ``LONGEST_BODY``, 501 for another transfer coding.
    """
    return _declared(fields, minor) or NO_BODY


def response_framing(fields: Fields, minor: int, status: int, method: bytes) -> Framing:
    """
    Decide for the answer to ``method``: none to HEAD and for 1xx, 204 and 304, whatever the fields say (D-50).

    A length that such an answer declares must be well formed all the same. Without a field the body ends with the
    connection (D-51).

    :raises MalformedMessage: the fields are ambiguous.
    """
    declared = _declared(fields, minor)
    if method == b"HEAD" or status < 200 or status in (204, 304):
        return NO_BODY
    return declared or UNTIL_CLOSE


def declared_length(fields: Fields) -> int | None:
    """
    Return what Content-Length says, None without one.

    :raises MalformedMessage: 400 unless it is one number of digits only, 413 past ``LONGEST_BODY``.
    """
    found = values(fields, b"content-length")
    if not found:
        return None
    if len(found) > 1 or _DIGITS.fullmatch(found[0]) is None:
        raise MalformedMessage(400, "Content-Length must be one number")
    if len(found[0]) > 19 or int(found[0]) > LONGEST_BODY:
        raise MalformedMessage(413, "Content-Length is past any measure")
    return int(found[0])


def _declared(fields: Fields, minor: int) -> Framing | None:
    codings = values(fields, b"transfer-encoding")
    length = declared_length(fields)
    if codings:
        if length is not None:
            raise MalformedMessage(400, "Content-Length and Transfer-Encoding in one message")
        return _coded(codings, minor)
    return None if length is None else Framing(Kind.LENGTH, length)


def _coded(codings: list[bytes], minor: int) -> Framing:
    if minor == 0 or len(codings) > 1 or _CODINGS.fullmatch(codings[0]) is None:
        raise MalformedMessage(400, "Transfer-Encoding must be one field, of HTTP/1.1")
    if codings[0].lower() != b"chunked":
        raise MalformedMessage(501, "a transfer coding other than chunked")
    return CHUNKED
