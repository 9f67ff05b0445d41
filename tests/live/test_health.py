"""A target that dies, a node that is drained, a node with everything broken: on real nodes."""

import signal
import sys
from pathlib import Path
from shutil import which
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread

from rustbalance.config import find_places
from rustbalance.lab.site import PAGE
from rustbalance.life import deferred, pause, within
from rustbalance.ops.control_client import ask
from rustbalance.ops.draining import Draining
from rustbalance.ops.status import Health, NodeStatus
from tests.drills.drill import Drill
from tests.live.cluster import NODES, ClusterTestCase, Member, published_points, publisher
from tests.live.nodes import NodeTestCase

reactor: Any = global_reactor
STARTED_WITHIN = 120.0
#: Seconds between two probes here.
INTERVAL = 3
#: Seconds until a target that hangs counts as down: three probes that each take their whole time.
DOWN_WITHIN = 30.0
#: Seconds that a daemon may take to stop which has something to finish first.
LONG = 60.0
#: Seconds until the points of a drained node are out of the descriptor, and in it again.
WITHDRAWN, BACK = 10.0, 15.0
GONE = Drill(
    80,
    "no tor starts any more, the target is dead, no other node is heard",
    "status says so in one sentence, and what is being done about it",
    60.0,
)
RETURNED = Drill(81, "all of it comes back", "both nodes' points are published", 150.0)


def figure(text: str) -> None:
    """Print a measured figure."""
    print(f"\n    {text}", file=sys.stderr, flush=True)


def add(config: Path, table: str, line: str) -> None:
    """Write a line into a table of a configuration."""
    text = config.read_text()
    config.write_text(text.replace(f"[{table}]", f"[{table}]\n{line}\n", 1))


class TargetTests(NodeTestCase):
    """The site behind the node dies and comes back."""

    async def test_dead_target(self) -> None:
        """
        The target hangs: after three probes it is DOWN, and visitors get a 503 at once instead of a long wait. Who was
        waiting already is told as well.

        When it is back it is found out without any visitor, the node is healthy, and pages come.
        """
        await self.prepare()
        add(self.node.config, "health", f"http_probe_interval_secs = {INTERVAL}\nhttp_probe_timeout_secs = 2")
        await self.serving()
        await self.page()
        await self.node.until(lambda status: status.proxy.target_healthy is True, 20)
        await self.site.stop()
        silent = reactor.listenUNIX(str(self.target), Factory.forProtocol(Protocol))
        self.addCleanup(silent.stopListening)
        began = reactor.seconds()
        waiting = deferred(self.visitors.fetch(self.node.onion_address))
        status = await self.node.until(lambda status: status.proxy.target_healthy is False, DOWN_WITHIN)
        down = reactor.seconds() - began
        self.assertEqual(status.health, Health.DEGRADED)
        self.assertIn("the target does not answer", status.problems)
        self.assertIn("the target does not answer (it is asked again and again)", status.summary)
        began = reactor.seconds()
        visit = await waiting
        told = reactor.seconds() - began
        self.assertEqual(visit.status, 504, visit.error)
        began = reactor.seconds()
        visit = await self.visitors.fetch(self.node.onion_address)
        took = reactor.seconds() - began
        self.assertEqual(visit.status, 503, visit.error)
        self.assertNotIn(b"RustBalance", visit.body)
        await silent.stopListening()
        await self.site.start(self.target)
        began = reactor.seconds()
        status = await self.node.until(lambda status: status.proxy.target_healthy is True, DOWN_WITHIN)
        back = reactor.seconds() - began
        self.assertEqual(status.health, Health.HEALTHY, status.problems)
        visit = await self.visitors.fetch(self.node.onion_address)
        self.assertEqual((visit.status, visit.body), (200, PAGE), visit.error)
        log = self.log
        self.assertEqual((log.count("Target is DOWN"), log.count("Target recovered")), (1, 1), log)
        figure(f"target hangs: DOWN after {down:.1f} s; a visitor has the 503 after {took:.1f} s (through Tor)")
        figure(f"a visitor who was waiting is told {told:.1f} s after that")
        figure(f"target is back: found out after {back:.1f} s")

    @property
    def log(self) -> str:
        """What the daemon has said."""
        return (self.directory / "node" / "output.log").read_text()


