"""
A web site for nodes to stand in front of.

Owns: a few pages on loopback TCP or a Unix socket. In: where to listen; out: an address for ``target.address``, the
pages, and how many requests came. ``/`` is HTML, ``/big?bytes=N`` streams N bytes, ``/echo`` tells what it was sent.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet.address import IPv4Address
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import TCP4ServerEndpoint, UNIXServerEndpoint
from twisted.internet.interfaces import IListeningPort, IPullProducer
from twisted.protocols.policies import WrappingFactory
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site
from zope.interface import implementer

PAGE = b"""<!doctype html>
<html lang="en"><title>A site behind RustBalance</title>
<p>It works: this page came through an onion service of a private Tor network.
"""
PIECE = bytes(range(256)) * 64
MOST = 1 << 30


class TargetSite:
    """The site; ``asked`` counts the requests for each path."""

    def __init__(self, reactor: Any) -> None:
        self.asked: Counter[str] = Counter()
        self.address: str | None = None
        self._reactor = reactor
        self._port: IListeningPort | None = None
        self._visits = WrappingFactory(Site(Pages(self)))

    @property
    def requests(self) -> int:
        """How many requests there were."""
        return self.asked.total()

    async def start(self, socket: Path | None = None) -> str:
        """Listen on the Unix socket, or else on a free port of 127.0.0.1; return ``unix:PATH`` or ``HOST:PORT``."""
        if socket is None:
            endpoint: Any = TCP4ServerEndpoint(self._reactor, 0, interface="127.0.0.1")
        else:
            endpoint = UNIXServerEndpoint(self._reactor, str(socket), mode=0o600)
        self._visits = WrappingFactory(Site(Pages(self)))
        self._port = await endpoint.listen(self._visits)
        where = self._port.getHost()
        self.address = f"{where.host}:{where.port}" if isinstance(where, IPv4Address) else f"unix:{socket}"
        return self.address

    async def stop(self) -> None:
        """Be gone: listen no more, and break off what is open, as a site that died does."""
        port, self._port = self._port, None
        if port is not None:
            await maybeDeferred(port.stopListening)
            for connection in list(self._visits.protocols):
                connection.transport.abortConnection()


class Pages(Resource):
    """Every page; each is a function from request to what ``render`` returns."""

    isLeaf = True  # noqa: N815  (the name is Twisted's)

    def __init__(self, site: TargetSite) -> None:
        super().__init__()
        self._site = site
        self._pages = {b"/": front, b"/big": big, b"/echo": echo}

    def render(self, request: Request) -> object:
        """Count the request and answer it."""
        self._site.asked[request.path.decode("latin-1")] += 1
        return self._pages.get(request.path, missing)(request)


def front(request: Request) -> object:
    """Return a small page for people."""
    request.setHeader(b"content-type", b"text/html; charset=utf-8")
    return PAGE


def big(request: Request) -> object:
    """Stream as many bytes as the query asks for, as fast as they are taken."""
    text = request.args.get(b"bytes", [b""])[0]
    size = min(int(text), MOST) if text.isdigit() and len(text) < 12 else 0
    request.setHeader(b"content-type", b"application/octet-stream")
    request.setHeader(b"content-length", b"%d" % size)
    request.registerProducer(Stream(request, size), False)
    return NOT_DONE_YET


def echo(request: Request) -> object:
    """Return method, path, headers in order and body, as JSON."""
    request.setHeader(b"content-type", b"application/json")
    headers = [
        [name.decode("latin-1"), value.decode("latin-1")]
        for name, values in request.requestHeaders.getAllRawHeaders()
        for value in values
    ]
    body = request.content.read().decode("latin-1") if request.content else ""
    facts = {"method": request.method.decode(), "path": request.uri.decode(), "headers": headers, "body": body}
    return msgspec.json.encode(facts)


def missing(request: Request) -> object:
    """Say that there is no such page."""
    request.setResponseCode(404)
    return b"no such page\n"


@implementer(IPullProducer)
class Stream:
    """Writes a piece whenever the transport has room."""

    def __init__(self, request: Request, left: int) -> None:
        self._request = request
        self._left = left

    def resumeProducing(self) -> None:
        """Write the next piece, and end after the last."""
        piece = PIECE[: self._left]
        self._left -= len(piece)
        if piece:
            self._request.write(piece)
        if not self._left:
            self._request.unregisterProducer()
            self._request.finish()

    def stopProducing(self) -> None:
        """Write no more: the other end has gone, and the request is over."""
        self._left = 0
