"""Answers on their way to the visitor."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.proxy.framing import Kind
from rustbalance.proxy.place import Place
from rustbalance.proxy.request import parse_request
from rustbalance.proxy.response import parse_response
from rustbalance.proxy.response_rules import Answering, outgoing, response_bytes
from tests.proxy.test_request import head

PLACE = Place(b"target.onion", 80)


def answering(*fields: bytes, line: bytes = b"GET / HTTP/1.1") -> Answering:
    """Return the context of a request to master.onion."""
    return Answering(parse_request(head(line, b"Host: master.onion", *fields)), PLACE)


def passed_on(
    *fields: bytes, line: bytes = b"HTTP/1.1 200 OK", to: Answering | None = None, close: bool = False
) -> list[bytes]:
    """Return the field lines that the visitor gets, without the framing."""
    to = to or answering()
    response = parse_response(head(line, b"Content-Length: 0", *fields), to.request.method)
    lines = response_bytes(response, to, close=close).split(b"\r\n")[1:-2]
    return [each for each in lines if each != b"Content-Length: 0"]


class LeakTests(SynchronousTestCase):
    """D-56, D-57: the target's host does not show."""

    def test_urls(self) -> None:
        """Every field that holds a URL."""
        for before, after in (
            (b"Location: http://target.onion//evil/x", b"Location: /evil/x"),
            (b"Location: HTTP://TARGET.onion:8080/a", b"Location: /a"),
            (b"Location: //target.onion/a", b"Location: /a"),
            (b"Location: http://sub.target.onion/a", b"Location: /a"),
            (b"Location: http://elsewhere.onion/a", b"Location: http://elsewhere.onion/a"),
            (b"Location: /a", b"Location: /a"),
            (b"Content-Location: http://target.onion/a", b"Content-Location: /a"),
            (b"SourceMap: http://target.onion/a.map", b"SourceMap: /a.map"),
            (b"Refresh: 5; URL=http://target.onion//a", b"Refresh: 5; URL=/a"),
            (b"Refresh: 0;url='http://target.onion/a'", b"Refresh: 0;url='/a'"),
            (b"Refresh: 3, http://target.onion/a", b"Refresh: 3, /a"),
            (b"Refresh: 5", b"Refresh: 5"),
            (b"Link: <http://target.onion/a>; rel=next, </b>", b"Link: </a>; rel=next, </b>"),
            (
                b'Link: <http://x.onion/>; anchor="http://target.onion/c"',
                b'Link: <http://x.onion/>; anchor="http://master.onion/c"',
            ),
        ):
            self.assertEqual(passed_on(before), [after])

    def test_origins(self) -> None:
        """An origin on the target becomes the visitor's, as the visitor writes it."""
        field = b"Access-Control-Allow-Origin: http://target.onion"
        self.assertEqual(passed_on(field), [b"Access-Control-Allow-Origin: http://master.onion"])
        secure = answering(b"Origin: https://master.onion")
        self.assertEqual(passed_on(field, to=secure), [b"Access-Control-Allow-Origin: https://master.onion"])
        for other in (b"Access-Control-Allow-Origin: *", b"Access-Control-Allow-Origin: http://x.onion"):
            self.assertEqual(passed_on(other), [other])

    def test_cookies(self) -> None:
        """A cookie for the target's domain becomes one for the host that was asked; the rest of it stays."""
        for before, after in (
            (b"a=b; Domain=target.onion; Path=/; Secure", b"a=b; Path=/; Secure"),
            (b"a=b; domain=.Target.onion", b"a=b"),
            (b"a=b;DOMAIN = onion;HttpOnly", b"a=b;HttpOnly"),
            (b"a=b; Domain=master.onion", b"a=b; Domain=master.onion"),
            (b"a=domain=target.onion; Path=/", b"a=domain=target.onion; Path=/"),
        ):
            self.assertEqual(passed_on(b"Set-Cookie: " + before), [b"Set-Cookie: " + after])
        several = [b"Set-Cookie: a=1", b"Set-Cookie: b=2"]
        self.assertEqual(passed_on(*several), several)

    def test_policy(self) -> None:
        """Policies, and those that only report."""
        for name in (b"Content-Security-Policy", b"Content-Security-Policy-Report-Only"):
            self.assertEqual(passed_on(name + b": img-src target.onion"), [name + b": img-src master.onion"])

    def test_dropped(self) -> None:
        """What leads around us, or tells third parties, or concerns one connection only."""
        fields = (
            b'Alt-Svc: h2=":443"',
            b"Onion-Location: http://target.onion/",
            b"Report-To: {}",
            b"NEL: {}",
            b"Strict-Transport-Security: max-age=1",
            b"Connection: X-Mine, close",
            b"X-Mine: 1",
            b"Via: 1.1 inner",
            b"Keep-Alive: timeout=5",
            b"Trailer: X",
            b"Upgrade: h2c",
            b"Proxy-Authenticate: x",
        )
        self.assertEqual(passed_on(*fields), [])

    def test_everywhere_else(self) -> None:
        """A mention in any other field, or in the reason, becomes the host that was asked for."""
        self.assertEqual(
            passed_on(b'WWW-Authenticate: Basic realm="Target.onion:80"'),
            [b'WWW-Authenticate: Basic realm="master.onion"'],
        )
        response = parse_response(head(b"HTTP/1.1 404 Not at target.onion", b"Content-Length: 0"), b"GET")
        self.assertTrue(
            response_bytes(response, answering(), close=False).startswith(b"HTTP/1.1 404 Not at master.onion\r\n")
        )

    def test_we_add_nothing(self) -> None:
        """No Server, Via or Date of ours; the target's own Date and Server are its business."""
        self.assertEqual(passed_on(), [])
        self.assertEqual(passed_on(b"Date: x", b"Server: y"), [b"Date: x", b"Server: y"])

    @settings(deadline=None, max_examples=300)
    @given(
        st.sampled_from(
            [b"Location", b"Link", b"Refresh", b"X-Any", b"Content-Security-Policy", b"Access-Control-Allow-Origin"]
        ),
        st.lists(
            st.sampled_from(
                [
                    b"http:",
                    b"//",
                    b"/",
                    b"\\",
                    b"target.onion",
                    b"TARGET.ONION",
                    b"evil.onion",
                    b":80",
                    b"\t",
                    b"@",
                    b"?",
                    b"#",
                    b"a.",
                    b"<",
                    b">",
                    b";",
                    b"url=",
                    b" ",
                    b"'",
                    b"5",
                    b"%2f",
                ]
            )
        ),
    )
    def test_no_leak_and_no_redirect(self, name: bytes, parts: list[bytes]) -> None:
        """Whatever a field is made of, the host is gone, and no reference to another host has come into being."""
        value = b"".join(parts)
        (line,) = passed_on(name + b": " + value)
        self.assertNotIn(b"target.onion", line.lower())
        if name == b"Location" and line.partition(b": ")[2].strip(b" ") != value.strip(b" \t"):
            bare = line.partition(b": ")[2].replace(b"\t", b"").replace(b"\\", b"/")
            self.assertFalse(bare.startswith(b"//") and not value.lstrip(b" \t").startswith((b"/", b"\\")), line)


