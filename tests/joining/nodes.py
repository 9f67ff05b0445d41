"""Members that answer over a real front, and newcomers that reach them through a SOCKS server."""

import shutil
from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint

from rustbalance.cluster.messages import JoinResponse, NodeRecord, Ticket
from rustbalance.joining.client import Joiner, Timing
from rustbalance.joining.client import Newcomer as Identity
from rustbalance.joining.endpoint import View
from rustbalance.joining.intercept import JoinIntercept
from rustbalance.joining.records import JOINING, LEDGER, JoinFile, Joining, Ledger
from rustbalance.mesh.tunnel_addresses import TunnelNetwork
from rustbalance.moment import Moment
from rustbalance.proxy.front import Front
from rustbalance.proxy.socks import SocksAddress
from tests.cluster.samples import NOW, RING
from tests.joining.samples import VIEW, Newcomer, endpoint, folder, random_bytes, secret
from tests.proxy.socks_server import SocksServer
from tests.proxy.wire import ProxyCase, reactor

HOST = "master" + "a" * 50 + ".onion"


class Gate:
    """A member's intercept, with the cluster that it knows."""

    def __init__(self, case: "JoiningCase", network: TunnelNetwork | None, name: str = "a") -> None:
        self.path = folder()
        case.addCleanup(shutil.rmtree, self.path)
        self.store = JoinFile(self.path / LEDGER, Ledger)
        self.admitted: list[NodeRecord] = []
        self.view: View | None = VIEW
        self.now: Moment = NOW
        self.decides = endpoint(network, name)
        self.intercept = self.open()

    def open(self) -> JoinIntercept:
        """Return an intercept that remembers what is on the disk."""
        return JoinIntercept(
            secret(), self.decides, self.store, lambda: self.view, self.admitted.append, lambda: self.now
        )


class JoiningCase(ProxyCase):
    """Runs members and newcomers."""

    def gate(self, network: TunnelNetwork | None = None, name: str = "a") -> Gate:
        """Return a member's door."""
        return Gate(self, network, name)

    def member(self, gate: Gate, **settings: Any) -> Front:
        """Run a member's front before a site."""
        self.site = self.origin()
        return self.front(self.site, intercept=gate.intercept, **settings)

    def way_to(self, *fronts: Front | int | None) -> tuple[SocksServer, SocksAddress]:
        """Run a SOCKS server that leads to the first of the fronts, or refuses with a code; None never answers."""
        places: list[Any] = [_endpoint(front) if isinstance(front, Front) else front for front in fronts]
        server = SocksServer({(HOST, 80): places[0]})
        address = server.listen(reactor)
        self.cleanup(server.close)
        return server, address

    def joiner(self, newcomer: Newcomer, address: SocksAddress | None, **wanted: Any) -> "Trial":
        """Return a newcomer's service, which is not started."""
        return Trial(self, newcomer, address, **wanted)


class Trial:
    """A newcomer's service with all that it is given, and what it gives back."""

    def __init__(
        self,
        case: JoiningCase,
        newcomer: Newcomer,
        address: SocksAddress | None,
        tunnel: bool = False,
        pending: bool = True,
        attempt: float = 2.0,
    ) -> None:
        self.case, self.newcomer, self.address, self.tunnel = case, newcomer, address, tunnel
        self.attempt = attempt
        self.path = folder()
        case.addCleanup(shutil.rmtree, self.path)
        self.store = JoinFile(self.path / JOINING, Joining)
        if pending:
            self.store.write(Joining(ticket=newcomer.ticket, binding=newcomer.binding))
        self.known = True
        self.now = NOW
        self.pause = 0.01
        self.responses: list[JoinResponse] = []
        self.pauses: list[int] = []
        self.joiner = self.open()

    def open(self) -> Joiner:
        """Return the service as a new process would make it."""
        joiner = Joiner(
            Identity(HOST, secret(), RING, self.newcomer.key, self.newcomer.name, b"m" * 16, self.tunnel),
            self.store,
            self.record,
            lambda: self.address,
            self.responses.append,
            Timing(self.backoff, connect=1.0, attempt=self.attempt),
            reactor,
            lambda: self.now,
            random_bytes,
        )
        self.case.addCleanup(joiner.stopService)
        return joiner

    def backoff(self, failures: int) -> float:
        """Note how often it went wrong."""
        self.pauses.append(failures)
        return self.pause

    def record(self, ticket: Ticket, tunnel_ip: str | None) -> NodeRecord | None:
        """Return the newcomer's record, with the address that it was given."""
        self.case.assertEqual(ticket, self.newcomer.ticket)
        if tunnel_ip is not None:
            self.newcomer.addresses = (f"wireguard:{'A' * 43}=@/{tunnel_ip}",)
        return self.newcomer.record() if self.known else None


def _endpoint(front: Front) -> Any:
    host, _, port = front.address.rpartition(":")
    return TCP4ClientEndpoint(reactor, host, int(port))