class StopTests(NodeTestCase):
    """The daemon is told to stop."""

    async def test_deadline(self) -> None:
        """
        In the middle of a download that would take far too long: nobody else is let in, the lease is released, the
        download is broken off at the deadline, and the daemon ends with status 0 and leaves nothing behind.
        """
        await self.prepare()
        await self.serving()
        await self.page()
        child, status = self.node.child, await self.node.status()
        assert child is not None
        assert status is not None
        download = deferred(self.visitors.fetch(self.node.onion_address, "/big?bytes=1000000000"))
        while not self.site.asked["/big"]:
            await pause(reactor, 0.02)
        began = reactor.seconds()
        child.send(signal.SIGTERM)
        while (self.directory / "node" / "state" / "front.sock").exists():
            self.assertLess(reactor.seconds() - began, 3.0, "the front still lets visitors in")
            await pause(reactor, 0.02)
        closed = reactor.seconds() - began
        await within(15.0, reactor, child.gone())
        ended = reactor.seconds() - began
        self.assertEqual(child.returncode, 0, child.tail)
        self.assertLessEqual(ended, 11.0)
        self.assertFalse((await download).ok)
        self.assertIn("Released lease", child.tail)
        left = [path for path in self.directory.rglob("*") if path.is_socket() and path != self.target]
        self.assertEqual(left, [])
        running = [tor.pid for tor in status.instances if tor.pid is not None and Path(f"/proc/{tor.pid}").exists()]
        self.assertEqual(running, [])
        figure(f"SIGTERM: nobody is let in after {closed:.2f} s; it ends after {ended:.1f} s (10 s are allowed)")

    async def test_idle(self) -> None:
        """What is under way is finished, and then nothing is waited for: the download is whole, the deadline far."""
        await self.prepare()
        text = self.node.config.read_text()
        self.node.config.write_text(text.replace("[node]", f"shutdown_deadline_secs = {LONG:g}\n[node]", 1))
        await self.serving()
        await self.page()
        child, size = self.node.child, 3_000_000
        assert child is not None
        download = deferred(self.visitors.fetch(self.node.onion_address, f"/big?bytes={size}"))
        while not self.site.asked["/big"]:
            await pause(reactor, 0.02)
        self.assertFalse(download.called)
        began = reactor.seconds()
        child.send(signal.SIGTERM)
        visit = await download
        finished = reactor.seconds() - began
        await within(LONG, reactor, child.gone())
        ended = reactor.seconds() - began
        self.assertEqual((visit.status, visit.size), (200, size), visit.error)
        self.assertEqual(child.returncode, 0, child.tail)
        self.assertLess(child.tail.index("Released lease"), child.tail.index("stopped"), child.tail)
        self.assertNotIn("broken off", child.tail)
        self.assertLess(ended - finished, LONG / 4)
        figure(
            f"SIGTERM in a download: it is whole after {finished:.1f} s, the daemon ends {ended - finished:.1f} s later"
        )


