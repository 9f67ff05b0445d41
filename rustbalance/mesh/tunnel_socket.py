"""
The socket inside the tunnel.

Owns: a UDP socket that is bound to the tunnel's interface, the pace at which datagrams leave, and the timer for pieces
that are missing. In: frames for addresses; out: frames from addresses.

Bound to the device, it neither sends a frame round the tunnel when the interface is gone nor takes one from outside.

To one address frames leave in the order in which they were given: their receiver takes none that a later one has
overtaken (``rustbalance.cluster.replay``). What is for others does not wait.
"""

import socket
from collections import Counter, deque
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.error import MessageLengthError
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger

from rustbalance.mesh.datagrams import ASK, DATAGRAM_SIZE, Arrived, Incoming, Outgoing

PORT = 51821
BURST = 32
"""Datagrams that leave at once; what the queues on the way hold."""
PACE_SECS = 0.005
"""Between two bursts: 8 MB/s."""
QUEUE_SIZE = 16 * 1024 * 1024
"""Bytes that may wait to leave; a frame that would make it more is dropped."""
BUFFER_SIZE = 1024 * 1024
"""Of the kernel, for what arrives while we do something else."""
_SO_RCVBUFFORCE = 33  # socket(7); the socket module has no name for it


class TunnelSocket(DatagramProtocol):
    """
    The socket; ``frame_arrived`` is called with the address of the sender and the frame.

    Only the addresses in ``peers`` are heard. ``dropped`` counts frames and datagrams that could not be sent.
    """

    log = Logger()
    noisy = False

    def __init__(
        self, frame_arrived: Callable[[str, bytes], Any], first_number: int, reactor: Any, seconds: Callable[[], float]
    ) -> None:
        self.peers: frozenset[str] = frozenset()
        self.dropped = 0
        self._frame_arrived = frame_arrived
        self._reactor = reactor
        self._seconds = seconds
        self._outgoing = Outgoing(first_number)
        self._incoming = Incoming()
        self._queue: deque[tuple[str, bytes]] = deque()
        self._queued = 0
        self._ahead: Counter[str] = Counter()
        self._pace: IDelayedCall | None = None
        self._alarm: IDelayedCall | None = None
        self._port: Any = None
        self._number = PORT

    @property
    def open(self) -> bool:
        """Whether frames can be sent."""
        return self._port is not None

    @property
    def lost(self) -> int:
        """How many frames began to arrive and never became complete."""
        return self._incoming.lost

    def listen(self, address: str, device: str | None, port: int = PORT) -> None:
        """
        Open the socket at ``address``, and use ``port`` at the peers' as well.

        :raises OSError: it cannot be bound to the address or the device.
        :raises twisted.internet.error.CannotListenError: the port is taken.
        """
        self._number = port
        self._port = self._reactor.listenUDP(port, self, interface=address, maxPacketSize=DATAGRAM_SIZE + 1)
        try:
            if device is not None:
                self._port.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        except OSError:
            self.close()
            raise
        with suppress(OSError):  # without the right to it the usual size must do
            self._port.socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, BUFFER_SIZE)

    def close(self) -> None:
        """Close the socket; what waits is dropped."""
        port, self._port = self._port, None
        for timer in (self._pace, self._alarm):
            if timer is not None and timer.active():
                timer.cancel()
        self._queue.clear()
        self._ahead.clear()
        self._queued = 0
        if port is not None:
            maybeDeferred(port.stopListening)

    def set_peers(self, addresses: Collection[str]) -> None:
        """Hear exactly these."""
        for gone in self.peers - frozenset(addresses):
            self._incoming.forget(gone)
        self.peers = frozenset(addresses)

    def send(self, address: str, frame: bytes) -> None:
        """
        Send a frame.

        :raises ValueError: it is empty or longer than ``MAX_FRAME``.
        """
        datagrams = self._outgoing.split(address, frame, self._seconds())
        if not self.open or self._queued + len(frame) > QUEUE_SIZE:
            self.dropped += 1
            return
        if len(datagrams) == 1 and not self._ahead[address]:  # heartbeats do not queue behind what is for others
            self._write(address, datagrams[0])
        else:
            self._enqueue(address, datagrams)

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:  # noqa: N802
        """Take what a peer sent."""
        source = addr[0]
        if source not in self.peers:
            return
        now = self._seconds()
        if datagram[:1] == bytes([ASK]):
            self._enqueue(source, self._outgoing.asked(source, datagram, now))
            return
        arrived = self._incoming.receive(source, datagram, now)
        self._arm()
        if isinstance(arrived, Arrived):
            self._frame_arrived(source, arrived.frame)

    def _enqueue(self, address: str, datagrams: Collection[bytes]) -> None:
        self._queue.extend((address, datagram) for datagram in datagrams)
        self._ahead[address] += len(datagrams)
        self._queued += sum(map(len, datagrams))
        if self._pace is None or not self._pace.active():
            self._pump()

    def _pump(self) -> None:
        for _ in range(min(BURST, len(self._queue))):
            address, datagram = self._queue.popleft()
            self._queued -= len(datagram)
            self._ahead[address] -= 1
            self._write(address, datagram)
        if self._queue:
            self._pace = self._reactor.callLater(PACE_SECS, self._pump)

    def _write(self, address: str, datagram: bytes) -> None:
        try:
            self._port.write(datagram, (address, self._number))
        except (OSError, MessageLengthError) as error:
            # No buffer left, no way to that peer, an MTU that somebody has made smaller: what is lost is asked for.
            self.dropped += 1
            self.log.debug("a datagram could not be sent: {error}", error=error)

    def _arm(self) -> None:
        due = self._incoming.due()
        if due is not None and (self._alarm is None or not self._alarm.active()):
            self._alarm = self._reactor.callLater(max(0.0, due - self._seconds()), self._wake)

    def _wake(self) -> None:
        for ask in self._incoming.wake(self._seconds()):
            self._enqueue(ask.to, [ask.datagram])
        self._arm()
