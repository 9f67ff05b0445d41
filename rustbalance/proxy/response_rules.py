"""
What of an answer reaches the visitor.

Owns: the fields that go, stay or change on the way out. In: ``ResponseHead``, the request and the target's names; out:
the bytes of the head that the visitor gets. Pure.

The target's host must not show, and no redirect may leave for elsewhere because of us (D-56, D-57). URLs that lead to
the target become paths; other mentions of its host become the host that the visitor asked for. Not rewritten: bodies,
and the names and values of cookies. We add no Server, Via or Date.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from rustbalance.proxy.framing import Kind
from rustbalance.proxy.heads import values
from rustbalance.proxy.place import Place, authority_of, host_of
from rustbalance.proxy.policy import rewrite_policy
from rustbalance.proxy.request import RequestHead
from rustbalance.proxy.request_rules import is_own
from rustbalance.proxy.response import ResponseHead

_DROPPED = {
    b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade",
    b"proxy-authenticate", b"proxy-authorization", b"proxy-authentication-info", b"http2-settings",
    b"content-length", b"via",
    # ways that lead around us or tell somebody else about the visit
    b"alt-svc", b"onion-location", b"report-to", b"nel", b"reporting-endpoints", b"expect-ct", b"public-key-pins",
    b"public-key-pins-report-only", b"strict-transport-security",
    # orders to a proxy, not to a visitor
    b"x-accel-redirect", b"x-accel-buffering", b"x-sendfile",
}  # fmt: skip
_LINK_TARGET = re.compile(rb"<([^<>]*)>")
_REFRESH = re.compile(rb"([0-9.]*[ \t]*[;,][ \t]*(?:url[ \t]*=[ \t]*)?)(['\"]?)([^'\"]*)(.*)", re.IGNORECASE)
_DOMAIN = re.compile(rb"[ \t]*domain[ \t]*=[ \t]*\.?(.*?)[ \t]*", re.IGNORECASE)


@dataclass(frozen=True)
class Answering:
    """One request and the names of the target, as far as an answer depends on them."""

    request: RequestHead
    place: Place

    @property
    def name(self) -> bytes:
        """What stands where the target's host would show."""
        return self.request.host or b"localhost"

    @property
    def origin(self) -> bytes:
        """The visitor's own origin, as the visitor writes it."""
        for value in values(self.request.fields, b"origin"):
            if is_own(value, self.request):
                return value
        return b"http://" + self.name


Rule = Callable[[bytes, Answering], bytes]


def response_bytes(response: ResponseHead, answering: Answering, *, close: bool) -> bytes:
    """Return the whole head to send to the visitor; ``close``: the connection ends with this answer."""
    lines = [b"HTTP/1.1 %d %b" % (response.status, response.reason)]
    for name, key, value in response.fields:
        if key not in _DROPPED and key not in response.nominated:
            rule = _RULES.get(key)
            lines.append(b"%b: %b" % (name, rule(value, answering) if rule else value))
    lines = _without_mentions(lines, answering)
    lines += _framing(response, answering.request)
    if response.status == 101:
        lines += [b"Connection: Upgrade", b"Upgrade: websocket"]
    elif close and not response.interim:
        lines.append(b"Connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n"


def outgoing(response: ResponseHead, request: RequestHead) -> Kind:
    """Return how the body is framed towards the visitor; HTTP/1.0 knows no chunks."""
    kind = response.framing.kind
    if kind in (Kind.CHUNKED, Kind.UNTIL_CLOSE):
        return Kind.CHUNKED if request.minor else Kind.UNTIL_CLOSE
    return kind


def _framing(response: ResponseHead, request: RequestHead) -> list[bytes]:
    kind = outgoing(response, request)
    if kind is Kind.CHUNKED:
        return [b"Transfer-Encoding: chunked"]
    if kind is Kind.LENGTH:
        return [b"Content-Length: %d" % response.framing.length]
    return _length_that_would_be(response, request.method) if kind is Kind.NONE else []


def _length_that_would_be(response: ResponseHead, method: bytes) -> list[bytes]:
    """HEAD and 304 may say how long the body would have been (RFC 9110 section 8.6)."""
    found = values(response.fields, b"content-length")
    speaks = response.status == 304 or (method == b"HEAD" and response.status >= 200 and response.status != 204)
    return [b"Content-Length: " + found[0]] if found and speaks else []


def _without_mentions(lines: list[bytes], answering: Answering) -> list[bytes]:
    place, name = answering.place, answering.name
    if name == place.host or not place.mentioned_in(b"\n".join(lines)):
        return lines
    return [line if _is_cookie(line) else place.replaced(line, name) for line in lines]


def _is_cookie(line: bytes) -> bool:
    return line[:11].lower() == b"set-cookie:"


def _url(value: bytes, answering: Answering) -> bytes:
    return answering.place.path_of(value)


def _link(value: bytes, answering: Answering) -> bytes:
    return _LINK_TARGET.sub(lambda found: b"<" + answering.place.path_of(found[1]) + b">", value)


def _refresh(value: bytes, answering: Answering) -> bytes:
    found = _REFRESH.fullmatch(value)
    if found is None:
        return value
    return found[1] + found[2] + answering.place.path_of(found[3]) + found[4]


def _origins(value: bytes, answering: Answering) -> bytes:
    """Access-Control-Allow-Origin and its like: one origin, or a list of them."""
    return b", ".join(_origin(part.strip(b" \t"), answering) for part in value.split(b","))


def _origin(value: bytes, answering: Answering) -> bytes:
    authority = authority_of(value)
    return answering.origin if authority is not None and answering.place.is_named(authority) else value


def _policy(value: bytes, answering: Answering) -> bytes:
    return rewrite_policy(value, answering.place, answering.name)


def _cookie(value: bytes, answering: Answering) -> bytes:
    """Take Domain away unless it is the visitor's host: without it the cookie belongs to the host that set it."""
    first, *attributes = value.split(b";")
    return b";".join([first, *(each for each in attributes if not _is_foreign_domain(each, answering))])


def _is_foreign_domain(attribute: bytes, answering: Answering) -> bool:
    found = _DOMAIN.fullmatch(attribute)
    return found is not None and host_of(found[1]) != host_of(answering.name)


_RULES: dict[bytes, Rule] = {
    b"location": _url,
    b"content-location": _url,
    b"sourcemap": _url,
    b"x-sourcemap": _url,
    b"x-pingback": _url,
    b"link": _link,
    b"refresh": _refresh,
    b"set-cookie": _cookie,
    b"access-control-allow-origin": _origins,
    b"timing-allow-origin": _origins,
    b"content-security-policy": _policy,
    b"content-security-policy-report-only": _policy,
    b"x-content-security-policy": _policy,
    b"x-webkit-csp": _policy,
}
