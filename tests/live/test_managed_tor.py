"""A managed Tor on the private network: up, killed, hung, orphaned."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from rustbalance.life import pause
from rustbalance.onion.descriptor import decode
from rustbalance.onion.keys import MasterKey, subcredential
from rustbalance.onion.outer import decode_outer
from rustbalance.secrets import Secret
from rustbalance.tor.control import Patience
from rustbalance.tor.managed import ManagedSettings, ManagedTor
from tests.live.network import LiveTestCase


class ManagedTorTests(LiveTestCase):
    """The real tor as our child."""

    def setUp(self) -> Deferred[None]:  # type: ignore[override]
        self.folder = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.key = MasterKey.from_seed(Secret.random(32))
        return super().setUp()

    def instance(self, patience: Patience | None = None) -> ManagedTor:
        """Return an instance on the network, started; it is stopped at the end of the test."""
        settings = ManagedSettings(
            self.folder / "tor", torrc_include=Path(self.network.include_path), forward_to="127.0.0.1:9"
        )
        instance = ManagedTor("primary", settings, self.key, reactor, lambda failures: 0.5, patience or Patience())
        self.addCleanup(instance.stopService)
        instance.startService()
        return instance

    async def until(self, condition: Callable[[], bool], seconds: float = 60) -> float:
        """Wait for something to become true; return how long it took."""
        started = reactor.seconds()
        while not condition():
            if reactor.seconds() - started > seconds:
                self.fail(f"it has not happened within {seconds} s")
            await pause(reactor, 0.05)
        return float(reactor.seconds() - started)

    async def serving(self, instance: ManagedTor) -> int:
        """Wait until it serves and return the process id."""
        await self.until(lambda: instance.status().phase == "serving")
        assert instance.pid is not None
        return instance.pid

    async def points(self, instance: ManagedTor) -> int:
        """Wait for introduction points and return how many there are."""
        for _ in range(120):
            assert instance.control is not None
            text = await instance.control.own_descriptor(self.key.address)
            if text is not None:
                blinded = decode_outer(text).blinded_public
                found = decode(text, subcredential(self.key.public, blinded)).inner.points
                if found:
                    return len(found)
            await pause(reactor, 0.25)
        return 0

    async def test_serves_and_has_introduction_points(self) -> None:
        """It bootstraps and makes introduction points, without publishing and without a complaint."""
        instance = self.instance()
        pid = await self.serving(instance)
        self.assertEqual(await self.points(instance), 3)
        status = instance.status()
        self.assertEqual((status.bootstrap_percent, status.problem, status.restarts), (100, None, 0))
        await instance.stopService()
        self.assertRaises(ProcessLookupError, os.kill, pid, 0)
        log = (self.folder / "tor" / "tor.log").read_text()
        self.assertNotIn("INTRO2 keys", log)
        self.assertNotIn("[err]", log)

    async def test_killed(self) -> None:
        """After a kill -9 there is another one, with introduction points of its own."""
        instance = self.instance()
        first = await self.serving(instance)
        os.kill(first, signal.SIGKILL)
        await self.until(lambda: instance.status().phase != "serving", 5)
        second = await self.serving(instance)
        self.assertNotEqual(first, second)
        self.assertEqual(await self.points(instance), 3)

    async def test_hung(self) -> None:
        """One that stands still is noticed within the two deadlines, and replaced."""
        patience = Patience(command=3, check=2, life=3)
        instance = self.instance(patience)
        first = await self.serving(instance)
        os.kill(first, signal.SIGSTOP)
        noticed = await self.until(lambda: instance.status().phase != "serving", 20)
        self.assertLess(noticed, patience.check + patience.command + 1)
        self.assertNotEqual(await self.serving(instance), first)
        self.assertRaises(ProcessLookupError, os.kill, first, 0)

    async def test_without_introductions(self) -> None:
        """One that has introductions is left alone; one that has lost them all for long is replaced."""
        patience = Patience(check=1, introductions=8)
        instance = self.instance(patience)
        first = await self.serving(instance)
        self.assertEqual(await self.points(instance), 3)
        await pause(reactor, patience.introductions + patience.check)
        self.assertEqual((instance.pid, instance.status().restarts), (first, 0))
        assert instance.control is not None
        await instance.control.set_conf([("DisableNetwork", "1")])
        await self.until(lambda: instance.status().problem is not None, 15)
        self.assertEqual(instance.status().problem, "it has had no introduction points for 8 s")
        self.assertNotEqual(await self.serving(instance), first)
        self.assertEqual(await self.points(instance), 3)

    async def owner(self) -> tuple[subprocess.Popen[bytes], int]:
        """Start a daemon of its own; return it and its Tor's process id as soon as that serves."""
        directory, said = self.folder / "tor", self.folder / "said"
        arguments = [sys.executable, "-m", "tests.live.tor_owner", str(directory), self.network.include_path]
        with said.open("wb") as output:
            child = subprocess.Popen(arguments, stdout=output)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        await self.until(lambda: said.read_text() == "ready\n")
        return child, int((directory / "pid").read_text())

    async def test_daemon_killed(self) -> None:
        """When the daemon is killed its Tor goes by itself, and soon."""
        daemon, tor = await self.owner()
        daemon.kill()
        took = await self.until(lambda: not alive(tor), 30)
        self.assertLess(took, 10)

    async def test_daemon_killed_and_started_again_at_once(self) -> None:
        """The next daemon does not mind that the last one's Tor is still going away."""
        daemon, tor = await self.owner()
        os.kill(tor, signal.SIGSTOP)
        daemon.kill()
        await deferToThread(daemon.wait)
        shutil.rmtree(self.folder / "tor" / "service")
        instance = self.instance()
        self.assertNotEqual(await self.serving(instance), tor)
        self.assertFalse(alive(tor))


def alive(pid: int) -> bool:
    """Say whether a process runs (one that nobody has waited for does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
