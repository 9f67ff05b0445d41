"""Bodies in pieces of any size."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.proxy.bodies import BodyReader, body_reader, frame, last_frame
from rustbalance.proxy.framing import CHUNKED, NO_BODY, UNTIL_CLOSE, Framing, Kind
from rustbalance.proxy.heads import MalformedMessage

GOOD = {
    b"0\r\n\r\n": b"",
    b"5\r\nhello\r\n0\r\n\r\n": b"hello",
    b"0005\r\nhello\r\n1\r\n!\r\n000\r\n\r\n": b"hello!",
    b"A\r\n0123456789\r\n0\r\n\r\n": b"0123456789",
    b'5;a=b;c="d e"\r\nhello\r\n0;last\r\n\r\n': b"hello",
    b"1\r\na\r\n0\r\nX-Sum: 1\r\nX-More: \xe9\r\n\r\n": b"a",
}
BAD = (
    b"\r\n",
    b"g\r\n",
    b"-1\r\n",
    b"+5\r\nhello\r\n",
    b"0x5\r\nhello\r\n",
    b"5_0\r\n",
    b"5 \r\nhello\r\n",
    b" 5\r\n",
    b"5\t;a\r\n",
    b"5\nhello\r\n",
    b"5\r\nhello\n0\r\n\r\n",
    b"5\r\nhelloX\r\n",
    b"5\r\nhello0\r\n\r\n",
    b"5;a\nb\r\nhello",
    b"5;a\rb\r\nhello",
    b"5;a\x00b\r\nhello",
    b"5;" + b"x" * 300,
    b"10000000000000000\r\n",
    b"ffffffffffffffff\r\n",
    b"4000000000000001\r\n",
    b"\xd9\xa3\r\n",
    b"0\r\n\n",
    b"0\r\nno field\r\n\r\n",
    b"0\r\nContent-Length: 3\r\n\r\n",
    b"0\r\ntransfer-encoding: chunked\r\n\r\n",
    b"0\r\nA: b\n\r\n",
    b"0\r\n A: b\r\n\r\n",
    b"0\r\nA: " + b"b" * 9000,
    b"0\r\n" + b"A: bbbbbbbbbb\r\n" * 700,
    b"0" * 300,
)


def read(reader: BodyReader, data: bytes, size: int) -> tuple[bytes, bytes]:
    """Hand over ``data`` in pieces; return the content and what is left behind the body."""
    content, rest = b"", b""
    for start in range(0, len(data), size):
        piece = data[start : start + size]
        if reader.done:
            rest += piece
        else:
            some, left = reader.read(piece)
            content += some
            rest += left
    return content, rest


class ChunkedTests(SynchronousTestCase):
    """Chunked bodies (D-52)."""

    def test_good(self) -> None:
        """Content comes out, extensions and trailers do not, and what follows stays untouched."""
        for text, content in GOOD.items():
            for size in (1, 2, 3, 1000):
                reader = body_reader(CHUNKED)
                self.assertEqual(read(reader, text + b"GET /next", size), (content, b"GET /next"), text)
                self.assertTrue(reader.done)

    def test_bad(self) -> None:
        """Whatever two decoders might read differently is refused, byte by byte as at once."""
        for text in BAD:
            for size in (1, 7, 100000):
                with self.assertRaises(MalformedMessage, msg=repr(text[:60])):
                    read(body_reader(CHUNKED), text, size)

    def test_cut_off(self) -> None:
        """An end before the last chunk is never a good one."""
        for text in GOOD:
            for end in range(len(text)):
                reader = body_reader(CHUNKED)
                read(reader, text[:end], 3)
                self.assertRaises(MalformedMessage, reader.end)

    def test_many_small_chunks(self) -> None:
        """A hundred thousand chunks of a byte are decoded in one go."""
        content, _ = body_reader(CHUNKED).read(b"1\r\na\r\n" * 100000)
        self.assertEqual(len(content), 100000)

    @settings(deadline=None)
    @given(st.lists(st.binary(min_size=1, max_size=40)), st.integers(1, 50), st.binary(max_size=9))
    def test_what_we_frame(self, pieces: list[bytes], size: int, rest: bytes) -> None:
        """Our frames decode to what was framed, however they are cut."""
        text = b"".join(b"".join(frame(Kind.CHUNKED, piece)) for piece in pieces) + b"".join(last_frame(Kind.CHUNKED))
        reader = body_reader(CHUNKED)
        self.assertEqual(read(reader, text + rest, size), (b"".join(pieces), rest))
        self.assertTrue(reader.done)
        reader.end()

    @settings(deadline=None, max_examples=300)
    @given(st.lists(st.sampled_from([b"\r\n", b"\n", b"\r", b"0", b"3", b";a", b"A: b", b"abc", b"\xff"])))
    def test_cuts_do_not_matter(self, parts: list[bytes]) -> None:
        """Any bytes give the same content and the same verdict, one by one and at once."""
        data = b"".join(parts)
        self.assertEqual(self.outcome(data, 1), self.outcome(data, len(data) or 1))

    def outcome(self, data: bytes, size: int) -> object:
        """Return what becomes of ``data``."""
        reader = body_reader(CHUNKED)
        try:
            return read(reader, data, size), reader.done
        except MalformedMessage:
            return "malformed"


class OtherBodiesTests(SynchronousTestCase):
    """Bodies by length, until the end, and none."""

    def test_measured(self) -> None:
        """So many bytes and no more."""
        for size in (1, 2, 100):
            reader = body_reader(Framing(Kind.LENGTH, 5))
            self.assertEqual(read(reader, b"helloGET", size), (b"hello", b"GET"))
            reader.end()

    def test_measured_cut_off(self) -> None:
        """D-51: fewer bytes than promised is no end."""
        reader = body_reader(Framing(Kind.LENGTH, 5))
        read(reader, b"hell", 4)
        self.assertRaises(MalformedMessage, reader.end)

    def test_none(self) -> None:
        """No body, and a body of no bytes, are complete from the beginning."""
        for framing in (NO_BODY, Framing(Kind.LENGTH, 0)):
            self.assertTrue(body_reader(framing).done)

    def test_until_close(self) -> None:
        """D-51: any bytes until the end, which completes the body."""
        reader = body_reader(UNTIL_CLOSE)
        self.assertEqual(reader.read(b"\xff\r\n\r\nHTTP/1.1 200"), (b"\xff\r\n\r\nHTTP/1.1 200", b""))
        self.assertFalse(reader.done)
        reader.end()
        self.assertTrue(reader.done)

    def test_plain_frames(self) -> None:
        """Only chunked bodies need frames."""
        for kind in (Kind.LENGTH, Kind.UNTIL_CLOSE, Kind.NONE):
            self.assertEqual((frame(kind, b"x"), last_frame(kind)), ((b"x",), ()))
