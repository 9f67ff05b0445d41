"""
What a visitor asks for.

Owns: the request line, the form of the target and of Host, and what a request means for its connection (RFC 9112
section 3, RFC 9110 sections 7 and 10). In: a head; out: ``RequestHead``, or ``MalformedMessage``. Pure.

Any token is a method (D-53), except CONNECT and TRACE. The absolute form must name the same host as Host and becomes
the origin form, so the target sees one kind of request only.
"""

import re
from dataclasses import dataclass

from rustbalance.proxy.framing import Framing, Kind, request_framing
from rustbalance.proxy.heads import TOKEN, Fields, MalformedMessage, parse_fields, tokens, values

_LINE = re.compile(rb"(" + TOKEN + rb") ([\x21-\x22\x24-\x7e]++) HTTP/1\.([01])")
_ABSOLUTE = re.compile(rb"https?://([^/?]*+)(.*)", re.IGNORECASE)
_HOST = re.compile(rb"(?:[a-z0-9._~\-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::[0-9]{0,5})?")
_REFUSED_METHODS = {b"CONNECT", b"TRACE"}
#: Fields that Connection may not nominate: taking them away would change what the target is asked.
_END_TO_END = {
    b"host", b"content-length", b"content-type", b"content-encoding", b"cookie", b"authorization", b"origin",
    b"range", b"expect", b"cache-control", b"if-match", b"if-none-match", b"if-range", b"if-modified-since",
    b"if-unmodified-since", b"referer",
}  # fmt: skip


@dataclass(frozen=True)
class RequestHead:
    """
    One request. ``target`` is in origin form, or ``*``; ``minor`` is that of HTTP/1.``minor``.

    ``host`` is in lower case, None only with HTTP/1.0. ``nominated`` are the fields (lower case) that end here because
    Connection names them. ``websocket``: it asks to go on as WebSocket, the one protocol we let pass.
    """

    method: bytes
    target: bytes
    minor: int
    host: bytes | None
    fields: Fields
    framing: Framing
    keep_alive: bool
    nominated: frozenset[bytes]
    websocket: bool
    expects_continue: bool

    @property
    def repeatable(self) -> bool:
        """Whether sending it twice does the same as once (RFC 9110 section 9.2.2), and there is no body to send."""
        return self.framing.kind is Kind.NONE and self.method in (b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE")


def parse_request(head: bytes) -> RequestHead:
    """
    Read a whole head, its closing empty line included.

    :raises MalformedMessage: with the status to answer with.
    """
    line, _, rest = head.partition(b"\r\n")
    found = _LINE.fullmatch(line)
    if found is None:
        raise MalformedMessage(400, "the request line is none")
    method, target, minor = found[1], found[2], int(found[3])
    if method in _REFUSED_METHODS:
        raise MalformedMessage(501, "a method that we do not take")
    fields = parse_fields(rest[:-2])
    host = _host(fields, minor)
    connection = tokens(fields, b"connection")
    framing = request_framing(fields, minor)
    return RequestHead(
        method=method,
        target=_origin_form(method, target, host),
        minor=minor,
        host=host,
        fields=fields,
        framing=framing,
        keep_alive=minor == 1 and b"close" not in connection,
        nominated=_nominated(connection),
        websocket=_is_websocket(method, minor, framing, connection, fields),
        expects_continue=minor == 1 and [v.lower() for v in values(fields, b"expect")] == [b"100-continue"],
    )


def _host(fields: Fields, minor: int) -> bytes | None:
    found = [value.lower() for value in values(fields, b"host")]
    if not found and minor == 0:
        return None
    if len(found) != 1 or _HOST.fullmatch(found[0]) is None:
        raise MalformedMessage(400, "there must be one Host, and it must be one")
    return found[0]


def _origin_form(method: bytes, target: bytes, host: bytes | None) -> bytes:
    if target.startswith(b"/"):
        return target
    if target == b"*" and method == b"OPTIONS":
        return target
    found = _ABSOLUTE.fullmatch(target)
    if found is None or found[1].lower() != host:
        raise MalformedMessage(400, "the target has no form that we take, or another host than Host")
    if not found[2] and method == b"OPTIONS":
        return b"*"
    return found[2] if found[2].startswith(b"/") else b"/" + found[2]


def _nominated(connection: set[bytes]) -> frozenset[bytes]:
    if connection & _END_TO_END:
        raise MalformedMessage(400, "Connection names a field that must arrive")
    return frozenset(connection)


def _is_websocket(method: bytes, minor: int, framing: Framing, connection: set[bytes], fields: Fields) -> bool:
    return (
        method == b"GET"
        and minor == 1
        and framing.kind is Kind.NONE
        and b"upgrade" in connection
        and [value.lower() for value in values(fields, b"upgrade")] == [b"websocket"]
    )
