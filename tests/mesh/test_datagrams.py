"""Tests for L{rustbalance.mesh.datagrams}: a tunnel that loses, doubles and reorders, and peers that mean no good."""

import heapq
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.envelope import MAX_FRAME
from rustbalance.mesh.datagrams import (
    ASK,
    DATAGRAM_SIZE,
    KEPT_SECS,
    LIFETIME_SECS,
    MOST_PARTIAL,
    MOST_PIECES,
    PARTIAL_SIZE,
    PIECE,
    PIECE_SIZE,
    Arrived,
    Incoming,
    Outgoing,
    piece,
)

A, B = "10.200.200.1", "10.200.200.2"


class Weather:
    """Two nodes and the tunnel between them, in simulated seconds; what B gets whole is in C{arrived}."""

    def __init__(self, seed: int, loss: float = 0.0, doubled: float = 0.0, longest: float = 0.1) -> None:
        self.random = Random(seed)
        self.loss, self.doubled, self.longest = loss, doubled, longest
        self.outgoing, self.incoming = Outgoing(self.random.getrandbits(64)), Incoming()
        self.arrived: list[bytes] = []
        self.sent = 0
        self.now = 0.0
        self._events: list[tuple[float, int, str, bytes]] = []

    def send(self, frame: bytes) -> None:
        """Let A send a frame to B."""
        for datagram in self.outgoing.split(B, frame, self.now):
            self.post(B, datagram)

    def post(self, to: str, datagram: bytes) -> None:
        """Put a datagram into the tunnel."""
        self.sent += 1
        for _ in range(1 + (self.random.random() < self.doubled)):
            if self.random.random() >= self.loss:
                due = self.now + self.random.uniform(0, self.longest)
                heapq.heappush(self._events, (due, self.random.getrandbits(32), to, datagram))

    def run(self, until: float) -> None:
        """Let time pass."""
        while True:
            next_event = self._events[0][0] if self._events else until
            next_wake = max(self.incoming.due() or until, self.now)
            if min(next_event, next_wake) >= until:
                self.now = until
                return
            self.now = min(next_event, next_wake)
            if next_event <= next_wake:
                self._deliver(*heapq.heappop(self._events)[2:])
            else:
                for ask in self.incoming.wake(self.now):
                    self.post(A, ask.datagram)

    def _deliver(self, to: str, datagram: bytes) -> None:
        if to == A:
            for again in self.outgoing.asked(B, datagram, self.now):
                self.post(B, again)
            return
        arrived = self.incoming.receive(A, datagram, self.now)
        if isinstance(arrived, Arrived):
            self.arrived.append(arrived.frame)


class TunnelTests(SynchronousTestCase):
    """From one node to the other."""

    def test_sizes(self) -> None:
        """Frames around every boundary arrive as they were, in datagrams that fit the tunnel."""
        for size in (1, PIECE_SIZE - 1, PIECE_SIZE, PIECE_SIZE + 1, 2 * PIECE_SIZE, MAX_FRAME - 1, MAX_FRAME):
            weather = Weather(size)
            frame = weather.random.randbytes(size)
            self.assertLessEqual(max(map(len, Outgoing(0).split(B, frame, 0.0))), DATAGRAM_SIZE)
            weather.send(frame)
            weather.run(1.0)
            self.assertEqual(weather.arrived, [frame])

    def test_no_frame(self) -> None:
        """Empty frames and too long ones are refused where they would begin."""
        self.assertRaises(ValueError, Outgoing(0).split, B, b"", 0.0)
        self.assertRaises(ValueError, Outgoing(0).split, B, bytes(MAX_FRAME + 1), 0.0)

    @settings(deadline=None, max_examples=60)
    @given(st.integers(0, 2**32), st.floats(0, 0.3), st.lists(st.integers(1, 60_000), min_size=1, max_size=6))
    def test_any_weather(self, seed: int, loss: float, sizes: list[int]) -> None:
        """Whatever happens to datagrams, what arrives was sent, and nothing arrives twice from one sending."""
        weather = Weather(seed, loss, doubled=0.1)
        frames = [weather.random.randbytes(size) for size in sizes]
        for frame in frames:
            weather.send(frame)
        weather.run(60.0)
        for frame in frames:
            if len(frame) > PIECE_SIZE:
                self.assertLessEqual(weather.arrived.count(frame), 1)
        self.assertLessEqual(set(weather.arrived), set(frames))
        self.assertIsNone(weather.incoming.due())

    def test_large_frames_survive_loss(self) -> None:
        """With every tenth datagram lost, 20 frames of 100 nodes' records and one of 1 MiB all arrive."""
        weather = Weather(1, loss=0.1)
        frames = [weather.random.randbytes(30_000) for _ in range(20)]
        for frame in frames:
            weather.send(frame)
            weather.run(weather.now + 2.0)
        largest = weather.random.randbytes(MAX_FRAME)
        weather.send(largest)
        weather.run(weather.now + LIFETIME_SECS)
        self.assertEqual(sorted(weather.arrived), sorted([*frames, largest]))
        needed = 20 * 25 + MOST_PIECES
        self.assertLess(weather.sent, 1.5 * needed)

    def test_worse_than_that(self) -> None:
        """With three of ten lost, a frame of 100 kB still arrives."""
        weather = Weather(2, loss=0.3)
        weather.send(bytes(100_000))
        weather.run(LIFETIME_SECS)
        self.assertEqual(len(weather.arrived), 1)

    def test_both_numbers_of_a_restart(self) -> None:
        """A sender that was restarted is not taken for the one before."""
        weather = Weather(3)
        weather.send(b"x" * 5000)
        weather.run(1.0)
        weather.outgoing = Outgoing(weather.random.getrandbits(64))
        weather.send(b"y" * 5000)
        weather.run(2.0)
        self.assertEqual(weather.arrived, [b"x" * 5000, b"y" * 5000])


