"""The target site."""

import tempfile
from pathlib import Path

import treq
from treq.client import HTTPClient
from twisted.internet import reactor  # noqa: TID251  (real sockets need the real one)
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.trial.unittest import TestCase
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from rustbalance.lab.site import PAGE, TargetSite
from rustbalance.life import deferred


@implementer(IAgentEndpointFactory)
class Unix:
    """Leads everything to one Unix socket."""

    def __init__(self, path: str) -> None:
        self._path = path

    def endpointForURI(self, uri: object) -> UNIXClientEndpoint:  # noqa: N802
        return UNIXClientEndpoint(reactor, self._path)


class TargetSiteTests(TestCase):
    """Pages over real sockets."""

    def setUp(self) -> None:
        self.site = TargetSite(reactor)
        self.addCleanup(lambda: deferred(self.site.stop()))
        self.client = HTTPClient(Agent(reactor, pool=HTTPConnectionPool(reactor, False)))

    async def get(self, path: str, method: str = "GET", data: bytes | None = None) -> tuple[int, bytes]:
        answer = await self.client.request(method, f"http://{self.site.address}{path}", data=data)
        return answer.code, await treq.content(answer)

    async def test_front(self) -> None:
        """The front page comes, and is counted."""
        await self.site.start()
        self.assertEqual(await self.get("/"), (200, PAGE))
        self.assertEqual(self.site.requests, 1)

    async def test_big(self) -> None:
        """As many bytes as were asked for; anything else than a number is none."""
        await self.site.start()
        for size in (0, 1, 100_000):
            self.assertEqual(len((await self.get(f"/big?bytes={size}"))[1]), size)
        self.assertEqual(await self.get("/big?bytes=-5"), (200, b""))
        self.assertEqual(await self.get("/big"), (200, b""))

    async def test_echo(self) -> None:
        """What was sent comes back."""
        await self.site.start()
        status, body = await self.get("/echo?x=1", "POST", b"hello")
        echo = __import__("json").loads(body)
        self.assertEqual((status, echo["method"], echo["path"], echo["body"]), (200, "POST", "/echo?x=1", "hello"))
        self.assertIn(["Host", self.site.address], echo["headers"])

    async def test_missing(self) -> None:
        """Other paths are not found, and counted all the same."""
        await self.site.start()
        self.assertEqual(await self.get("/nowhere"), (404, b"no such page\n"))
        self.assertEqual(self.site.requests, 1)

    async def test_unix_socket(self) -> None:
        """On a Unix socket the address is what ``target.address`` takes."""
        with tempfile.TemporaryDirectory(dir="/tmp") as directory:
            path = Path(directory) / "site.sock"
            self.assertEqual(await self.site.start(path), f"unix:{path}")
            self.client = HTTPClient(
                Agent.usingEndpointFactory(reactor, Unix(str(path)), HTTPConnectionPool(reactor, False))
            )
            answer = await self.client.get("http://site/")
            self.assertEqual(await treq.content(answer), PAGE)
            await self.site.stop()

    async def test_stop_twice(self) -> None:
        """Stopping again does nothing."""
        await self.site.start()
        await self.site.stop()
        await self.site.stop()
