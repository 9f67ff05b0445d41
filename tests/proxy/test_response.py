"""Answers as targets send them."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.proxy.framing import Framing, Kind
from rustbalance.proxy.heads import MalformedMessage
from rustbalance.proxy.response import parse_response
from tests.proxy.test_request import head


class ResponseTests(SynchronousTestCase):
    """Status lines and what they mean."""

    def test_good(self) -> None:
        """Version, status, any reason or none."""
        for line, minor, status, reason in (
            (b"HTTP/1.1 200 OK", 1, 200, b"OK"),
            (b"HTTP/1.0 404 No \xe9 here", 0, 404, b"No \xe9 here"),
            (b"HTTP/1.1 204 ", 1, 204, b""),
            (b"HTTP/1.1 599", 1, 599, b""),
        ):
            response = parse_response(head(line, b"Content-Length: 3"), b"GET")
            self.assertEqual((response.minor, response.status, response.reason), (minor, status, reason))

    def test_bad(self) -> None:
        """D-51: what is no status line is not taken for one, and a head that holds a bad field not for a head."""
        for line in (
            b"HTTP/1.2 200 OK",
            b"HTTP/2 200",
            b"HTTP/1.1 20",
            b"HTTP/1.1 2000",
            b"HTTP/1.1  200",
            b"hello",
            b"HTTP/1.1 600 X",
            b"HTTP/1.1 099 X",
            b"http/1.1 200 OK",
            b"HTTP/1.1 200\tOK",
            b"",
            b"ICY 200 OK",
        ):
            self.assertRaises(MalformedMessage, parse_response, head(line), b"GET")
        self.assertRaises(MalformedMessage, parse_response, head(b"HTTP/1.1 200 OK", b"A : b"), b"GET")

    def test_keep_alive(self) -> None:
        """HTTP/1.1 stays unless it says close, HTTP/1.0 goes unless it says keep-alive."""
        for line, field, stays in (
            (b"HTTP/1.1 200 OK", b"A: b", True),
            (b"HTTP/1.1 200 OK", b"Connection: foo, close", False),
            (b"HTTP/1.0 200 OK", b"A: b", False),
            (b"HTTP/1.0 200 OK", b"Connection: Keep-Alive", True),
        ):
            self.assertIs(parse_response(head(line, field), b"GET").keep_alive, stays)

    def test_interim(self) -> None:
        """1xx is followed by another head, except 101."""
        self.assertTrue(parse_response(head(b"HTTP/1.1 100 Continue"), b"GET").interim)
        switch = parse_response(head(b"HTTP/1.1 101 X", b"Upgrade: WebSocket"), b"GET")
        self.assertFalse(switch.interim)
        self.assertTrue(switch.websocket)

    def test_framing(self) -> None:
        """D-50: the method decides with the status about the body."""
        lines = head(b"HTTP/1.1 200 OK", b"Content-Length: 3")
        self.assertEqual(parse_response(lines, b"GET").framing, Framing(Kind.LENGTH, 3))
        self.assertEqual(parse_response(lines, b"HEAD").framing.kind, Kind.NONE)
