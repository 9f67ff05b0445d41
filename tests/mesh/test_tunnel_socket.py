"""Tests for L{rustbalance.mesh.tunnel_socket}, with real sockets on loopback addresses."""

import os
import socket

from twisted.internet import reactor  # noqa: TID251  (real sockets)
from twisted.internet.error import CannotListenError, MessageLengthError
from twisted.trial.unittest import TestCase

from rustbalance.cluster.envelope import MAX_FRAME
from rustbalance.life import pause
from rustbalance.mesh.datagrams import PIECE_SIZE, Outgoing, pieces
from rustbalance.mesh.stream_carrier import monotonic
from rustbalance.mesh.tunnel_socket import QUEUE_SIZE, TunnelSocket
from tests.mesh.peers import own_loopback, until

A, B, C = (f"127.{own_loopback()}.200.{number}" for number in (1, 2, 3))


def free_port() -> int:
    """Return a UDP port that nobody uses."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((A, 0))
        return int(probe.getsockname()[1])


class TunnelSocketTests(TestCase):
    """Two ends of a tunnel."""

    timeout = 60

    def setUp(self) -> None:
        self.port = free_port()
        self.heard: dict[str, list[tuple[str, bytes]]] = {A: [], B: [], C: []}

    def end(self, address: str, *peers: str) -> TunnelSocket:
        """Return a socket at an address that hears its peers."""
        heard = self.heard[address]
        end = TunnelSocket(lambda source, frame: heard.append((source, frame)), os.getpid(), reactor, monotonic)
        end.listen(address, "lo", self.port)
        end.set_peers(peers)
        self.addCleanup(lambda: pause(reactor, 0))
        self.addCleanup(end.close)
        return end

    async def test_frames(self) -> None:
        """Frames of all sizes arrive, with the address of their sender."""
        a, _ = self.end(A, B), self.end(B, A)
        frames = [os.urandom(size) for size in (1, PIECE_SIZE, PIECE_SIZE + 1, 50_000, MAX_FRAME)]
        for frame in frames:
            a.send(B, frame)
        await until(lambda: len(self.heard[B]) == len(frames), 20)
        self.assertEqual(sorted(self.heard[B]), sorted((A, frame) for frame in frames))

    async def test_lost_pieces(self) -> None:
        """What is lost on the way is asked for and sent again, in both directions at the same time."""
        a, b = self.end(A, B), self.end(B, A)
        for end in (a, b):
            self.lose_every_tenth(end)
        ours, theirs = os.urandom(300_000), os.urandom(300_000)
        a.send(B, ours)
        b.send(A, theirs)
        await until(lambda: bool(self.heard[A] and self.heard[B]), 20)
        self.assertEqual((self.heard[A], self.heard[B]), ([(B, theirs)], [(A, ours)]))

    def lose_every_tenth(self, end: TunnelSocket) -> None:
        """Let datagrams of a socket vanish."""
        write, count = end._write, iter(range(10**9))
        self.patch(end, "_write", lambda address, datagram: next(count) % 10 and write(address, datagram))

    async def test_in_order(self) -> None:
        """
        To one peer frames leave in the order in which they were given, or it refuses the large one as a replay of what
        came before the small one; what is for another peer does not wait for that.
        """
        a, _, _ = self.end(A, B, C), self.end(B, A), self.end(C, A)
        large = os.urandom(MAX_FRAME)
        a.send(B, large)
        a.send(B, b"later")
        a.send(C, b"alive")
        await until(lambda: bool(self.heard[C]), 20)
        self.assertEqual((self.heard[C], self.heard[B]), ([(A, b"alive")], []))
        await until(lambda: len(self.heard[B]) == 2, 20)
        self.assertEqual(self.heard[B], [(A, large), (A, b"later")])
        self.assertFalse(any(a._ahead.values()))

    async def test_strangers_are_not_heard(self) -> None:
        """Only the addresses of peers are heard, and one that was a peer no longer."""
        a, b, c = self.end(A, B, C), self.end(B, A), self.end(C, A)
        a.set_peers([B])
        c.send(A, b"psst")
        b.send(A, b"hello")
        await until(lambda: bool(self.heard[A]))
        self.assertEqual(self.heard[A], [(B, b"hello")])

    async def test_closed(self) -> None:
        """Frames for a closed socket are dropped and counted; it can be opened again, and leaves no timers behind."""
        a, _ = self.end(A, B), self.end(B, A)
        a.send(B, bytes(MAX_FRAME))
        a.close()
        self.assertFalse(a.open)
        a.send(B, b"lost")
        self.assertEqual(a.dropped, 1)
        await pause(reactor, 0)
        a.listen(A, "lo", self.port)
        a.send(B, b"back")
        await until(lambda: (A, b"back") in self.heard[B])
        self.assertNotIn((A, b"lost"), self.heard[B])

    async def test_more_than_can_wait(self) -> None:
        """What would wait for too long is dropped whole and counted, and no frame is cut."""
        a, _ = self.end(A, B), self.end(B, A)
        count = QUEUE_SIZE // MAX_FRAME + 3
        for _ in range(count):
            a.send(B, bytes(MAX_FRAME))
        self.assertGreaterEqual(a.dropped, 2)
        self.assertLess(a.dropped, 5)
        a.close()

    async def test_no_way(self) -> None:
        """A datagram that the kernel refuses is counted, and nothing else suffers."""
        a, _ = self.end(A, B), self.end(B, A)
        a.send("255.255.255.255", b"to everybody, which needs a permission that we never ask for")
        self.assertEqual(a.dropped, 1)
        a.send(B, b"hello")
        await until(lambda: self.heard[B] == [(A, b"hello")])

    async def test_too_long_for_the_device(self) -> None:
        """Where somebody has made the MTU smaller, what still fits goes on, also behind what does not."""
        a, _ = self.end(A, B), self.end(B, A)
        write = a._port.write

        def narrow(datagram: bytes, address: tuple[str, int]) -> None:
            if len(datagram) > 1000:
                raise MessageLengthError("message too long")
            write(datagram, address)

        self.patch(a._port, "write", narrow)
        a.send(B, bytes(50 * PIECE_SIZE))
        a.send(B, b"hello")
        await until(lambda: (A, b"hello") in self.heard[B])
        self.assertEqual(a.dropped, 50)

    async def test_nonsense(self) -> None:
        """Datagrams that are no part of a frame do no harm."""
        a, b = self.end(A, B), self.end(B, A)
        for datagram in (b"", b"\x02", b"\x02" + bytes(8), os.urandom(200), next(pieces(1, bytes(5000)))):
            a._write(B, datagram)
        a.send(B, b"hello")
        await until(lambda: self.heard[B] == [(A, b"hello")])
        self.assertTrue(b.open)

    async def test_taken(self) -> None:
        """A port that is taken and a device that is not there are errors, after which nothing is open."""
        self.end(A, B)
        other = TunnelSocket(lambda source, frame: None, 0, reactor, monotonic)
        self.assertRaises(CannotListenError, other.listen, A, "lo", self.port)
        self.assertRaises(OSError, other.listen, B, "no-such-device", self.port)
        self.assertFalse(other.open)
        await pause(reactor, 0)

    def test_numbers_differ(self) -> None:
        """Frames have numbers from where the caller says."""
        one, other = (Outgoing(first).split(B, b"x", 0.0) for first in (1, 2))
        self.assertNotEqual(one, other)
