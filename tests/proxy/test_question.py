"""The whole of an answer, however it is cut, and what is none."""

from twisted.internet.defer import CancelledError
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.proxy.question import Answer, NoAnswer, Question

LONGEST = 10


class Hello(Question):
    """Sends one word."""

    def ask(self) -> None:
        """Send it."""
        self.transport.write(b"hello")


class QuestionTests(SynchronousTestCase):
    """One question each."""

    def setUp(self) -> None:
        """Connect."""
        self.question, self.wire = Hello(b"GET", LONGEST), StringTransport()
        self.question.makeConnection(self.wire)

    def answer(self) -> Answer:
        """Return the answer, after which the stream is ended."""
        self.assertTrue(self.wire.disconnected)
        return self.successResultOf(self.question.answered)

    def test_asks(self) -> None:
        """The request goes out as soon as there is a stream."""
        self.assertEqual(self.wire.value(), b"hello")
        self.assertNoResult(self.question.answered)

    def test_pieces(self) -> None:
        """An answer comes in pieces of any size, after interim ones, and its end is where it says."""
        for octet in b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 2\r\nA: b\r\n\r\nok":
            self.assertNoResult(self.question.answered)
            self.question.dataReceived(bytes([octet]))
        answer = self.answer()
        self.assertEqual((answer.head.status, answer.body), (404, b"ok"))
        self.question.dataReceived(b"more, which nobody reads")
        self.question.connectionLost()

    def test_until_close(self) -> None:
        """An answer without a length ends with its stream."""
        self.question.dataReceived(b"HTTP/1.1 200 OK\r\n\r\nwords")
        self.assertNoResult(self.question.answered)
        self.question.connectionLost()
        self.assertEqual(self.answer().body, b"words")

    def test_too_long(self) -> None:
        """It is read one byte beyond the bound, whatever has arrived already, so that it is seen to be too long."""
        self.question.dataReceived(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + bytes(50))
        self.assertEqual(len(self.answer().body), LONGEST + 1)

    def test_none(self) -> None:
        """Nothing, half an answer, and what is no HTTP: one error, once."""
        half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"
        for said in (b"", half, b"HTTP/1.1 200 OK\r\n", b"SSH-2.0-x\r\n"):
            self.setUp()
            self.question.dataReceived(said)
            self.question.connectionLost()
            self.failureResultOf(self.question.answered, NoAnswer)
            self.question.connectionLost()

    def test_cancelled(self) -> None:
        """Whoever gives up ends the stream."""
        self.question.answered.cancel()
        self.failureResultOf(self.question.answered, CancelledError)
        self.assertTrue(self.wire.disconnected)
