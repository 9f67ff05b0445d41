"""Where a head ends and what it may hold."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.proxy.heads import (
    LONGEST_FIRST_LINE,
    LONGEST_HEAD,
    MOST_FIELDS,
    MalformedMessage,
    cut_head,
    is_field_line,
    parse_fields,
    tokens,
    values,
)


def status_of(data: bytes) -> int | None:
    """Return the status with which a buffer is refused, None when it is not."""
    try:
        cut_head(data)
    except MalformedMessage as error:
        return error.status
    return None


class CutHeadTests(SynchronousTestCase):
    """The first blank line, and the limits up to it (D-54)."""

    def test_cut(self) -> None:
        """A head ends with the first blank line; what follows is not looked at."""
        self.assertEqual(cut_head(b"A\r\nB: c\r\n\r\nrest\n\x00"), (b"A\r\nB: c\r\n\r\n", b"rest\n\x00"))
        self.assertIsNone(cut_head(b"A\r\nB: c\r\n\r"))

    def test_limits(self) -> None:
        """D-54: lines and heads have a length that they may reach and not pass."""
        line, head = b"x" * LONGEST_FIRST_LINE, b"GET / HTTP/1.1\r\nA: "
        self.assertIsNone(status_of(line + b"\r"))
        self.assertIsNone(status_of(line + b"\r\n"))
        self.assertEqual(status_of(line + b"xx"), 414)
        self.assertEqual(status_of(line + b"x\r\n\r\n"), 414)
        self.assertIsNone(status_of(head + b"x" * (LONGEST_HEAD - len(head) - 4) + b"\r\n\r\n"))
        self.assertEqual(status_of(head + b"x" * (LONGEST_HEAD - len(head) - 3) + b"\r\n\r\n"), 431)
        self.assertEqual(status_of(head + b"x" * LONGEST_HEAD), 431)

    def test_bytes(self) -> None:
        """A lone CR or LF and control characters are refused at once, not when the head is whole."""
        for bad in (b"a\nb", b"\n", b"a\rb", b"a\x00", b"a\x07", b"a\x0b", b"a\x0c", b"a\x7f"):
            self.assertEqual(status_of(bad), 400, bad)
        self.assertIsNone(status_of(b"a\tb\xe9\r"))

    @settings(deadline=None, max_examples=300)
    @given(st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b"a", b": ", b"\x00", b"x" * 8190, b"y" * 11000])))
    def test_cuts_do_not_matter(self, parts: list[bytes]) -> None:
        """The verdict is the same whether bytes come one by one or at once (the first that shows is the one)."""
        data = b"".join(parts)
        steps = sorted({*range(min(len(data), 40)), *range(8180, min(len(data), 8200)), len(data)})
        early = next((found for end in steps if (found := status_of(data[:end]))), None)
        if early is not None:
            self.assertEqual(status_of(data), early)


class FieldTests(SynchronousTestCase):
    """Lines of the form name:value."""

    def test_fields(self) -> None:
        """Names keep their case and have a lower one; white space around values goes."""
        fields = parse_fields(b"Host:x\r\nX-A: \t b c \t\r\nEmpty:\r\nhost: y\xe9\r\n")
        self.assertEqual(fields[1], (b"X-A", b"x-a", b"b c"))
        self.assertEqual(fields[2], (b"Empty", b"empty", b""))
        self.assertEqual(values(fields, b"host"), [b"x", b"y\xe9"])
        self.assertEqual(parse_fields(b""), ())

    def test_no_fields(self) -> None:
        """Folded lines, blanks before the colon and anything else that parsers differ about are refused."""
        for line in (
            b" A: b",
            b"A : b",
            b"A\t: b",
            b"A",
            b": b",
            b"A: b\r\n folded",
            b"A: b\r\n\tfolded",
            b"\xe9: b",
            b"A(: b",
            b"A: b\x00",
            b"A: b\x0bc",
            b"A: b\rc",
            b"A: b\nC: d",
            b'"A": b',
        ):
            with self.assertRaises(MalformedMessage, msg=repr(line)) as caught:
                parse_fields(line + b"\r\n")
            self.assertEqual(caught.exception.status, 400)
            self.assertFalse(is_field_line(line))
        self.assertTrue(is_field_line(b"A: b"))

    def test_number(self) -> None:
        """D-54: so many fields and no more."""
        self.assertEqual(len(parse_fields(b"A: b\r\n" * MOST_FIELDS)), MOST_FIELDS)
        with self.assertRaises(MalformedMessage) as caught:
            parse_fields(b"A: b\r\n" * (MOST_FIELDS + 1))
        self.assertEqual(caught.exception.status, 431)

    def test_tokens(self) -> None:
        """Lists are taken together, in lower case; empty members do not count."""
        fields = parse_fields(b"Connection: Close, ,X-A\r\nConnection:\tkeep-alive\r\n")
        self.assertEqual(tokens(fields, b"connection"), {b"close", b"x-a", b"keep-alive"})
        with self.assertRaises(MalformedMessage):
            tokens(parse_fields(b"Connection: close; x\r\n"), b"connection")

    @settings(deadline=None)
    @given(st.binary(max_size=200))
    def test_anything(self, data: bytes) -> None:
        """Any bytes are fields or the one error, and parsing is not slow in their number."""
        try:
            fields = parse_fields(data + b"\r\n")
        except MalformedMessage:
            return
        self.assertTrue(all(name and b"\n" not in name + value for name, _, value in fields))
