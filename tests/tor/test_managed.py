"""Tests for L{rustbalance.tor.managed}, with a FakeTor as child process; C{tests.live} has the real one."""

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from twisted.internet import reactor  # noqa: TID251  (real processes)
from twisted.python.filepath import FilePath
from twisted.trial.unittest import TestCase

from rustbalance.life import pause, within
from rustbalance.onion.address import OnionAddress
from rustbalance.onion.keys import MasterKey
from rustbalance.secrets import Secret
from rustbalance.testing.fake_tor_process import CIRCUITS, write_program
from rustbalance.tor.control import Patience
from rustbalance.tor.events import IntroductionCircuit
from rustbalance.tor.managed import ManagedSettings, ManagedTor
from rustbalance.tor.torrc import SocketPathTooLong

CIRCUIT = (
    "12 BUILT $9CDF31AFC85FDD66E9D0A2A4E1F24CD5B6A0CB45~r1 BUILD_FLAGS=IS_INTERNAL,NEED_CAPACITY "
    f"PURPOSE=HS_SERVICE_INTRO HS_STATE=HSSI_ESTABLISHED REND_QUERY={OnionAddress(bytes(range(32))).label} "
    "TIME_CREATED=2026-01-01T00:00:00.000000"
)
PATIENCE = Patience(command=1.0, check=0.2, life=1.0)


