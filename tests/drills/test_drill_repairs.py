"""
A node alone, with one Tor and no standby, is broken in one way after another, and mends itself.

Each drill ends when both descriptors with the points of the new Tor are confirmed; then a visitor gets a page.
"""

import os
import re
import shutil
import signal
from pathlib import Path
from typing import Any

from twisted.internet import reactor as global_reactor  # noqa: TID251  (real processes)
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.protocol import Factory, Protocol

from rustbalance.life import pause, within
from rustbalance.ops.status import Health, InstanceStatus, NodeStatus
from rustbalance.tor.control import connect
from rustbalance.tor.lifecycle import SETTLED
from tests.drills.drill import Drill
from tests.live.nodes import NodeTestCase

reactor: Any = global_reactor
TOR = "\n".join(("[tor]", 'standby_mode = "off"'))
CANARY = "\n".join(("[canary]", "enabled = true", "startup_delay_secs = 5", "interval_secs = 2", "timeout_secs = 10"))
#: Seconds until a node has started, and until one that was left alone is well.
STARTED_WITHIN, WELL_WITHIN = 120.0, 60.0
RESTARTED = "it is started anew and its points are published"
HUNG = Drill(11, "the only Tor hangs (SIGSTOP)", RESTARTED, 60.0)
KILLED = Drill(12, "the only Tor is killed (SIGKILL)", RESTARTED, 45.0)
SILENT = Drill(13, "the only Tor is killed, and something silent sits at its control socket", RESTARTED, 45.0)
WIPED = Drill(14, "the only Tor is killed, and all its files are gone", RESTARTED, 45.0)
SEVERED = Drill(
    15,
    "Tor answers, but is told to leave the network (DisableNetwork 1; a visit every 2 s)",
    "three visits fail, no point stands: it is started anew and its points are published",
    90.0,
)
NOWHERE = Drill(
    36,
    "the scout answers, but gets nowhere (its way out leads to a proxy that is not there; a visit every 2 s)",
    "three visits fail, no directory answers either: the scout is started anew, what is published is left alone",
    120.0,
)
UNHEARD = Drill(
    37,
    "the same on a node without a canary (checks of the directories every 10 s; by default every 300 s)",
    "two checks in a row are answered by nobody: the scout is started anew, and checks are answered again",
    180.0,
)
DAEMON = Drill(16, "the daemon is killed (SIGKILL) and started again by the service manager", "all is as it was", 45.0)


def tor_of(status: NodeStatus, name: str = "primary") -> InstanceStatus:
    """Return how one of the node's Tors is."""
    return next(tor for tor in status.instances if tor.name == name)


def counters(status: NodeStatus) -> dict[int, int]:
    """Return the counters of both descriptors, by the time periods that they are for."""
    return {one.period: one.revision or 0 for one in status.descriptors}


def higher(new: dict[int, int], old: dict[int, int]) -> bool:
    """Is each counter higher than that of the same period? A period may have ended meanwhile."""
    return len(new) == 2 and all(new[period] > old[period] for period in new.keys() & old.keys())


def whole(status: NodeStatus) -> bool:
    """Is nothing wrong, and are both descriptors confirmed by all directories?"""
    out = [one.confirmed == one.directories for one in status.descriptors]
    return status.health is Health.HEALTHY and len(out) == 2 and all(out)


class LoneNodeTestCase(NodeTestCase):
    """C{self.node} without a standby, C{self.lines} replace the headings of tables in its configuration."""

    timeout = 900
    lines: tuple[str, ...] = (TOR,)

    async def begin(self) -> NodeStatus:
        """Start it and wait until all is well."""
        await self.prepare()
        self.configure(*self.lines)
        self.node.start()
        return await self.node.until(whole, STARTED_WITHIN)

    def configure(self, *tables: str) -> None:
        """Write these tables with the lines in them in the place of their headings."""
        text = self.node.config.read_text()
        for lines in tables:
            heading = re.escape(lines.partition("\n")[0])
            text, found = re.subn(rf"(?m)^{heading}.*$", lines, text)
            self.assertEqual(found, 1, heading)
        self.node.config.write_text(text)

    @property
    def state(self) -> Path:
        """Where the node keeps what it knows."""
        return self.directory / "node" / "state"

    def said(self, words: str) -> int:
        """Return in how many lines the daemon has said something."""
        return sum(words in line for line in (self.directory / "node" / "output.log").read_text().splitlines())

    async def sever(self, name: str) -> None:
        """Let one of its Tors run on as if all were well, with a way out that leads nowhere."""
        place = UNIXClientEndpoint(reactor, str(self.state / "tor" / name / "control.sock"))
        control = await connect(place, reactor)
        await control.set_conf([("Socks5Proxy", "127.0.0.1:1"), ("DisableNetwork", "1")])
        await control.set_conf([("DisableNetwork", "0")])
        control.abandon("that was all")

    async def well(self) -> NodeStatus:
        """Return the status of the node when nothing is wrong."""
        return await self.node.until(whole, WELL_WITHIN)

    async def renewed(self, drill: Drill, began: float, before: NodeStatus) -> None:
        """Wait until another Tor serves and its points are published; then see a visitor get a page."""

        def anew(status: NodeStatus) -> bool:
            tor = tor_of(status)
            serves = tor.pid not in (None, tor_of(before).pid) and tor.phase == "serving"
            return serves and status.published and higher(counters(status), counters(before))

        await self.node.until(anew, drill.bound + 30)
        drill.mended(self, began)
        await self.page()


