"""A real TorControl on a FakeTor, in memory and in simulated time."""

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.test.iosim import FakeAddress, IOPump
from zope.interface import implementer

from rustbalance.life import deferred
from rustbalance.secrets import Secret
from rustbalance.testing.fake_tor import FakeTor
from rustbalance.tor.control import Patience, TorControl, connect


@implementer(IStreamClientEndpoint)
class FakeEndpoint:
    """Leads to a FakeTor; ``pump`` moves the bytes."""

    def __init__(self, tor: FakeTor) -> None:
        self.tor = tor
        self.pump: IOPump | None = None

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:  # noqa: N803
        """Connect at once."""
        protocol = protocolFactory.buildProtocol(FakeAddress())
        assert protocol is not None
        self.pump = self.tor.join(protocol)
        return succeed(protocol)


class Connection:
    """A TorControl and what it is connected to."""

    def __init__(self, tor: FakeTor, password: Secret | None = None, patience: Patience | None = None) -> None:
        self.tor = tor
        self.clock = Clock()
        self.endpoint = FakeEndpoint(tor)
        self.connecting: Deferred[TorControl] = deferred(connect(self.endpoint, self.clock, password, patience))
        self.flush()

    def flush(self) -> None:
        """Move all bytes that want to be moved."""
        assert self.endpoint.pump is not None
        self.endpoint.pump.flush()
