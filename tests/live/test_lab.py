"""The lab itself: a real network, how it ends, and a plain onion service in it."""

import os
import random
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from rustbalance.lab.control import ControlLink
from rustbalance.lab.network import View, look
from rustbalance.lab.plain import PlainService
from rustbalance.lab.ports import PortBlock
from rustbalance.lab.site import PAGE, TargetSite
from rustbalance.lab.state import holder
from rustbalance.life import deferred, pause
from tests.live.network import LiveTestCase

STARTED = "client at"
ENDING = 20.0
#: Services that are killed, visits to each after its death, and seconds from the death to the visits.
DEATHS, CLIENTS, NEWS = 5, 4, 2.0
#: Seconds in which Tor tries three dead introduction points, each but every second, and the directories.
PATIENCE = 6.0


class NetworkTests(LiveTestCase):
    """The network that all live tests share."""

    async def test_usable(self) -> None:
        """The client is at 100 %, every relay is a directory in its consensus, and each is described."""
        link = await ControlLink.open(self.network.client.control_port, reactor)
        self.addCleanup(lambda: deferred(link.close()))
        total = self.network.authorities + self.network.relays
        self.assertEqual(await look(link), View(100, total, total))
        consensus = await link.consensus()
        self.assertEqual(consensus.voting_interval, self.network.voting_interval)
        text = await link.ask("dir/status-vote/current/consensus-microdesc")
        self.assertEqual(len(re.findall(r"^w Bandwidth=1000$", text, re.MULTILINE)), self.network.relays)
        self.assertEqual(len(re.findall(r"^s .*\bStable\b", text, re.MULTILINE)), total)
        self.assertGreater(total, 8)

    async def test_plain_service(self) -> None:
        """A plain onion service with the include file publishes, and is visited with circuits and descriptors anew."""
        place = Path(tempfile.mkdtemp(prefix="rb-plain-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, place, ignore_errors=True)
        site = TargetSite(reactor)
        self.addCleanup(lambda: deferred(site.stop()))
        port = int((await site.start()).rpartition(":")[2])
        ports = PortBlock.reserve(random.Random())
        self.addCleanup(ports.release)
        include = Path(self.network.include_path).read_text()
        plain = PlainService(place, include, port, ports.take(), reactor)
        self.addCleanup(lambda: deferred(plain.stop()))
        await plain.start()
        first = await plain.published(1)
        self.assertLessEqual(first, await plain.published(12))
        visitor = await self.visitor()
        for fresh in (False, True):
            visit = await visitor.fetch(plain.onion, fresh_descriptor=fresh)
            self.assertEqual((visit.error, visit.status, visit.body), (None, 200, PAGE))
        self.assertEqual(site.requests, 2)


class DeathTests(LiveTestCase):
    """What clients notice when a service dies under them."""

    timeout = 200

    async def test_introduction_points_know(self) -> None:
        """
        Nobody waits for a service whose Tor was killed: its introduction points refuse, and each client gives up.

        This is a plain service, and what is looked at is the network: on links without traffic the news of the death
        does not get through, the points go on saying yes, and clients wait for C{PATIENCE} and more.
        """
        place = Path(tempfile.mkdtemp(prefix="rb-plain-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, place, ignore_errors=True)
        site = TargetSite(reactor)
        self.addCleanup(lambda: deferred(site.stop()))
        port = int((await site.start()).rpartition(":")[2])
        ports = PortBlock.reserve(random.Random())
        self.addCleanup(ports.release)
        waited: list[float] = []
        for number in range(DEATHS):
            include = Path(self.network.include_path).read_text()
            plain = PlainService(place / str(number), include, port, ports.take(), reactor)
            try:
                waited += await self.die(plain)
            finally:
                await plain.stop()
        print(f"\nfrom the first visit after a death to the refusal: longest of {len(waited)}: {max(waited):.1f} s")
        self.assertLess(max(waited), PATIENCE)

    async def die(self, plain: PlainService) -> list[float]:
        """Start a service, visit it, kill it; return the seconds for which visits after its death waited in vain."""
        await plain.start()
        await plain.published(16)
        visitor = await self.visitor()
        first = await visitor.fetch(plain.onion)
        self.assertTrue(first.ok, first)
        assert plain.pid is not None
        os.kill(plain.pid, signal.SIGKILL)
        await pause(reactor, NEWS)
        visits = [deferred(visitor.fetch(plain.onion)) for _ in range(CLIENTS)]
        found = [await visit for visit in visits]
        self.assertEqual([visit for visit in found if visit.ok], [])
        return [visit.seconds for visit in found]


def as_in_a_terminal() -> None:
    """Undo that a shell without job control starts what is in its background with Ctrl-C ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class EndTests(TestCase):
    """A network ends with all its processes, whatever ends it. Each is ended while it boots, when all of them run."""

    timeout = 120

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="rb-end-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def boot(self) -> tuple["subprocess.Popen[str]", list[int]]:
        """Boot a small network until its processes run; return it and handles of its Tors (pidfd_open(2))."""
        command = [sys.executable, "-m", "rustbalance.lab.network", "--relays", "2", "--directory", str(self.directory)]
        child = subprocess.Popen(
            command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=as_in_a_terminal
        )
        for pipe in (child.stdin, child.stdout):
            assert pipe is not None
            self.addCleanup(pipe.close)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        for line in child.stdout or ():
            if STARTED in line:
                break
        return child, [os.pidfd_open(int(path.read_text())) for path in self.directory.glob("*/child.pid")]

    def all_end(self, handles: list[int]) -> bool:
        """Say whether every process has ended within the deadline."""
        self.assertEqual(len(handles), 6)
        ended = [select.select([handle], [], [], ENDING)[0] for handle in handles]
        for handle in handles:
            os.close(handle)
        return all(ended)

    async def test_input_closes(self) -> None:
        """Whoever started the network has gone."""
        child, handles = await deferToThread(self.boot)
        assert child.stdin is not None
        child.stdin.close()
        self.assertTrue(await deferToThread(self.all_end, handles))
        self.assertEqual(await deferToThread(child.wait, ENDING), 0)

    async def test_signals(self) -> None:
        """SIGINT and SIGTERM end it in good order, also in the middle of the start."""
        for number in (signal.SIGINT, signal.SIGTERM):
            child, handles = await deferToThread(self.boot)
            child.send_signal(number)
            self.assertTrue(await deferToThread(self.all_end, handles), number)
            self.assertEqual(await deferToThread(child.wait, ENDING), 0)
            self.assertEqual(list(self.directory.glob("*/child.pid")), [])

    async def test_kill(self) -> None:
        """After kill -9 the Tors end by themselves, and the directory is free for the next network."""
        child, handles = await deferToThread(self.boot)
        child.kill()
        self.assertTrue(await deferToThread(self.all_end, handles))
        self.assertIsNone(holder(self.directory))
