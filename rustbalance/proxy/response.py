"""
What the target answers.

Owns: the status line and what an answer means for its connection (RFC 9112 section 4). In: a head; out:
``ResponseHead``, or ``MalformedMessage``. Pure. The target is believed as little as the visitor.
"""

import re
from dataclasses import dataclass

from rustbalance.proxy.framing import Framing, response_framing
from rustbalance.proxy.heads import Fields, MalformedMessage, parse_fields, tokens, values

_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: ([\t\x20-\x7e\x80-\xff]*+))?")


@dataclass(frozen=True)
class ResponseHead:
    """
    One answer, an interim one (1xx) included. ``keep_alive``: its connection may carry another request after it.

    ``nominated`` are the fields (lower case) that end here because Connection names them. ``websocket``: a 101 that
    goes on as WebSocket.
    """

    status: int
    reason: bytes
    minor: int
    fields: Fields
    framing: Framing
    keep_alive: bool
    nominated: frozenset[bytes]
    websocket: bool

    @property
    def interim(self) -> bool:
        """Whether another head follows on the same request; 101 is the last one."""
        return self.status < 200 and self.status != 101


def parse_response(head: bytes, method: bytes) -> ResponseHead:
    """
    Read a whole head, its closing empty line included, that answers a request with ``method``.

    :raises MalformedMessage: it is not one.
    """
    line, _, rest = head.partition(b"\r\n")
    found = _LINE.fullmatch(line)
    if found is None:
        raise MalformedMessage(502, "the status line is none")
    minor, status = int(found[1]), int(found[2])
    fields = parse_fields(rest[:-2])
    connection = tokens(fields, b"connection")
    return ResponseHead(
        status=status,
        reason=found[3] or b"",
        minor=minor,
        fields=fields,
        framing=response_framing(fields, minor, status, method),
        keep_alive=b"close" not in connection if minor else b"keep-alive" in connection,
        nominated=frozenset(connection),
        websocket=[value.lower() for value in values(fields, b"upgrade")] == [b"websocket"],
    )
