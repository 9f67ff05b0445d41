"""
What of a request reaches the target.

Owns: the fields that go, stay or change on the way in. In: ``RequestHead`` and the target's names; out: the bytes of
the head that the target gets. Pure.

What a visitor says about where it comes from or where it wants to go, in the name of a proxy, is dropped, and we add
nothing of the kind. Origin and Referer change together with Host, or the target's checks against forged requests fail
(D-54).
"""

from rustbalance.proxy.framing import Framing, Kind
from rustbalance.proxy.heads import Field
from rustbalance.proxy.place import Place, authority_of, host_of
from rustbalance.proxy.request import RequestHead

#: RFC 9110 section 7.6.1, with what is hop-by-hop in practice; Host and the framing are written anew.
_HOP_BY_HOP = {
    b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade",
    b"proxy-authenticate", b"proxy-authorization", b"proxy-authentication-info", b"http2-settings", b"host",
    b"content-length", b"expect", b"max-forwards",
}  # fmt: skip
#: Claims about the way that a request took, and ways around the path that we have checked.
_CLAIMS = {
    b"forwarded", b"via", b"x-real-ip", b"true-client-ip", b"client-ip", b"x-client-ip", b"x-cluster-client-ip",
    b"x-originating-ip", b"x-remote-ip", b"x-remote-addr", b"x-remote-host", b"x-proxyuser-ip", b"x-host",
    b"fastly-client-ip", b"wl-proxy-client-ip", b"x-envoy-external-address", b"x-original-url", b"x-original-uri",
    b"x-original-host", b"x-rewrite-url", b"x-http-host-override", b"x-http-method-override", b"x-http-method",
    b"x-method-override", b"alt-used", b"proxy", b"http-destination", b"x-forwarded", b"x-proto", b"x-scheme",
}  # fmt: skip
_CLAIM_PREFIXES = (b"x-forwarded-", b"cf-", b"x-arr-", b"x-amzn-", b"x-azure-")
_DROPPED = _HOP_BY_HOP | _CLAIMS
#: Fields in which a visitor names the host that it sees (Destination: RFC 4918 section 10.3).
_OWN_URLS = {b"origin", b"referer", b"destination"}


def request_bytes(request: RequestHead, place: Place) -> bytes:
    """Return the whole head to send to the target."""
    lines = [b"%b %b HTTP/1.1" % (request.method, request.target), b"Host: " + _host(request, place)]
    lines += [b"%b: %b" % (name, _value(key, value, request, place)) for name, key, value in _kept(request)]
    lines += _framing(request.framing)
    if request.expects_continue:
        lines.append(b"Expect: 100-continue")
    if request.websocket:
        lines += [b"Connection: Upgrade", b"Upgrade: websocket"]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _kept(request: RequestHead) -> list[Field]:
    return [field for field in request.fields if not _is_dropped(field[1]) and field[1] not in request.nominated]


def _is_dropped(key: bytes) -> bool:
    """Judge a name; gateways to CGI read ``X_Real_IP`` as ``X-Real-IP``, so both are the same name here."""
    if b"_" in key:
        key = key.replace(b"_", b"-")
    return key in _DROPPED or key.startswith(_CLAIM_PREFIXES)


def _host(request: RequestHead, place: Place) -> bytes:
    return request.host if place.preserve and request.host is not None else place.authority


def _value(key: bytes, value: bytes, request: RequestHead, place: Place) -> bytes:
    if place.preserve or key not in _OWN_URLS or not is_own(value, request):
        return value
    return place.origin if key == b"origin" else place.origin + _behind_authority(value)


def is_own(url: bytes, request: RequestHead) -> bool:
    """Say whether ``url`` is of the host that the visitor asked for."""
    authority = authority_of(url)
    return request.host is not None and authority is not None and host_of(authority) == host_of(request.host)


def _behind_authority(url: bytes) -> bytes:
    _, _, rest = url.partition(b"//")
    authority = authority_of(url) or b""
    return rest[len(authority) :]


def _framing(framing: Framing) -> list[bytes]:
    if framing.kind is Kind.CHUNKED:
        return [b"Transfer-Encoding: chunked"]
    return [b"Content-Length: %d" % framing.length] if framing.kind is Kind.LENGTH else []