class RestartDrills(LoneNodeTestCase):
    """Its Tor is lost."""

    async def test_restart(self) -> None:
        """
        Whatever happens to its Tor, another one takes its place, with points that are published.

        Each time after it has served for a while: the wait before the next start doubles with each failure in a row
        (seven kills, one as soon as all was well after the other, took 4, 5, 7, 11, 13, 23 and 55 s to mend), and on a
        busy machine a start that does not succeed counts as well.
        """
        await self.begin()
        await self.page()
        await self.hit(HUNG, signal.SIGSTOP)
        await pause(reactor, SETTLED)
        await self.hit(KILLED, signal.SIGKILL)
        await pause(reactor, SETTLED)
        await self.silent_socket()
        await pause(reactor, SETTLED)
        await self.wiped()

    async def hit(self, drill: Drill, number: signal.Signals) -> None:
        """Send it a signal."""
        before, began = await self.well(), reactor.seconds()
        os.kill(tor_of(before).pid or 0, number)
        await self.renewed(drill, began, before)

    async def silent_socket(self) -> None:
        """Kill it, and listen in its place without ever answering."""
        before, began = await self.well(), reactor.seconds()
        place = self.state / "tor" / "primary" / "control.sock"
        place.unlink()
        silent = reactor.listenUNIX(str(place), Factory.forProtocol(Protocol))
        os.kill(tor_of(before).pid or 0, signal.SIGKILL)
        try:
            await self.renewed(SILENT, began, before)
        finally:
            silent.fileDescriptor = -1
            await silent.stopListening()

    async def wiped(self) -> None:
        """Kill it and remove its directory."""
        before, began = await self.well(), reactor.seconds()
        os.kill(tor_of(before).pid or 0, signal.SIGKILL)
        shutil.rmtree(self.state / "tor" / "primary", ignore_errors=True)
        await self.renewed(WIPED, began, before)


class SeveredDrill(LoneNodeTestCase):
    """Its Tor lives and has left the network."""

    lines = (TOR, CANARY)

    async def test_no_points(self) -> None:
        """
        Nothing at its control port is wrong: it is visits to the address that fail, and its circuits that are missing.

        One restart mends it, and nothing else is tried.
        """
        before = await self.begin()
        await self.node.until(lambda now: now.canary is not None and now.canary.passed_age_secs is not None, 60)
        began = reactor.seconds()
        place = UNIXClientEndpoint(reactor, str(self.state / "tor" / "primary" / "control.sock"))
        control = await connect(place, reactor)
        await control.set_conf([("DisableNetwork", "1")])
        control.abandon("that was all")
        await self.renewed(SEVERED, began, before)
        await self.well()
        self.assertEqual(self.said("the introduction points of Tor (primary) do not work: it is being restarted"), 1)
        self.assertEqual(self.said("the descriptors are being published again"), 0)


class ScoutDrill(LoneNodeTestCase):
    """The Tor that looks at the address from outside lives and gets nowhere; visitors are served as ever."""

    lines = (TOR, CANARY)

    async def test_no_way_out(self) -> None:
        """
        Visits fail, and all that is wrong is the visitor's own Tor: one restart of that mends it.

        Nothing is published again, and the lease stays: neither would help.
        """
        await self.begin()
        before = await self.node.until(visited, 60.0)
        began = reactor.seconds()
        await self.sever("scout")
        await self.node.until(lambda now: now.canary is not None and now.canary.failures >= 3, 90.0)
        await self.page()

        def mended(now: NodeStatus) -> bool:
            return visited(now) and tor_of(now, "scout").pid != tor_of(before, "scout").pid

        await self.node.until(mended, NOWHERE.bound + 30)
        NOWHERE.mended(self, began)
        after = await self.well()
        self.assertEqual(self.said("nothing comes through Tor (scout): it is being restarted"), 1)
        self.assertEqual(self.said("the descriptors are being published again"), 0)
        self.assertEqual(self.said("the lease is given away"), 0)
        self.assertEqual(tor_of(after).pid, tor_of(before).pid)


class UnvisitedScoutDrill(LoneNodeTestCase):
    """The same on a node that has no canary: what it notices is that no directory answers its checks."""

    lines = (TOR, "\n".join(("[publish]", "verify_delay_secs = 5", "verify_interval_secs = 10")))

    async def test_no_way_out(self) -> None:
        """Two checks in a row without one answer are not the directories' fault: the Tor that asks is started anew."""
        before = await self.begin()
        await self.node.until(verified, 60.0)
        began = reactor.seconds()
        await self.sever("scout")
        await self.node.until(lambda now: tor_of(now, "scout").pid != tor_of(before, "scout").pid, UNHEARD.bound + 30)
        await self.node.until(lambda now: verified(now) and now.health is Health.HEALTHY, 60.0)
        UNHEARD.mended(self, began)
        self.assertEqual(self.said("nothing comes through Tor (scout): it is being restarted"), 1)
        self.assertEqual(self.said("the descriptors are being published again"), 0)


def verified(status: NodeStatus) -> bool:
    """Has the last check found the descriptor that visitors fetch at all directories, not long ago?"""
    return any(
        one.verified_by == "fetch" and one.verified == one.directories and (one.verified_age_secs or 0.0) < 10.0
        for one in status.descriptors
    )


def visited(status: NodeStatus) -> bool:
    """Did the last visit pass?"""
    return status.canary is not None and status.canary.passed_age_secs is not None and status.canary.failures == 0


class DaemonDrills(LoneNodeTestCase):
    """The daemon itself is lost; what a service manager does, starting it again, is done by the test."""

    async def test_killed(self) -> None:
        """Its Tors die with it; the new one has the same address, and counters above those of the old."""
        before = await self.begin()
        for _ in range(3):
            child, began = self.node.child, reactor.seconds()
            assert child is not None
            self.node.kill()
            await within(10.0, reactor, child.gone())
            self.node.start()
            await self.renewed(DAEMON, began, before)
            before = await self.well()