class HostileTests(SynchronousTestCase):
    """Datagrams that no honest peer sends."""

    @settings(deadline=None)
    @given(st.lists(st.binary(max_size=40) | st.binary(max_size=30).map(lambda rest: bytes([PIECE]) + rest)))
    def test_any_bytes(self, datagrams: list[bytes]) -> None:
        """Any bytes are a piece or are counted as refused, and nothing is raised on either side."""
        incoming, outgoing = Incoming(), Outgoing(0)
        outgoing.split(B, bytes(5000), 0.0)
        for datagram in datagrams:
            incoming.receive(A, datagram, 0.0)
            outgoing.asked(B, datagram, 0.0)
        incoming.wake(100.0)
        self.assertIsNone(incoming.due())

    def test_pieces_that_cannot_be(self) -> None:
        """A piece outside its frame, of the wrong length, or of a frame that would be too long is refused."""
        frame = bytes(3 * PIECE_SIZE)
        good = piece(1, frame, 0, 2)
        incoming = Incoming()
        bad = (
            good[:-1],
            good + b"x",
            piece(1, frame, 0, 2)[:13],
            bytes([9]) + good[1:],
            piece(1, bytes(PIECE_SIZE), 0, MOST_PIECES),
            good[:9] + b"\x00\x03\x00\x02" + good[13:],
            good[:9] + (MOST_PIECES - 1).to_bytes(2) * 2 + good[13:],
        )
        for datagram in bad:
            self.assertIsNone(incoming.receive(A, datagram, 0.0))
        self.assertEqual(incoming.refused, len(bad))

    def test_a_frame_that_changes_its_length(self) -> None:
        """Pieces that disagree about how many there are do not make a frame."""
        incoming = Incoming()
        incoming.receive(A, piece(1, bytes(5000), 0, 4), 0.0)
        self.assertIsNone(incoming.receive(A, piece(1, bytes(2 * PIECE_SIZE), 1, 1), 0.0))
        self.assertEqual(incoming.refused, 1)

    def test_many_beginnings(self) -> None:
        """A peer that only ever begins frames is kept to a few, and nobody else's frames suffer."""
        incoming = Incoming()
        frame = bytes(2 * PIECE_SIZE)
        incoming.receive(B, piece(1, frame, 0, 1), 0.0)
        for number in range(1000):
            incoming.receive(A, piece(number, frame, 0, 1), 0.0)
        self.assertEqual(incoming.lost, 1000 - MOST_PARTIAL)
        self.assertEqual(len(incoming.wake(1.0)), MOST_PARTIAL + 1)
        self.assertIsNotNone(incoming.receive(B, piece(1, frame, 1, 1), 1.0))

    def test_memory_in_all(self) -> None:
        """Many peers together cannot make us keep more than the bound, and the greediest loses first."""
        incoming = Incoming()
        frame = bytes(MAX_FRAME)
        incoming.receive("modest", piece(0, bytes(2 * PIECE_SIZE), 0, 1), 0.0)
        for source in range(4):
            for number in range(MOST_PARTIAL):
                for index in range(MOST_PIECES - 1):
                    incoming.receive(f"greedy{source}", piece(number, frame, index, MOST_PIECES - 1), 0.0)
        kept = sum(len(partial.pieces) * PIECE_SIZE for partial in incoming._partials())
        self.assertLessEqual(kept, PARTIAL_SIZE)
        self.assertGreater(kept, PARTIAL_SIZE - 2 * MAX_FRAME)
        self.assertIsNotNone(incoming.receive("modest", piece(0, bytes(2 * PIECE_SIZE), 1, 1), 0.0))

    def test_given_up(self) -> None:
        """A frame that stays incomplete is dropped, and no longer asked for; so is one of a peer that is gone."""
        incoming = Incoming()
        incoming.receive(A, piece(1, bytes(5000), 0, 4), 0.0)
        incoming.receive(B, piece(1, bytes(5000), 0, 4), 0.0)
        incoming.forget(B)
        asked = 0
        now = 0.0
        while (due := incoming.due()) is not None:
            now = due
            asked += len(incoming.wake(now))
        self.assertLessEqual(now, LIFETIME_SECS + 2)
        self.assertTrue(5 < asked < 20, asked)
        self.assertEqual(incoming.lost, 1)

    def test_asking_for_too_much(self) -> None:
        """A frame is sent again four times at most, to nobody but its receiver, and not for ever."""
        outgoing = Outgoing(0)
        outgoing.split(B, bytes(10 * PIECE_SIZE), 0.0)
        ask = bytes([ASK]) + (1).to_bytes(8) + b"\xff\xff"
        self.assertEqual(outgoing.asked(A, ask, 0.0), [])
        again = sum(len(outgoing.asked(B, ask, 0.0)) for _ in range(20))
        self.assertEqual(again, 40)
        outgoing.split(B, bytes(10 * PIECE_SIZE), 0.0)
        later = bytes([ASK]) + (2).to_bytes(8) + b"\x01"
        self.assertEqual(len(outgoing.asked(B, later, KEPT_SECS - 1)), 1)
        self.assertEqual(outgoing.asked(B, later, KEPT_SECS), [])