class DrainTests(ClusterTestCase):
    """One of three nodes is taken out of service."""

    async def verb(self, member: Member, verb: str) -> Draining:
        """Ask a node to drain or undrain."""
        return await deferToThread(ask, find_places(member.config).control_socket, verb, Draining)

    async def serving_one(self, began: int) -> str:
        """Return the node that a download goes through."""
        for _ in range(300):
            for name, member in self.members.items():
                status = await member.status()
                if status is not None and status.proxy.bytes_out > began:
                    return name
            await pause(reactor, 0.1)
        raise AssertionError("no node serves the download")

    async def test_drain(self) -> None:
        """
        The node that a long download goes through is drained: its points leave the descriptor, the download ends well.

        Put back into service, its points are published again.
        """
        await self.prepare()
        self.start()
        await self.until("nine points", lambda found: published_points(found) == 9, STARTED_WITHIN)
        all_keys = await self.found_by_clients()
        size = 8_000_000
        download = deferred(self.visitors.fetch(self.address.text, f"/big?bytes={size}"))
        name = await self.serving_one(50_000)
        member = self.members[name]
        began = reactor.seconds()
        answer = await self.verb(member, "drain")
        self.assertEqual((answer.drained, sorted(answer.others)), (True, sorted({*NODES} - {name})))
        self.assertFalse(download.called, "the download was too short for this test")
        await self.until("six points", lambda found: published_points(found) == 6, 30)
        withdrawn = reactor.seconds() - began
        await self.until("they are everywhere", lambda found: published_points(found, everywhere=True) == 6, 30)
        left = await self.found_by_clients()
        gone = set(await self.own_points(member))
        self.assertTrue(gone & set(all_keys), "clients had no point of it in the first place")
        self.assertFalse(gone & set(left), "clients still have a point of it")
        status = await member.status()
        assert status is not None
        self.assertTrue(status.drained)
        self.assertIn("drained", status.summary)
        self.assertEqual(status.health, Health.DEGRADED)
        visit = await download
        self.assertEqual((visit.status, visit.size), (200, size), visit.error)
        began = reactor.seconds()
        self.assertFalse((await self.verb(member, "undrain")).drained)
        await self.until("nine points", lambda found: published_points(found) == 9, 30)
        figure(f"drain: the node's points are withdrawn after {withdrawn:.1f} s (target {WITHDRAWN:g}), ")
        figure(f"undrain: published again after {reactor.seconds() - began:.1f} s (target {BACK:g})")
        self.assertLessEqual(withdrawn, WITHDRAWN)
        self.assertLessEqual(reactor.seconds() - began, BACK)


class BrokenTests(ClusterTestCase):
    """Everything that a node needs is gone."""

    async def test_everything_broken(self) -> None:
        """
        No tor binary works, the target is dead, no other node is heard: status answers, in one sentence with what is
        being done; when all of it is back the node recovers by itself.
        """
        await self.prepare()
        for unwanted in NODES[2:]:
            del self.members[unwanted]
        tor = which("tor")
        assert tor is not None
        program = self.directory / "tor"
        program.symlink_to(tor)
        alpha, beta = (self.members[name] for name in NODES[:2])
        add(alpha.config, "tor", f'binary = "{program}"')
        alpha.config.write_text(alpha.config.read_text() + "[health]\nhttp_probe_interval_secs = 2\n")
        self.start()
        await self.until("six points", lambda found: published_points(found) == 6, STARTED_WITHIN)
        beta.kill()
        await beta.process.gone()
        program.unlink()
        program.write_text("#!/bin/sh\necho 'no such luck' >&2\nexit 1\n")
        program.chmod(0o755)
        await self.site.stop()
        alpha.kill_tors()
        began = reactor.seconds()
        status = await self.sentence(alpha, "no Tor serves", "the target does not answer", "no other node is heard")
        figure(
            f"everything broken: the sentence says so after {reactor.seconds() - began:.1f} s:\n    {status.summary}"
        )
        GONE.mended(self, began)
        self.assertEqual(status.health, Health.DOWN)
        self.assertNotIn("\n", status.summary)
        await self.sentence(alpha, problems=("it is being restarted", "the way to it is being looked for anew"))
        program.unlink()
        program.symlink_to(tor)
        await self.site.start(self.directory / "site.sock")
        beta.start()
        began = reactor.seconds()
        await self.until("six points again", lambda found: len(found) == 2 and published_points(found) == 6, 180)
        RETURNED.mended(self, began)
        self.assertNotIn("Traceback", alpha.log)
        self.assertIsNotNone(publisher({"alpha": status}) or "nobody")

    async def sentence(self, member: Member, *parts: str, problems: tuple[str, ...] = ()) -> NodeStatus:
        """Wait until the node's sentence has these parts, and its problems those; each answer comes in five seconds."""
        for _ in range(120):
            status = await member.status()
            assert status is not None, "the node does not answer"
            every = "\n".join(status.problems)
            if all(part in status.summary for part in parts) and all(part in every for part in problems):
                return status
            await pause(reactor, 0.5)
        raise AssertionError(f"not said: {parts} {problems}\n{status}\n{member.log[-3000:]}")
