"""The one decision about the length of a body."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.proxy.framing import (
    CHUNKED,
    LONGEST_BODY,
    NO_BODY,
    UNTIL_CLOSE,
    Framing,
    Kind,
    request_framing,
    response_framing,
)
from rustbalance.proxy.heads import MalformedMessage, parse_fields

#: Field lines and the status with which a request with them is refused; the rows of the strictness table.
AMBIGUOUS = {
    b"Content-Length: 3|Transfer-Encoding: chunked": 400,
    b"Transfer-Encoding: chunked|Content-Length: 3": 400,
    b"Content-Length: 3|Content-Length: 3": 400,
    b"Content-Length: 3|Content-Length: 4": 400,
    b"Content-Length: 3, 3": 400,
    b"Content-Length: +3": 400,
    b"Content-Length: -3": 400,
    b"Content-Length: 0x3": 400,
    b"Content-Length: 3_0": 400,
    b"Content-Length: 3 0": 400,
    b"Content-Length: \xd9\xa3": 400,
    b"Content-Length: \xb3": 400,
    b"Content-Length:": 400,
    b"Content-Length: 9223372036854775808": 413,
    b"Content-Length: 18446744073709551615": 413,
    b"Content-Length: 999999999999999999999999999999": 413,
    b"Transfer-Encoding: gzip, chunked": 501,
    b"Transfer-Encoding: chunked, gzip": 501,
    b"Transfer-Encoding: , chunked": 501,
    b"Transfer-Encoding: chunked,": 501,
    b"Transfer-Encoding: chunked, chunked": 501,
    b"Transfer-Encoding: identity": 501,
    b"Transfer-Encoding: chunked;q=1": 501,
    b"Transfer-Encoding: xchunked": 501,
    b"Transfer-Encoding: identity|Content-Length: 3": 400,
    b"Transfer-Encoding:": 400,
    b'Transfer-Encoding: "chunked"': 400,
    b"Transfer-Encoding: chunked|Transfer-Encoding: chunked": 400,
    b"Transfer-Encoding: chunked|Transfer-Encoding: identity": 400,
}


def lines(text: bytes) -> bytes:
    """Return field lines from a row of the table."""
    return text.replace(b"|", b"\r\n") + b"\r\n"


class RequestFramingTests(SynchronousTestCase):
    """Requests (D-48, D-52)."""

    def test_ambiguous(self) -> None:
        """D-52: what two parsers may read differently is refused, with the right status."""
        for text, status in AMBIGUOUS.items():
            with self.assertRaises(MalformedMessage, msg=repr(text)) as caught:
                request_framing(parse_fields(lines(text)), 1)
            self.assertEqual(caught.exception.status, status, text)

    def test_clear(self) -> None:
        """D-48: a length is only a number, however large; nothing is allocated for it."""
        for text, framing in (
            (b"Content-Length: 0", Framing(Kind.LENGTH, 0)),
            (b"Content-Length: 0007", Framing(Kind.LENGTH, 7)),
            (b"Content-Length: 1099511627776", Framing(Kind.LENGTH, 2**40)),
            (b"Content-Length: %d" % LONGEST_BODY, Framing(Kind.LENGTH, LONGEST_BODY)),
            (b"Transfer-Encoding: Chunked", CHUNKED),
            (b"Accept: x", NO_BODY),
        ):
            self.assertEqual(request_framing(parse_fields(lines(text)), 1), framing, text)

    def test_old_version(self) -> None:
        """HTTP/1.0 has no transfer codings."""
        with self.assertRaises(MalformedMessage):
            request_framing(parse_fields(lines(b"Transfer-Encoding: chunked")), 0)


class ResponseFramingTests(SynchronousTestCase):
    """Responses, from a target that may be hostile."""

    def test_ambiguous(self) -> None:
        """D-52: a target is not believed more than a visitor, also where no body follows."""
        for text in AMBIGUOUS:
            for method, status in ((b"GET", 200), (b"HEAD", 200), (b"GET", 304)):
                with self.assertRaises(MalformedMessage, msg=repr(text)):
                    response_framing(parse_fields(lines(text)), 1, status, method)

    def test_no_body(self) -> None:
        """D-50: HEAD, 1xx, 204 and 304 have no body, whatever length they declare."""
        fields = parse_fields(b"Content-Length: 7\r\n")
        for method, status in ((b"HEAD", 200), (b"GET", 204), (b"GET", 304), (b"GET", 103), (b"GET", 101)):
            self.assertEqual(response_framing(fields, 1, status, method), NO_BODY, (method, status))
        self.assertEqual(response_framing(parse_fields(b"Transfer-Encoding: chunked\r\n"), 1, 200, b"HEAD"), NO_BODY)

    def test_until_close(self) -> None:
        """D-51: without a length the body lasts until the connection closes; with one it does not."""
        self.assertEqual(response_framing((), 1, 200, b"GET"), UNTIL_CLOSE)
        self.assertEqual(response_framing((), 0, 404, b"POST"), UNTIL_CLOSE)
        fields = parse_fields(b"Content-Length: 7\r\n")
        self.assertEqual(response_framing(fields, 0, 200, b"GET"), Framing(Kind.LENGTH, 7))
