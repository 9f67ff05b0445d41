"""Streams cut into messages: the same whatever the pieces."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.proxy.heads import MalformedMessage
from rustbalance.proxy.reading import MOST_INTERIM, RequestReader, ResponseReader

STREAM = (
    b"GET /a HTTP/1.1\r\nHost: m\r\n\r\n"
    b"POST /b HTTP/1.1\r\nHost: m\r\nContent-Length: 5\r\n\r\nhello"
    b"PUT /c HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n2\r\nde\r\n0\r\nT: u\r\n\r\n"
    b"GET /d HTTP/1.1\r\nHost: m\r\n\r\n"
)
SEEN = [(b"/a", b""), (b"/b", b"hello"), (b"/c", b"abcde"), (b"/d", b"")]


def read_requests(data: bytes, size: int) -> tuple[list[tuple[bytes, bytes]], object]:
    """Return the complete requests in ``data`` and how it ended: a status, or bytes that wait."""
    reader, done, target, body = RequestReader(), [], b"", b""
    try:
        for start in range(0, len(data), size):
            reader.feed(data[start : start + size])
            while True:
                head = reader.next_head()
                target = head.target if head is not None else target
                body += reader.next_content()
                if not reader.complete:
                    break
                done.append((target, body))
                target, body = b"", b""
                reader.restart()
    except MalformedMessage as error:
        return done, error.status
    return done, (target, body)


class RequestReaderTests(SynchronousTestCase):
    """What visitors send."""

    def test_pipelined(self) -> None:
        """D-52: one request after another, bodies and all, in pieces of any size."""
        for size in (*range(1, 20), len(STREAM)):
            self.assertEqual(read_requests(STREAM, size)[0], SEEN)

    def test_nothing_behind_an_error(self) -> None:
        """D-52: behind a request that was refused there is none."""
        bad = b"POST /b HTTP/1.1\r\nHost: m\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        for size in (1, 1000):
            self.assertEqual(read_requests(STREAM[:29] + bad + STREAM, size), (SEEN[:1], 400))

    def test_rest(self) -> None:
        """What is not understood can be taken out, for a tunnel."""
        reader = RequestReader()
        reader.feed(b"GET / HTTP/1.1\r\nHost: m\r\n\r\n\x81\x05hello")
        self.assertIsNotNone(reader.next_head())
        self.assertEqual((reader.pending, reader.take_rest(), reader.pending), (7, b"\x81\x05hello", 0))

    @settings(deadline=None, max_examples=300)
    @given(st.binary(max_size=300), st.integers(1, 9))
    def test_anything(self, data: bytes, size: int) -> None:
        """Any bytes are requests, the beginning of one, or the one error."""
        self.assertEqual(read_requests(data, size), read_requests(data, len(data) or 1))

    @settings(deadline=None, max_examples=500)
    @given(
        st.integers(0, len(STREAM)),
        st.integers(0, 6),
        st.sampled_from(
            [b"", b"\r", b"\n", b"\r\n", b"\x00", b" ", b":", b"0", b"Content-Length: 3\r\n", b"\xff", b"x" * 9000]
        ),
        st.integers(1, 40),
    )
    def test_damaged(self, at: int, gone: int, put: bytes, size: int) -> None:
        """A stream that is damaged anywhere is read the same way, whatever the pieces."""
        data = STREAM[:at] + put + STREAM[at + gone :]
        self.assertEqual(read_requests(data, size), read_requests(data, len(data)))


class ResponseReaderTests(SynchronousTestCase):
    """What the target sends."""

    def test_interim_then_final(self) -> None:
        """Heads of interim answers come before the one with the body."""
        reader = ResponseReader(b"GET")
        reader.feed(
            b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 103 E\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi!"
        )
        heads = [head.status for head in iter(reader.next_head, None)]
        self.assertEqual(heads, [100, 103, 200])
        self.assertEqual((reader.next_content(), reader.complete, reader.pending), (b"hi", True, 1))

    def test_interim_flood(self) -> None:
        """A target cannot go on for ever without an answer."""
        reader = ResponseReader(b"GET")
        reader.feed(b"HTTP/1.1 102 P\r\n\r\n" * (MOST_INTERIM + 1))
        self.assertRaises(MalformedMessage, list, iter(reader.next_head, None))

    def test_head_leaves_the_next_answer_alone(self) -> None:
        """D-50: the length in an answer to HEAD eats nothing of what follows."""
        reader = ResponseReader(b"HEAD")
        reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        self.assertIsNotNone(reader.next_head())
        self.assertTrue(reader.complete)

    def test_end(self) -> None:
        """D-51: the end completes a body without a length, and is an error before and within any other answer."""
        for data, complete in (
            (b"", False),
            (b"HTTP/1.1 200 OK\r\n", False),
            (b"HTTP/1.1 200 OK\r\n\r\nbinary \xff\x00", True),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", False),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", False),
        ):
            reader = ResponseReader(b"GET")
            reader.feed(data)
            reader.next_head()
            reader.next_content()
            if complete:
                reader.end()
                self.assertTrue(reader.complete)
            else:
                self.assertRaises(MalformedMessage, reader.end)

    @settings(deadline=None, max_examples=300)
    @given(st.binary(max_size=200))
    def test_anything(self, data: bytes) -> None:
        """Any bytes are an answer, the beginning of one, or the one error."""
        reader = ResponseReader(b"GET")
        try:
            reader.feed(data)
            reader.next_head()
            reader.next_content()
            reader.end()
        except MalformedMessage:
            pass
