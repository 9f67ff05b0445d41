"""Requests as visitors send them."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.proxy.framing import CHUNKED, NO_BODY
from rustbalance.proxy.heads import MalformedMessage
from rustbalance.proxy.request import RequestHead, parse_request


def head(line: bytes, *fields: bytes) -> bytes:
    """Return a head."""
    return b"\r\n".join([line, *fields, b"", b""])


def parse(line: bytes, *fields: bytes) -> RequestHead:
    """Read a head with a Host."""
    return parse_request(head(line, b"Host: Master.onion", *fields))


class RequestLineTests(SynchronousTestCase):
    """Method, target, version."""

    def test_any_token_is_a_method(self) -> None:
        """D-53: methods that we have not heard of go through like the others, with their Host rewritten."""
        for method in (b"GET", b"PROPFIND", b"get", b"M-SEARCH", b"X!"):
            self.assertEqual(parse(method + b" /a?b HTTP/1.1").method, method)

    def test_refused_methods(self) -> None:
        """D-53: CONNECT and TRACE are answered here."""
        for line in (b"CONNECT master.onion:80 HTTP/1.1", b"TRACE / HTTP/1.1"):
            with self.assertRaises(MalformedMessage) as caught:
                parse(line)
            self.assertEqual(caught.exception.status, 501)

    def test_no_request_lines(self) -> None:
        """Other versions, other blanks, other bytes: refused."""
        for line in (
            b"GET / HTTP/1.2",
            b"GET / HTTP/2.0",
            b"GET / HTTP/0.9",
            b"GET /",
            b"GET  / HTTP/1.1",
            b"",
            b"GET /  HTTP/1.1",
            b"GET\t/ HTTP/1.1",
            b"GET / HTTP/1.1 ",
            b" GET / HTTP/1.1",
            b"GET / http/1.1",
            b"GET / HTTP/1.10",
            b"GET / HTTP/01.1",
            b"GET /a b HTTP/1.1",
            b"GET /#x HTTP/1.1",
            b"GET /\xc3\xa9 HTTP/1.1",
            b"GET a HTTP/1.1",
            b"GET ../a HTTP/1.1",
            b"GET * HTTP/1.1",
            b"GET ftp://master.onion/ HTTP/1.1",
            b"GET master.onion:80 HTTP/1.1",
            b"G(T / HTTP/1.1",
            b"GET / HTTP/1.1\x0b",
        ):
            with self.assertRaises(MalformedMessage, msg=repr(line)) as caught:
                parse(line)
            self.assertEqual(caught.exception.status, 400)

    def test_absolute_form(self) -> None:
        """The absolute form becomes the origin form, if it names the host that Host names."""
        for line, target in (
            (b"GET http://master.onion/a?b HTTP/1.1", b"/a?b"),
            (b"GET HTTP://MASTER.ONION HTTP/1.1", b"/"),
            (b"GET https://master.onion?x HTTP/1.1", b"/?x"),
            (b"OPTIONS http://master.onion HTTP/1.1", b"*"),
            (b"OPTIONS * HTTP/1.1", b"*"),
        ):
            self.assertEqual(parse(line).target, target)
        for url in (b"http://evil.onion/", b"http://x@master.onion/", b"http:///", b"http://master.onion:81/"):
            self.assertRaises(MalformedMessage, parse, b"GET " + url + b" HTTP/1.1")


class HostTests(SynchronousTestCase):
    """D-54: exactly one Host, and a proper one."""

    def test_good(self) -> None:
        """Names, addresses and ports."""
        for host in (b"a", b"A.onion:8080", b"127.0.0.1", b"[::1]:80", b"a_b.c", b"a:"):
            request = parse_request(head(b"GET / HTTP/1.1", b"Host: " + host))
            self.assertEqual(request.host, host.lower())

    def test_bad(self) -> None:
        """None, two, empty ones, users, paths, lists, anything else."""
        for fields in (
            (),
            (b"Host: a", b"Host: a"),
            (b"Host:",),
            (b"Host: u@a",),
            (b"Host: a/b",),
            (b"Host: a, b",),
            (b"Host: a b",),
            (b"Host: a:b",),
            (b"Host: a:123456",),
            (b"Host: \xe9",),
            (b"Host: [",),
            (b"Host: a?b",),
            (b"Host: a#b",),
            (b"Host: a%00b",),
            (b"Host: a\\b",),
        ):
            with self.assertRaises(MalformedMessage, msg=repr(fields)) as caught:
                parse_request(head(b"GET / HTTP/1.1", *fields))
            self.assertEqual(caught.exception.status, 400)

    def test_old_version(self) -> None:
        """HTTP/1.0 knew no Host, and may do without; two are two all the same."""
        self.assertIsNone(parse_request(head(b"GET / HTTP/1.0")).host)
        self.assertRaises(MalformedMessage, parse_request, head(b"GET / HTTP/1.0", b"Host: a", b"Host: a"))


class MeaningTests(SynchronousTestCase):
    """What a request says about its connection."""

    def test_connection(self) -> None:
        """Who closes, and which fields end here; a list may use blanks (a close behind a comma is one)."""
        self.assertTrue(parse(b"GET / HTTP/1.1").keep_alive)
        self.assertFalse(parse(b"GET / HTTP/1.1", b"Connection: TE , Close").keep_alive)
        self.assertFalse(parse(b"GET / HTTP/1.0", b"Connection: keep-alive").keep_alive)
        self.assertIn(b"x-a", parse(b"GET / HTTP/1.1", b"Connection: X-A").nominated)

    def test_nominations(self) -> None:
        """A field that must arrive cannot be taken away by naming it in Connection."""
        for name in (b"Host", b"cookie", b"Authorization", b"Content-Length"):
            self.assertRaises(MalformedMessage, parse, b"GET / HTTP/1.1", b"Connection: close, " + name)

    def test_websocket(self) -> None:
        """D-53: WebSocket may be asked for, by a GET without a body, and nothing else (no h2c)."""
        upgrade = b"Connection: keep-alive, Upgrade"
        self.assertTrue(parse(b"GET / HTTP/1.1", upgrade, b"Upgrade: WebSocket").websocket)
        for line, fields in (
            (b"GET / HTTP/1.1", (upgrade, b"Upgrade: h2c")),
            (b"GET / HTTP/1.1", (upgrade, b"Upgrade: websocket, h2c")),
            (b"GET / HTTP/1.1", (b"Upgrade: websocket",)),
            (b"POST / HTTP/1.1", (upgrade, b"Upgrade: websocket")),
            (b"GET / HTTP/1.0", (upgrade, b"Upgrade: websocket")),
            (b"GET / HTTP/1.1", (upgrade, b"Upgrade: websocket", b"Content-Length: 1")),
        ):
            self.assertFalse(parse(line, *fields).websocket, fields)

    def test_expect(self) -> None:
        """Only HTTP/1.1 may wait for a 100."""
        self.assertTrue(parse(b"PUT / HTTP/1.1", b"Expect: 100-Continue").expects_continue)
        self.assertFalse(parse(b"PUT / HTTP/1.0", b"Expect: 100-continue").expects_continue)
        self.assertFalse(parse(b"PUT / HTTP/1.1", b"Expect: miracles").expects_continue)

    def test_repeatable(self) -> None:
        """Only what does no harm twice, and has no body, may be sent again."""
        self.assertTrue(parse(b"GET / HTTP/1.1").repeatable)
        self.assertFalse(parse(b"POST / HTTP/1.1").repeatable)
        self.assertFalse(parse(b"PUT / HTTP/1.1", b"Content-Length: 1").repeatable)

    def test_bodies_on_any_method(self) -> None:
        """D-52: GET and DELETE may have a body too; it belongs to them and is never read as the next request."""
        self.assertEqual(parse(b"GET / HTTP/1.1", b"Transfer-Encoding: chunked").framing, CHUNKED)
        self.assertEqual(parse(b"POST / HTTP/1.1").framing, NO_BODY)
