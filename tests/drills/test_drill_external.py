"""Two Tors that somebody else runs: each is lost in its own way, and a command that the operator gave restarts it."""

import os
import signal
from typing import Any

from twisted.internet import reactor as global_reactor  # noqa: TID251  (real processes)
from twisted.internet.utils import getProcessValue

from rustbalance.life import deferred
from rustbalance.ops.status import InstanceStatus, NodeStatus
from tests.drills.drill import Drill
from tests.live.pace import Pace
from tests.live.test_external_pair import ExternalPairTestCase

reactor: Any = global_reactor
#: Seconds until a restarted Tor is used again; three restarts are used up; a wrong password is found out.
BACK, GIVEN_UP, FOUND = 60.0, 60.0, 30.0
RESTARTED = "tor.restart_command is run, and it gets its service back; the standby has the visitors meanwhile"
PASSWORD = "HashedControlPassword 16:872860B76453A77D60CA2BB8C1A7042072093276A3D701AD684053EC4C\n"


class ExternalDrills(ExternalPairTestCase):
    """C{tor.mode = "external"}, as with Debian's C{tor@default} and C{tor@standby}."""

    timeout = 600

    async def test_external(self) -> None:
        """It is restarted when that helps, never more than three times, and never when only a person can help."""
        await self.prepare()
        self.node.start()
        await self.ready()
        await self.page()
        self.visits = Pace(lambda: self.visitors.fetch(self.node.onion_address), 0.5)
        self.visits.begin()
        self.addCleanup(lambda: deferred(self.visits.end()))
        await self.restarted(17, "a Tor of the system hangs (SIGSTOP)", signal.SIGSTOP)
        await self.restarted(18, "a Tor of the system is killed (SIGKILL)", signal.SIGKILL)
        await self.another_password()
        await self.does_not_stay()

    def instance(self, status: NodeStatus, name: str) -> InstanceStatus:
        """Return how one of them is."""
        return next(tor for tor in status.instances if tor.name == name)

    async def restarted(self, drill: int, injected: str, number: signal.Signals) -> None:
        """Send it a signal; the command is run once."""
        before, began = len(self.restarts), reactor.seconds()
        self.hit("default", number)
        await self.node.until(lambda now: now.pair is not None and now.pair.active == "standby", 15.0)
        await self.ready()
        visits, failed = len(self.visits.since(began)), len(self.visits.failures(began))
        Drill(drill, injected, RESTARTED, BACK).mended(self, began, visits=visits, failed=failed)
        self.assertEqual(self.restarts[before:], ["default"])

    async def another_password(self) -> None:
        """The standby comes back with a password that we have not: it is said, and no restart is tried."""
        before, began = len(self.restarts), reactor.seconds()
        torrc = self.directory / "standby" / "torrc"
        text = torrc.read_text()
        torrc.write_text(text.replace("CookieAuthentication 1\n", "") + "CookieAuthentication 0\n" + PASSWORD)
        await self.by_hand("standby")

        def refused(status: NodeStatus) -> bool:
            standby = self.instance(status, "standby")
            return standby.phase != "serving" and standby.failure == "authentication"

        await self.node.until(refused, FOUND + 30)
        repair = "the status says so; a restart would not help, and none is tried"
        Drill(19, "a Tor wants a password that we have not", repair, FOUND).mended(self, began)
        torrc.write_text(text)
        began = reactor.seconds()
        await self.by_hand("standby")
        await self.ready()
        Drill(20, "its operator has put that right", "it is taken back, and gets its service", BACK).mended(self, began)
        self.assertEqual(self.restarts[before:], ["standby", "standby"], "those two were by hand")

    async def by_hand(self, name: str) -> None:
        """Restart a Tor as its operator does."""
        self.assertEqual(await getProcessValue(str(self.script), [name], env=dict(os.environ)), 0)

    async def does_not_stay(self) -> None:
        """It ends at each start: after three restarts in five minutes there are no more, and it is said what to do."""
        torrc = self.directory / "default" / "torrc"
        text = torrc.read_text()
        torrc.write_text(text + "NoSuchOption 1\n")
        began = reactor.seconds()
        self.hit("default", signal.SIGKILL)

        def given_up(status: NodeStatus) -> bool:
            return "restarted 3 times in 5 minutes and does not stay" in str(self.instance(status, "primary").problem)

        await self.node.until(given_up, GIVEN_UP + 30)
        repair = "after three restarts in five minutes an error says what to do"
        Drill(21, "a Tor of the system does not stay", repair, GIVEN_UP).mended(self, began)
        self.assertEqual(self.restarts[2:].count("default"), 3)
        torrc.write_text(text)
        began = reactor.seconds()
        await self.by_hand("default")
        await self.ready()
        Drill(22, "its operator has mended and started it", "it is taken back by itself", BACK).mended(self, began)
