"""Streams in memory and in simulated time: what one side writes reaches the other when a test says so."""

from collections.abc import Callable

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.test.iosim import FakeAddress, FakeTransport, IOPump, connect
from zope.interface import implementer

from rustbalance.mesh.carrier import NOBODY, NodeId
from rustbalance.mesh.streams import Timings
from rustbalance.mesh.wire import Stream


class Owner:
    """Notes what its streams tell it."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.told: list[str] = []
        self.proves: NodeId = NOBODY

    def opened(self, stream: Stream) -> None:
        """Note it."""
        self.told.append("opened")

    def arrived(self, stream: Stream, frame: bytes) -> None:
        """Note it; the speaker has proved to be who the test says."""
        self.frames.append(frame)
        stream.peer = stream.peer or self.proves

    def writable(self, stream: Stream) -> None:
        """Note it."""
        self.told.append("writable")

    def closed(self, stream: Stream) -> None:
        """Note it."""
        self.told.append("closed")


class Pair:
    """A stream that a has dialled to b, seen from both sides."""

    def __init__(self, timings: Timings, proves: NodeId = "a") -> None:
        self.clock = Clock()
        self.owner_a, self.owner_b = Owner(), Owner()
        self.owner_b.proves = proves
        self.a = Stream(self.owner_a, timings, self.clock.seconds, "b")
        self.b = Stream(self.owner_b, timings, self.clock.seconds)
        self.pump = joined(self.b, self.a)

    def later(self, seconds: float, *, moving: bool = True) -> None:
        """Let time pass, a second at a time, with the bytes moving or not."""
        for _ in range(int(seconds)):
            self.clock.advance(1.0)
            self.a.tick()
            self.b.tick()
            if moving:
                self.pump.flush()


def joined(server: IProtocol, client: IProtocol) -> IOPump:
    """Connect two protocols."""
    ends = FakeTransport(server, isServer=True), FakeTransport(client, isServer=False)
    pump: IOPump = connect(server, ends[0], client, ends[1], greet=False)
    return pump


class Network:
    """
    Places that can be dialled in memory.

    ``listening``: the factory at each address. ``dialled``: every attempt, as (address, isolation or attempt).
    ``hung``: addresses that never answer.
    """

    def __init__(self) -> None:
        self.listening: dict[str, Factory] = {}
        self.hung: set[str] = set()
        self.dialled: list[tuple[str, int]] = []
        self.pumps: list[IOPump] = []

    def flush(self) -> None:
        """Move all bytes that want to be moved."""
        while any([pump.flush() for pump in self.pumps]):  # noqa: C419  (each one has to be flushed)
            pass

    def cut(self) -> None:
        """End every connection, for both sides."""
        pumps, self.pumps = self.pumps, []
        for pump in pumps:
            pump.clientIO.reportDisconnect()
            pump.serverIO.reportDisconnect()


@implementer(IStreamClientEndpoint)
class Dialled:
    """One attempt to reach an address."""

    def __init__(self, network: Network, address: str, attempt: int) -> None:
        self._network = network
        self._address = address
        network.dialled.append((address, attempt))

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:  # noqa: N803  (the name is Twisted's)
        """Connect at once, or never, or be refused at once."""
        if self._address in self._network.hung:
            return Deferred()
        factory = self._network.listening.get(self._address)
        if factory is None:
            return fail(ConnectionRefusedError())
        client, server = protocolFactory.buildProtocol(FakeAddress()), factory.buildProtocol(FakeAddress())
        assert client is not None
        assert server is not None
        opened: Deferred[IProtocol] = Deferred()
        self._network.pumps.append(joined(server, client))
        opened.callback(client)
        return opened


def every_second(clock: Clock, network: Network, seconds: int, also: Callable[[], None] = lambda: None) -> None:
    """Let time pass in steps of a second, bytes moving."""
    for _ in range(seconds):
        clock.advance(1.0)
        also()
        network.flush()
