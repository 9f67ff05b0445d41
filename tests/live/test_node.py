"""One node, as its visitors and its operator see it."""

import signal
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import TimeoutError as DeadlinePassed

from rustbalance.lab.calendar import Segment
from rustbalance.lab.site import PAGE
from rustbalance.lab.visits import VisitLog
from rustbalance.life import deferred, pause, within
from rustbalance.ops.status import Health
from tests.live.nodes import NodeTestCase


def value_of(pid: int, name: str) -> int:
    """Return a number of /proc/PID/status, such as VmLck in kB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(name + ":")))


def alive(pid: int) -> bool:
    """Say whether a process with this id runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class DaemonTests(NodeTestCase):
    """The daemon itself."""

    async def test_from_start_to_stop(self) -> None:
        """
        A node publishes and serves, keeps its secrets in locked memory, and ends with status 0 and nothing behind.

        SIGTERM must be through within C{shutdown_deadline_secs} (10 s) and some time for the interpreter.
        """
        await self.prepare()
        await self.serving()
        visit = await self.visitors.fetch(self.node.onion_address, fresh_descriptor=True)
        self.assertEqual((visit.status, visit.body), (200, PAGE), visit.error)
        status = await self.node.status()
        assert status is not None
        assert self.node.child is not None
        assert self.node.child.pid is not None
        self.assertEqual(status.health, Health.HEALTHY, status.problems)
        self.assertEqual(status.onion_address, self.node.onion_address)
        self.assertGreater(value_of(self.node.child.pid, "VmLck"), 0)
        self.assertTrue(status.memory.locked)
        self.assertGreater(status.memory.locked_bytes, 0)
        tor = status.instances[0].pid
        assert tor is not None
        self.node.child.send(signal.SIGTERM)
        await within(12.0, reactor, self.node.child.gone())
        self.assertEqual(self.node.child.returncode, 0, self.node.child.tail)
        self.assertFalse(alive(tor))

    async def test_two_daemons_on_one_state(self) -> None:
        """A second daemon with the same configuration says that the first one runs, and exits with status 1."""
        await self.prepare()
        await self.serving()
        first = self.node.child
        assert first is not None
        second = self.node.start()
        await within(20.0, reactor, second.gone())
        self.assertEqual(second.returncode, 1)
        self.assertIn("another daemon", second.tail)
        self.assertNotIn("Traceback", second.tail)
        self.assertTrue(first.alive)
        self.node.child = first

    async def test_dead_target(self) -> None:
        """With its target gone the node answers 502 to 504 without naming anybody, and serves again when it is back."""
        await self.prepare()
        await self.serving()
        await self.page()
        await self.site.stop()
        visit = await self.visitors.fetch(self.node.onion_address)
        self.assertIn(visit.status, (502, 503, 504), visit.error)
        for word in (b"RustBalance", b"rustbalance", b"Twisted", self.target.name.encode()):
            self.assertNotIn(word, visit.body)
        status = await self.node.until(lambda status: status.proxy.target_healthy is False, 60.0)
        self.assertEqual(status.health, Health.DEGRADED)
        self.assertIn("the target does not answer", status.problems)
        await self.site.start(self.target)
        status = await self.node.until(lambda status: status.proxy.target_healthy is True, 60.0)
        self.assertEqual(status.health, Health.HEALTHY, status.problems)
        await self.page()


class DrainTests(NodeTestCase):
    """Stopping while somebody is being served."""

    async def test_a_download_under_way_is_finished(self) -> None:
        """SIGTERM in the middle of an answer lets it arrive whole, then the daemon ends with status 0."""
        await self.prepare()
        await self.serving()
        await self.page()
        child = self.node.child
        assert child is not None
        size = 2_000_000
        download = deferred(self.visitors.fetch(self.node.onion_address, f"/big?bytes={size}"))
        while not self.site.asked["/big"]:
            await pause(reactor, 0.02)
        child.send(signal.SIGTERM)
        visit = await download
        self.assertEqual((visit.status, visit.size), (200, size), visit.error)
        await within(12.0, reactor, child.gone())
        self.assertEqual(child.returncode, 0, child.tail)


class SegmentTests(NodeTestCase):
    """Both halves of the day, which a test network passes through in eight minutes."""

    timeout = 900

    async def test_visits_succeed_in_both_segments(self) -> None:
        """
        Visitors with fresh descriptors get through from period to SRV and from SRV to period.

        Without C{HiddenServiceOnionBalanceInstance} and C{ob_config} they fail in one of the two, and Tor says
        "INTRO2 keys" (reference: hs_circuit.c, get_subcredential_for_handling_intro2_cell).
        """
        await self.prepare()
        await self.serving()
        logs = {segment: VisitLog(reactor.seconds()) for segment in Segment}
        began = reactor.seconds()
        while min(log.visits for log in logs.values()) < 12:
            self.assertLess(reactor.seconds(), began + 600, "the network's day does not go on")
            segment = (await self.visitors.client.day()).segment
            visit = await self.visitors.fetch(self.node.onion_address, fresh_descriptor=self.visitors.client.may_forget)
            logs[segment].record(reactor.seconds(), visit)
            await pause(reactor, 1.0)
        for segment, log in logs.items():
            self.assertGreaterEqual(log.percent_ok, 95.0, f"{segment}: {log.errors}")
        self.assertNotIn("INTRO2 keys", self.tor_log)


class SignalTests(NodeTestCase):
    """How the daemon ends while something is under way."""

    async def test_ends_while_tor_boots(self) -> None:
        """SIGINT right after the start ends the daemon with status 0, and its Tor with it."""
        await self.prepare()
        child = self.node.start()
        for _ in range(200):
            status = await self.node.status()
            if status is not None and status.instances[0].pid is not None:
                break
            await pause(reactor, 0.1)
        else:
            raise DeadlinePassed
        tor = status.instances[0].pid
        child.send(signal.SIGINT)
        await within(12.0, reactor, child.gone())
        self.assertEqual(child.returncode, 0, child.tail)
        self.assertFalse(alive(tor))
