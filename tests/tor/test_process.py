"""Tests for L{rustbalance.tor.process}, with small shell scripts as tor."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

from twisted.internet import reactor  # noqa: TID251  (real processes)
from twisted.python.filepath import FilePath
from twisted.trial.unittest import TestCase

from rustbalance.life import deferred, pause, within
from rustbalance.tor.process import TorNotFound, TorProcess, end_leftover, start


class ProcessTests(TestCase):
    """A child is started, heard and ended."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(FilePath(str(self.folder)).remove)
        self.torrc = self.folder / "torrc"
        self.pid_file = self.folder / "pid"
        self.heard: list[str] = []

    def start(self, script: str) -> TorProcess:
        """Start a shell script in tor's place."""
        program = self.folder / "tor"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o700)
        return start(reactor, str(program), self.torrc, self.pid_file, self.heard.append)

    async def sleeper(self, first: str = "") -> TorProcess:
        """Start one that runs until it is ended, and wait until it does."""
        process = self.start(f"{first}echo 'Nov 24 10:00:00.000 [warn] up'; exec sleep 60")
        while not self.heard:
            await pause(reactor, 0.01)
        return process

    async def test_complaints_explain_the_end(self) -> None:
        """What it complained about last is the reason, and each complaint is passed on."""
        process = self.start(
            "echo 'Nov 24 10:00:00.000 [notice] all is well'\n"
            "echo 'Nov 24 10:00:00.000 [warn] odd thing'\n"
            "printf 'Nov 24 10:00:00.000 [err] Reading config failed'; exit 1"
        )
        reason = await within(5, reactor, process.ended())
        self.assertEqual(reason, "it exited with status 1: odd thing: Reading config failed")
        self.assertEqual(self.heard, ["odd thing", "Reading config failed"])
        self.assertEqual(await process.ended(), reason)
        self.assertIsNone(process.pid)

    async def test_arguments_and_environment(self) -> None:
        """It is told the torrc and nothing of the system, and sees nothing of our environment."""
        os.environ["RUSTBALANCE_CONFIG_KEY"] = "x"
        self.addCleanup(os.environ.pop, "RUSTBALANCE_CONFIG_KEY")
        process = self.start('echo "$@" > arguments; env > environment; exit 0')
        self.assertEqual(await within(5, reactor, process.ended()), "it exited with status 0")
        self.assertEqual(
            (self.folder / "arguments").read_text(), f"-f {self.torrc} --defaults-torrc /dev/null --hush\n"
        )
        self.assertNotIn("RUSTBALANCE", (self.folder / "environment").read_text())

    async def test_ends_when_asked(self) -> None:
        """One that listens to SIGTERM is not killed."""
        process = await self.sleeper()
        self.assertEqual(self.pid_file.read_text(), f"{process.pid}\n")
        await process.end(reactor, 5)
        self.assertEqual(process.reason, "it was ended by signal 15: up")
        await process.end(reactor, 5)

    async def test_ends_when_it_does_not_listen(self) -> None:
        """One that hangs is killed after the patience is over."""
        process = await self.sleeper("trap '' TERM; ")
        await process.end(reactor, 0.3)
        self.assertEqual(process.reason, "it was ended by signal 9: up")

    async def test_id_cannot_be_noted(self) -> None:
        """A child whose id cannot be written down does not stay: nobody would find it again."""
        self.pid_file.mkdir()
        with patch.object(TorProcess, "kill", autospec=True, side_effect=TorProcess.kill) as killed:
            self.assertRaises(OSError, self.start, "exec sleep 60")
        (process,) = killed.call_args.args
        self.assertEqual(await within(5, reactor, process.ended()), "it was ended by signal 9")

    async def test_session_of_its_own(self) -> None:
        """Ctrl-C at a terminal reaches everybody in the session of the daemon, and Tor is not to go first."""
        process = await self.sleeper()
        self.addCleanup(lambda: deferred(process.end(reactor, 5)))
        assert process.pid is not None
        self.assertEqual(os.getsid(process.pid), process.pid)
        self.assertEqual(os.getpgid(process.pid), process.pid)

    def test_not_found(self) -> None:
        """A missing program is named, with what to do."""
        error = self.assertRaises(TorNotFound, start, reactor, "no-such-tor", self.torrc, self.pid_file, print)
        self.assertIn("no program no-such-tor; install tor or set tor.binary", str(error))

    def leftover(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Return a process that an earlier daemon might have left, with its number in the file."""
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", *arguments])
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        self.pid_file.write_text(f"{child.pid}\n")
        while not Path(f"/proc/{child.pid}/cmdline").read_bytes():
            time.sleep(0.001)
        return child

    def test_leftover(self) -> None:
        """The Tor of an earlier daemon is killed: it is known by its torrc."""
        child = self.leftover("-f", str(self.torrc))
        self.assertEqual(end_leftover(self.pid_file, self.torrc), child.pid)
        self.assertEqual(child.wait(5), -9)

    def test_number_used_again(self) -> None:
        """A process that has nothing to do with us is left alone, and so is nobody."""
        child = self.leftover()
        self.assertIsNone(end_leftover(self.pid_file, self.torrc))
        self.assertIsNone(child.poll())
        self.pid_file.write_text("junk")
        self.assertIsNone(end_leftover(self.pid_file, self.torrc))
        self.pid_file.unlink()
        self.assertIsNone(end_leftover(self.pid_file, self.torrc))