class ManagedTorTests(TestCase):
    """L{ManagedTor} runs a child and keeps it running."""

    timeout = 60

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(FilePath(str(self.folder)).remove)
        self.key = MasterKey.from_seed(Secret.copy_of(bytes(range(32))))
        self.binary = write_program(self.folder / "tor")

    def instance(
        self, binary: str | None = None, key: MasterKey | None = None, patience: Patience = PATIENCE
    ) -> ManagedTor:
        """Return an instance that is stopped at the end of the test."""
        settings = ManagedSettings(
            self.folder / "primary", binary or self.binary, forward_to=lambda: "unix:/front.sock"
        )
        instance = ManagedTor("primary", settings, lambda: key or self.key, reactor, lambda failures: 0.05, patience)
        self.addCleanup(instance.stopService)
        return instance

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something to become true; the test's own timeout is the deadline."""
        while not condition():
            await pause(reactor, 0.02)

    async def serving(self, instance: ManagedTor) -> int:
        """Wait until it serves and return the process id."""
        await self.until(lambda: instance.status().phase == "serving")
        assert instance.pid is not None
        return instance.pid

    async def test_life(self) -> None:
        """It starts with our service on it, owned by us, and is gone after the stop."""
        instance = self.instance()
        instance.startService()
        pid = await self.serving(instance)
        assert instance.control is not None
        options = dict(await instance.control.get_conf("HiddenServiceOptions"))
        self.assertEqual(options["HiddenServiceDir"], str(self.folder / "primary" / "service"))
        self.assertEqual(options["HiddenServicePort"], '80 unix:"/front.sock"')
        self.assertTrue((self.folder / "primary" / "service" / "ob_config").exists())
        self.assertEqual(instance.socks, self.folder / "primary" / "socks.sock")
        await instance.stopService()
        self.assertRaises(ProcessLookupError, os.kill, pid, 0)
        self.assertEqual((instance.status().phase, instance.status().pid), ("stopped", None))

    async def test_killed(self) -> None:
        """A Tor that dies is replaced, and the status says why."""
        instance = self.instance()
        instance.startService()
        first = await self.serving(instance)
        os.kill(first, signal.SIGKILL)
        await self.until(lambda: instance.status().phase != "serving")
        second = await self.serving(instance)
        self.assertNotEqual(first, second)
        self.assertEqual(instance.status().restarts, 1)

    async def test_no_fsync_while_it_runs(self) -> None:
        """The event loop does not wait for the disk when a Tor is restarted: all that matters is written already."""
        instance = self.instance()
        instance.startService()
        first = await self.serving(instance)
        synced: list[int] = []
        self.patch(os, "fsync", synced.append)
        os.kill(first, signal.SIGKILL)
        await self.until(lambda: instance.status().phase != "serving")
        second = await self.serving(instance)
        self.assertEqual(synced, [])
        self.assertEqual((self.folder / "primary" / "pid").read_text(), f"{second}\n")

    async def test_hung(self) -> None:
        """A Tor that stands still is noticed, killed and replaced."""
        instance = self.instance()
        instance.startService()
        first = await self.serving(instance)
        os.kill(first, signal.SIGSTOP)
        await self.until(lambda: instance.status().phase == "waiting")
        self.assertEqual(instance.status().problem, "Tor did not answer GETINFO within 1 s")
        self.assertNotEqual(await self.serving(instance), first)
        self.assertRaises(ProcessLookupError, os.kill, first, 0)

    async def test_hurried(self) -> None:
        """When the time to stop is short, a Tor that does not go when asked is killed in time, even if asked before."""
        for failed_before in (False, True):
            instance = self.instance()
            instance.startService()
            pid = await self.serving(instance)
            os.kill(pid, signal.SIGSTOP)
            if failed_before:
                instance.failed("it hangs")
            instance.hurry(0.4)
            await within(0.4, reactor, instance.stopService())
            self.assertRaises(ProcessLookupError, os.kill, pid, 0)

    async def test_leftover(self) -> None:
        """A Tor that an earlier daemon left, even a hung one, does not keep the new one from serving."""
        old = self.instance()
        old.startService()
        await self.serving(old)
        await old.stopService()
        home = self.folder / "primary"
        leftover = subprocess.Popen([self.binary, "-f", str(home / "torrc")])
        self.addCleanup(leftover.wait)
        (home / "pid").write_text(f"{leftover.pid}\n")
        await self.until((home / "control.sock").exists)
        os.kill(leftover.pid, signal.SIGSTOP)
        new = self.instance()
        new.startService()
        await self.serving(new)
        self.assertEqual(leftover.wait(1), -signal.SIGKILL)

    async def test_bad_torrc(self) -> None:
        """What Tor says about its configuration is the problem."""
        binary = self.folder / "broken"
        binary.write_text("#!/bin/sh\necho 'Nov 24 10:00:00.000 [err] Reading config failed'; exit 1\n")
        binary.chmod(0o700)
        instance = self.instance(str(binary))
        instance.startService()
        await self.until(lambda: instance.status().problem is not None)
        self.assertEqual(instance.status().problem, "it exited with status 1: Reading config failed")

    async def test_id_cannot_be_noted(self) -> None:
        """A full disk, say, is the problem until it is over; no Tor stays that nobody knows."""
        home = self.folder / "primary"
        (home / "pid").mkdir(parents=True, mode=0o700)
        home.chmod(0o700)
        instance = self.instance()
        instance.startService()
        await self.until(lambda: instance.status().restarts > 1)
        self.assertIn("pid", str(instance.status().problem))
        (home / "pid").rmdir()
        await self.serving(instance)
        self.assertEqual(list(started_with(home / "torrc")), [instance.pid])

    async def test_never_opens_its_control_socket(self) -> None:
        """A Tor that starts but takes no commands is given up with a sentence that says so."""
        binary = self.folder / "silent"
        binary.write_text("#!/bin/sh\nexec sleep 60\n")
        binary.chmod(0o700)
        instance = self.instance(str(binary), patience=Patience(start=0.3))
        instance.startService()
        await self.until(lambda: instance.status().problem is not None)
        self.assertEqual(instance.status().problem, "Tor did not open its control socket within 0.3 s")

    async def test_without_introductions(self) -> None:
        """A Tor that gets no introduction circuit is replaced; one that has some, told or asked, is not."""
        instance = self.instance(patience=Patience(check=0.05, introductions=0.3))
        instance.startService()
        await self.until(lambda: instance.status().problem is not None)
        self.assertEqual(instance.status().problem, "it has had no introduction points for 0.3 s")
        (self.folder / "primary" / CIRCUITS).write_text(CIRCUIT)
        pid = await self.serving(instance)
        await pause(reactor, 0.8)
        self.assertEqual(instance.pid, pid)
        instance.on_event(IntroductionCircuit(self.key.address, "12", False))
        await pause(reactor, 0.8)
        self.assertEqual(instance.pid, pid)

    async def test_no_tor(self) -> None:
        """A missing tor is said to be missing, and looked for again."""
        instance = self.instance("no-such-tor")
        instance.startService()
        await self.until(lambda: instance.status().restarts > 1)
        self.assertIn("install tor or set tor.binary", str(instance.status().problem))

    async def test_another_key(self) -> None:
        """The directory of another address is not taken over."""
        first = self.instance()
        first.startService()
        await self.serving(first)
        await first.stopService()
        second = self.instance(key=MasterKey.from_seed(Secret.copy_of(bytes(32))))
        second.startService()
        await self.until(lambda: second.status().problem is not None)
        self.assertIn("belongs to another service", str(second.status().problem))

    async def test_scout(self) -> None:
        """Without a key it is a plain client that publishes what it is given."""
        instance = ManagedTor("scout", ManagedSettings(self.folder / "scout", self.binary), None, reactor)
        self.addCleanup(instance.stopService)
        instance.startService()
        await self.serving(instance)
        assert instance.control is not None
        self.assertEqual(
            await instance.control.get_conf("PublishHidServDescriptors"), (("PublishHidServDescriptors", "1"),)
        )
        self.assertFalse((self.folder / "scout" / "service").exists())

    def test_too_deep(self) -> None:
        """A directory too deep for sockets is refused before anything starts."""
        settings = ManagedSettings(Path("/" + "x" * 100))
        self.assertRaises(SocketPathTooLong, ManagedTor, "primary", settings, None, reactor)


def started_with(torrc: Path) -> Iterator[int]:
    """Yield the ids of all processes that have C{torrc} among their arguments."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.fsencode(torrc) in (entry / "cmdline").read_bytes().split(b"\0"):
                yield int(entry.name)
