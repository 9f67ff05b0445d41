"""
What we answer ourselves.

Owns: the error pages and the form of every local answer. In: a status; out: bytes. Pure.

The pages are the same on every node and say nothing about us, the target or what went wrong (D-58): no name, no
version, no date, no address.
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from rustbalance.proxy.request import RequestHead
from rustbalance.proxy.reserved import is_reserved

REASONS: dict[int, bytes] = {
    400: b"Bad Request",
    404: b"Not Found",
    413: b"Content Too Large",
    414: b"URI Too Long",
    431: b"Request Header Fields Too Large",
    501: b"Not Implemented",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
}


@dataclass(frozen=True)
class LocalAnswer:
    """An answer that is ours. ``fields`` must not repeat Content-Length or Connection."""

    status: int
    reason: bytes
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def render(self, *, close: bool, body: bool = True) -> bytes:
        """Return the whole message; ``close`` says that nothing follows it, ``body`` is False for HEAD."""
        lines = [b"HTTP/1.1 %d %b" % (self.status, self.reason)]
        lines += [b"%b: %b" % field for field in self.fields]
        lines.append(b"Content-Length: %d" % len(self.body))
        if close:
            lines.append(b"Connection: close")
        return b"\r\n".join(lines) + b"\r\n\r\n" + (self.body if body else b"")


@dataclass(frozen=True)
class BodyWanted:
    """
    An answer that needs the body first, of at most ``limit`` bytes.

    ``answer`` is called with it once, or with None when it is longer, broken off, too slow or malformed. An answer that
    takes a while has as long as the body had, and is cancelled then: it answers all the same, at once.
    """

    limit: int
    answer: Callable[[bytes | None], LocalAnswer | Coroutine[Any, Any, LocalAnswer]]


#: Looks at a request before anything is sent to the target; an answer, at once or after the body, ends it here.
Intercept = Callable[[RequestHead], LocalAnswer | BodyWanted | None]


def _page(status: int, reason: bytes) -> LocalAnswer:
    title = b"%d %b" % (status, reason)
    fields = ((b"Content-Type", b"text/html; charset=utf-8"), (b"Cache-Control", b"no-store"))
    body = b"<!doctype html>\n<title>%b</title>\n<h1>%b</h1>\n" % (title, title)
    return LocalAnswer(status, reason, fields, body)


PAGES: dict[int, LocalAnswer] = {status: _page(status, reason) for status, reason in REASONS.items()}


def answer_reserved(request: RequestHead) -> LocalAnswer | None:
    """Answer whatever is under the reserved prefix as a page that does not exist; leave the rest to the target."""
    return PAGES[404] if is_reserved(request.target) else None