class FramingTests(SynchronousTestCase):
    """How bodies go out."""

    def framing(self, line: bytes, *fields: bytes, to: Answering | None = None, close: bool = False) -> list[bytes]:
        """Return all field lines that the visitor gets."""
        to = to or answering()
        response = parse_response(head(line, *fields), to.request.method)
        return response_bytes(response, to, close=close).split(b"\r\n")[1:-2]

    def test_kinds(self) -> None:
        """A length stays one; everything else is chunked, so that an end can be told from a break (D-51)."""
        self.assertEqual(self.framing(b"HTTP/1.1 200 OK", b"content-length: 007"), [b"Content-Length: 7"])
        self.assertEqual(
            self.framing(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked"), [b"Transfer-Encoding: chunked"]
        )
        lines = self.framing(b"HTTP/1.0 200 OK", close=True)
        self.assertEqual(lines, [b"Transfer-Encoding: chunked", b"Connection: close"])

    def test_old_visitor(self) -> None:
        """HTTP/1.0 gets no chunks."""
        old = answering(line=b"GET / HTTP/1.0")
        response = parse_response(head(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked"), b"GET")
        self.assertIs(outgoing(response, old.request), Kind.UNTIL_CLOSE)
        self.assertEqual(
            self.framing(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked", to=old, close=True), [b"Connection: close"]
        )

    def test_no_body(self) -> None:
        """D-50: HEAD and 304 keep the length that they speak of, 204 and 103 have none."""
        asked = answering(line=b"HEAD / HTTP/1.1")
        self.assertEqual(self.framing(b"HTTP/1.1 200 OK", b"Content-Length: 7", to=asked), [b"Content-Length: 7"])
        self.assertEqual(self.framing(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked", to=asked), [])
        self.assertEqual(self.framing(b"HTTP/1.1 304 X", b"Content-Length: 7"), [b"Content-Length: 7"])
        self.assertEqual(self.framing(b"HTTP/1.1 204 X", b"Content-Length: 7"), [])
        self.assertEqual(self.framing(b"HTTP/1.1 103 X", b"Content-Length: 7", b"Link: </a>"), [b"Link: </a>"])

    def test_switch(self) -> None:
        """D-53: a 101 says what it switches to."""
        lines = self.framing(
            b"HTTP/1.1 101 X", b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Accept: k"
        )
        self.assertEqual(lines, [b"Sec-WebSocket-Accept: k", b"Connection: Upgrade", b"Upgrade: websocket"])
