"""Tests for L{rustbalance.mesh.streams}."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.envelope import MAX_FRAME
from rustbalance.mesh.streams import Ledger, MalformedStream, Receipt, StreamReader, header, receipt

items = st.lists(st.binary(max_size=300) | st.builds(Receipt, st.integers(0, 2**31 - 1)), max_size=12)


def written(item: bytes | Receipt) -> bytes:
    """Return an item as it goes over the wire."""
    return receipt(item.count) if isinstance(item, Receipt) else header(item) + item


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """Cut ``data`` at positions that a test has drawn."""
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def read(reader: StreamReader, data: bytes) -> list[bytes | Receipt]:
    """Feed ``data`` and return what it completes."""
    reader.feed(data)
    found = []
    while (item := reader.next()) is not None:
        found.append(item)
    return found


class StreamReaderTests(SynchronousTestCase):
    """L{StreamReader} reads what L{header} and L{receipt} write."""

    @settings(deadline=None)
    @given(items, st.lists(st.integers(0, 10_000), max_size=20))
    def test_any_cut(self, said: list[bytes | Receipt], cuts: list[int]) -> None:
        """However the network cuts a stream, the same frames and receipts come out, in order."""
        reader = StreamReader()
        data = b"".join(written(item) for item in said)
        found = [item for piece in pieces(data, cuts) for item in read(reader, piece)]
        self.assertEqual(found, said)
        self.assertFalse(reader.partial)

    @settings(deadline=None)
    @given(st.binary(max_size=2000))
    def test_any_bytes(self, data: bytes) -> None:
        """Whatever a stranger sends is read or refused by the one error, and what is kept never exceeds what came."""
        reader = StreamReader(limit=100)
        try:
            found = read(reader, data)
        except MalformedStream:
            return
        self.assertLessEqual(sum(len(written(item)) for item in found), len(data))

    def test_wire_format(self) -> None:
        """The bytes are those that the documentation shows."""
        self.assertEqual(header(b"abc") + b"abc", b"\x00\x00\x00\x03abc")
        self.assertEqual(header(b""), bytes(4))
        self.assertEqual(receipt(5), b"\x80\x00\x00\x05")
        self.assertEqual(receipt(2**31 + 5), receipt(5))

    def test_the_longest_frame(self) -> None:
        """A frame of exactly the limit passes; one byte more is refused before any of it is taken."""
        frame = bytes(MAX_FRAME)
        self.assertEqual(read(StreamReader(), header(frame) + frame), [frame])
        too_long = (MAX_FRAME + 1).to_bytes(4, "big")
        with self.assertRaisesRegex(MalformedStream, "at most 1048576 bytes, not 1048577"):
            read(StreamReader(), too_long)

    def test_partial(self) -> None:
        """A frame that has begun is known to have."""
        reader = StreamReader()
        self.assertEqual(read(reader, b"\x00\x00\x00\x03a"), [])
        self.assertTrue(reader.partial)
        self.assertEqual(read(reader, b"bc"), [b"abc"])
        self.assertFalse(reader.partial)


class LedgerTests(SynchronousTestCase):
    """L{Ledger} knows what is owed and since when."""

    def test_owes_nothing(self) -> None:
        """On a stream on which nothing was sent no answer is overdue, however long it is open."""
        ledger = Ledger(10.0)
        self.assertEqual((ledger.overdue(99.0), ledger.outstanding), (0.0, 0))

    def test_overdue_counts_from_the_first_unconfirmed_frame(self) -> None:
        """More frames do not put off the day on which an answer is late; a sign of life does."""
        ledger = Ledger(0.0)
        ledger.said(5.0)
        ledger.said(8.0)
        self.assertEqual(ledger.overdue(9.0), 4.0)
        ledger.heard(9.0)
        self.assertEqual(ledger.overdue(10.0), 1.0)

    def test_confirmed(self) -> None:
        """With everything confirmed nothing is owed, and the next frame begins a new wait."""
        ledger = Ledger(0.0)
        ledger.said(1.0)
        ledger.said(2.0)
        ledger.confirm(1)
        self.assertEqual(ledger.outstanding, 1)
        ledger.confirm(2)
        self.assertEqual((ledger.outstanding, ledger.overdue(50.0)), (0, 0.0))
        ledger.said(60.0)
        self.assertEqual(ledger.overdue(61.0), 1.0)

    def test_receipts_for_nothing(self) -> None:
        """Nobody can confirm more than was sent, or take a receipt back."""
        ledger = Ledger(0.0)
        ledger.said(0.0)
        self.assertRaises(MalformedStream, ledger.confirm, 2)
        ledger.confirm(1)
        ledger.confirm(1)
        self.assertRaises(MalformedStream, ledger.confirm, 0)

    def test_counts_wrap(self) -> None:
        """After 2^31 frames the count begins again, and receipts still mean what they say."""
        ledger = Ledger(0.0)
        ledger.sent = ledger.confirmed = 2**31 - 1
        ledger.said(0.0)
        ledger.said(0.0)
        ledger.confirm(1)
        self.assertEqual(ledger.outstanding, 0)
