"""Questions to a Tor of the lab."""

from pathlib import Path

from twisted.internet import reactor  # noqa: TID251  (a real connection needs the real one)
from twisted.internet.defer import TimeoutError as DeadlinePassed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from rustbalance.lab.control import DEADLINE, ControlLink, NotAnswered
from rustbalance.life import deferred
from rustbalance.onion.consensus import MalformedConsensus
from tests.lab.offline import offline_tor


class ControlLinkTests(TestCase):
    """A real tor, offline."""

    timeout = 30

    def setUp(self) -> None:
        self.tor = offline_tor(Path(self.mktemp()), reactor)
        self.tor.start()
        self.addCleanup(lambda: deferred(self.tor.stop()))

    async def link(self) -> ControlLink:
        link = await self.tor.control()
        self.addCleanup(lambda: deferred(link.close()))
        return link

    async def test_answers(self) -> None:
        """Values of one line and of several come without their key."""
        link = await self.link()
        self.assertRegex(await link.ask("version"), r"^\d+\.\d+")
        self.assertRegex(await link.ask("config/names"), r"(?m)^AccelDir ")

    async def test_refusal(self) -> None:
        """What Tor does not know is an error with the question in it."""
        link = await self.link()
        error = await self.assertFailure(deferred(link.ask("no/such/thing")), NotAnswered)
        self.assertIn("no/such/thing", str(error))

    async def test_no_network(self) -> None:
        """A Tor without a consensus has none, and describes no relay."""
        link = await self.link()
        await self.assertFailure(deferred(link.consensus()), NotAnswered, MalformedConsensus)
        self.assertEqual(await link.described(), 0)

    async def test_events(self) -> None:
        """Events arrive, after a signal that causes one."""
        link = await self.link()
        heard: list[str] = []
        await link.listen("SIGNAL", heard.append)
        await link.signal("CLEARDNSCACHE")
        await link.ask("version")
        self.assertEqual(heard, ["CLEARDNSCACHE"])


class Silent:
    """A control connection on which nothing is answered."""

    def get_info_raw(self, key: str) -> object:
        from twisted.internet.defer import Deferred

        return Deferred()


class DeadlineTests(SynchronousTestCase):
    """A Tor that hangs."""

    def test_question(self) -> None:
        """A question that is not answered fails at its deadline."""
        clock = Clock()
        asking = deferred(ControlLink(Silent(), clock).ask("version"))
        clock.advance(DEADLINE)
        self.failureResultOf(asking, DeadlinePassed)
