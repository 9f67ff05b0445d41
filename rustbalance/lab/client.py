"""
Visitors of an onion service.

Owns: fetching pages through a client Tor with fresh circuits and, when wanted, a fresh descriptor. In: where a client
Tor listens; out: ``Visit`` values. A visit that fails is a result, never an exception.
"""

from typing import Any

import treq
from treq.client import HTTPClient
from twisted.internet.defer import TimeoutError as DeadlinePassed
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.web.client import URI, Agent, HTTPConnectionPool
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from rustbalance.lab.calendar import Day, day_of
from rustbalance.lab.control import ControlLink
from rustbalance.lab.state import ClientState
from rustbalance.lab.visits import Visit
from rustbalance.life import pause, within
from rustbalance.proxy.socks import SocksAddress, SocksEndpoint

NEWNYM_INTERVAL = 11.0
"""
Seconds between two NEWNYM signals that Tor performs at once (control-spec, SIGNAL); an earlier one is put off, into a
visit. Tor counts ten in whole seconds of its clock, and from when the signal came: hence one more.
"""
KEPT = 65536


class LabClient:
    """A client Tor that runs already; ``connect`` before use and ``close`` after."""

    def __init__(self, where: ClientState, reactor: Any) -> None:
        self.where = where
        self._reactor = reactor
        self._link: ControlLink | None = None
        self._forgot = -NEWNYM_INTERVAL

    async def connect(self) -> "LabClient":
        """Open the control connection."""
        self._link = await ControlLink.open(self.where.control_port, self._reactor)
        return self

    async def close(self) -> None:
        """Close it."""
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    @property
    def link(self) -> ControlLink:
        """The control connection."""
        if self._link is None:
            raise RuntimeError("connect the client first")
        return self._link

    @property
    def may_forget(self) -> bool:
        """Whether ``forget`` would be performed without waiting."""
        return bool(self._reactor.seconds() - self._forgot >= NEWNYM_INTERVAL)

    async def forget(self) -> None:
        """Make this Tor forget every service descriptor and circuit; waits until Tor does it at once."""
        left = self._forgot + NEWNYM_INTERVAL - self._reactor.seconds()
        if left > 0:
            await pause(self._reactor, left)
        self._forgot = self._reactor.seconds()
        await self.link.signal("NEWNYM")

    async def day(self) -> Day:
        """Return where in its day the network is, as this client sees it."""
        return day_of(await self.link.consensus())

    def endpoint(self, host: str, port: int, isolation: str) -> IStreamClientEndpoint:
        """Return a way to ``host`` on circuits that only streams with the same ``isolation`` share."""
        return SocksEndpoint(self._reactor, SocksAddress(port=self.where.socks_port), host, port, isolation)


class Visitor:
    """Fetches pages, each on circuits of its own; none takes longer than ``deadline`` seconds."""

    def __init__(self, client: LabClient, reactor: Any, deadline: float = 30.0) -> None:
        self.client = client
        self._reactor = reactor
        self._deadline = deadline
        self._count = 0

    async def fetch(self, onion: str, path: str = "/", *, fresh_descriptor: bool = False, **request: Any) -> Visit:
        """
        Fetch ``http://<onion><path>``; ``request`` goes to treq (``method``, ``headers``, ``data``).

        ``fresh_descriptor`` makes the client forget what it knows first; the time this takes does not count.
        """
        if fresh_descriptor:
            await self.client.forget()
        began = self._reactor.seconds()
        try:
            return await within(self._deadline, self._reactor, self._fetch(f"http://{onion}{path}", began, request))
        except DeadlinePassed:
            return Visit(False, self._reactor.seconds() - began, error=f"nothing within {self._deadline:g} s")
        except Exception as error:
            return Visit(False, self._reactor.seconds() - began, error=f"{type(error).__name__}: {error}")

    async def _fetch(self, url: str, began: float, request: dict[str, Any]) -> Visit:
        body = Body()
        agent = Agent.usingEndpointFactory(self._reactor, self._way(), HTTPConnectionPool(self._reactor, False))
        answer = await HTTPClient(agent).request(
            request.pop("method", "GET"), url, unbuffered=True, allow_redirects=False, **request
        )
        await treq.collect(answer, body.add)
        took = self._reactor.seconds() - began
        return Visit(answer.code < 400, took, answer.code, size=body.size, body=bytes(body.head))

    def _way(self) -> "Way":
        self._count += 1
        return Way(self.client, f"visit-{id(self)}-{self._count}")


@implementer(IAgentEndpointFactory)
class Way:
    """Leads an HTTP client through Tor."""

    def __init__(self, client: LabClient, isolation: str) -> None:
        self._client = client
        self._isolation = isolation

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:  # noqa: N802  (the name is Twisted's)
        """Return the endpoint for a page's host."""
        return self._client.endpoint(uri.host.decode("ascii"), uri.port, self._isolation)


class Body:
    """Counts a body and keeps its beginning."""

    def __init__(self) -> None:
        self.size = 0
        self.head = bytearray()

    def add(self, data: bytes) -> None:
        """Take the next piece."""
        self.size += len(data)
        self.head += data[: KEPT - len(self.head)]
