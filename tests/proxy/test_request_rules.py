"""Requests on their way to the target."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.proxy.heads import MalformedMessage
from rustbalance.proxy.place import Place
from rustbalance.proxy.request import parse_request
from rustbalance.proxy.request_rules import request_bytes
from tests.proxy.origin import HEAD
from tests.proxy.test_request import head

PLACE = Place(b"target.onion", 80)
KEPT = Place(b"target.onion", 80, preserve=True)


def passed_on(*fields: bytes, line: bytes = b"GET / HTTP/1.1", place: Place = PLACE) -> list[bytes]:
    """Return the lines that the target gets for a request to master.onion."""
    request = parse_request(head(line, b"Host: master.onion", *fields))
    return request_bytes(request, place).split(b"\r\n")[:-2]


class RequestRulesTests(SynchronousTestCase):
    """D-54: what goes, stays and changes."""

    def test_host(self) -> None:
        """The target sees its own name, or the visitor's when asked to preserve it."""
        self.assertEqual(passed_on(), [b"GET / HTTP/1.1", b"Host: target.onion"])
        self.assertEqual(passed_on(place=KEPT), [b"GET / HTTP/1.1", b"Host: master.onion"])

    def test_repeated_fields(self) -> None:
        """Fields keep their order, their case and their number."""
        fields = [b"Cookie: a=b", b"x-A: 1", b"Cookie: c=d"]
        self.assertEqual(passed_on(*fields)[2:], fields)

    def test_hop_by_hop(self) -> None:
        """D-54: what concerns one connection ends here, whatever Connection names included."""
        self.assertEqual(
            passed_on(
                b"Connection: close, X-Mine",
                b"X-Mine: 1",
                b"Keep-Alive: 5",
                b"Proxy-Connection: x",
                b"TE: trailers",
                b"Trailer: X",
                b"Upgrade: h2c",
                b"HTTP2-Settings: x",
                b"Proxy-Authorization: x",
                b"Max-Forwards: 1",
            )[2:],
            [],
        )

    def test_claims(self) -> None:
        """Nobody can claim another way, address, method or path, nor by underscores; we claim nothing ourselves."""
        self.assertEqual(
            passed_on(
                b"X-Forwarded-For: 1.2.3.4",
                b"x-forwarded-host: evil",
                b"Forwarded: for=x",
                b"X-Real-IP: x",
                b"Via: x",
                b"True-Client-IP: x",
                b"CF-Connecting-IP: x",
                b"X-Original-URL: /.rb/x",
                b"X-Rewrite-URL: /.rb/x",
                b"X-HTTP-Method-Override: DELETE",
                b"X_Forwarded_For: 1.2.3.4",
                b"Content_Length: 5",
                b"Proxy: evil",
                b"Transfer_Encoding: chunked",
            )[2:],
            [],
        )

    def test_origin_and_referer(self) -> None:
        """D-54: they follow Host, if they were of the visitor's host; other sites stay other sites."""
        self.assertEqual(
            passed_on(b"Origin: http://master.onion", b"Referer: http://Master.onion/a?b")[2:],
            [b"Origin: http://target.onion", b"Referer: http://target.onion/a?b"],
        )
        self.assertEqual(
            passed_on(b"Destination: https://master.onion/new")[2:], [b"Destination: http://target.onion/new"]
        )
        foreign = [b"Origin: http://evil.onion", b"Referer: http://evil.onion/master.onion", b"Origin: null"]
        self.assertEqual(passed_on(*foreign)[2:], foreign)
        own = [b"Origin: http://master.onion"]
        self.assertEqual(passed_on(*own, place=KEPT)[2:], own)

    def test_framing(self) -> None:
        """The framing is written by us, once."""
        self.assertEqual(
            passed_on(b"Content-Length: 0010", line=b"POST / HTTP/1.1")[2:],
            [b"Content-Length: 10"],
        )
        self.assertEqual(
            passed_on(b"transfer-encoding: CHUNKED", line=b"POST / HTTP/1.1")[2:],
            [b"Transfer-Encoding: chunked"],
        )

    def test_upgrade(self) -> None:
        """D-53: WebSocket is asked for in our own words."""
        fields = passed_on(b"Connection: keep-alive, Upgrade", b"Upgrade: WebSocket", b"Sec-WebSocket-Key: k")[2:]
        self.assertEqual(fields, [b"Sec-WebSocket-Key: k", b"Connection: Upgrade", b"Upgrade: websocket"])

    def test_expect(self) -> None:
        """Only the one expectation that there is."""
        self.assertEqual(passed_on(b"Expect: 100-Continue")[2:], [b"Expect: 100-continue"])
        self.assertEqual(passed_on(b"Expect: miracles")[2:], [])

    def test_old_version(self) -> None:
        """HTTP/1.0 becomes HTTP/1.1, with a Host."""
        request = parse_request(head(b"GET / HTTP/1.0"))
        self.assertEqual(request_bytes(request, KEPT), b"GET / HTTP/1.1\r\nHost: target.onion\r\n\r\n")

    @settings(deadline=None, max_examples=300)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(
                    [
                        b"Content-Length",
                        b"Transfer-Encoding",
                        b"Host",
                        b"Connection",
                        b"X-A",
                        b"Upgrade",
                        b"content_length",
                    ]
                ),
                st.sampled_from([b"5", b"chunked", b" Chunked\t", b"gzip", b"close", b"x\xe9", b"host", b"a, b", b""]),
            ),
            max_size=6,
        )
    )
    def test_unambiguous(self, fields: list[tuple[bytes, bytes]]) -> None:
        """D-52: whatever is not refused reaches the target in a form that no two parsers read differently."""
        try:
            request = parse_request(head(b"POST / HTTP/1.1", b"Host: m", *(b"%b:%b" % field for field in fields)))
        except MalformedMessage:
            return
        text = request_bytes(request, PLACE)
        found = HEAD.fullmatch(text)
        assert found is not None
        names = [line.partition(b":")[0].lower().replace(b"_", b"-") for line in found[3].split(b"\r\n")[:-1]]
        self.assertEqual(names.count(b"host"), 1)
        self.assertLessEqual(names.count(b"content-length") + names.count(b"transfer-encoding"), 1)
