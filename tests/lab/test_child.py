"""Child processes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from twisted.internet import reactor  # noqa: TID251  (real processes and pipes need the real one)
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from rustbalance.lab.child import OUTPUT, PID_FILE, Child, ChildEnded, spawn
from rustbalance.life import deferred, within

STUBBORN = "trap '' TERM; echo ready; while :; do sleep 1; done"


class ChildTests(TestCase):
    """Programs that are followed and ended."""

    timeout = 30

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()

    def run_shell(self, script: str) -> Child:
        child = spawn(reactor, "sh", ("sh", "-c", script), self.directory)
        self.addCleanup(lambda: deferred(child.stop(0.2)))
        return child

    async def test_line(self) -> None:
        """A wanted line is reported, whatever came before, and the output is kept."""
        child = self.run_shell("echo one; echo two >&2; exec sleep 60")
        self.assertEqual(await child.line("tw"), "two")
        self.assertEqual(child.tail, "one\ntwo")
        self.assertEqual((self.directory / OUTPUT).read_text(), "one\ntwo\n")

    async def test_ends_before_the_line(self) -> None:
        """Whoever waits for a line learns that the program has ended, and its last words."""
        child = self.run_shell("echo sorry; exit 3")
        error = await self.assertFailure(child.line("ready"), ChildEnded)
        self.assertIn("ended with 3", str(error))
        self.assertIn("sorry", str(error))
        self.assertRaises(ChildEnded, child.line, "ready")
        self.assertRaises(ChildEnded, child.raise_if_ended)

    async def test_a_cancelled_wait_is_forgotten(self) -> None:
        """A wait with a deadline that passed does not get the line that comes later."""
        child = self.run_shell("exec sleep 60")
        waiting = child.line("never")
        waiting.cancel()
        await self.assertFailure(waiting, Exception)
        child.raise_if_ended()

    async def test_stop(self) -> None:
        """A program that is asked to end ends, its pid file goes, and stopping again does nothing."""
        child = self.run_shell("exec sleep 60")
        pid = child.pid
        self.assertEqual((self.directory / PID_FILE).read_text(), f"{pid}\n")
        await child.stop()
        self.assertEqual((child.alive, child.returncode, child.pid), (False, -signal.SIGTERM, None))
        self.assertFalse((self.directory / PID_FILE).exists())
        await child.stop()

    async def test_stop_with_grandchildren(self) -> None:
        """A process that the program has left behind, with its output, does not hold up the end."""
        child = self.run_shell("sleep 60 & echo $!; wait")
        grandchild = int(await child.line(""))
        self.addCleanup(os.kill, grandchild, signal.SIGKILL)
        await child.stop(3)
        self.assertEqual(child.returncode, -signal.SIGTERM)

    async def test_stop_of_a_stubborn_program(self) -> None:
        """A program that does not listen is killed after the deadline."""
        child = self.run_shell(STUBBORN)
        await child.line("ready")
        await child.stop(0.3)
        self.assertEqual(child.returncode, -signal.SIGKILL)

    async def test_stop_of_a_stopped_program(self) -> None:
        """A hung program (SIGSTOP) is killed as well."""
        child = self.run_shell("trap 'exit 0' TERM; echo ready; while :; do sleep 1; done")
        await child.line("ready")
        child.send(signal.SIGSTOP)
        await child.stop(0.3)
        self.assertEqual(child.returncode, -signal.SIGKILL)

    async def test_dies_with_its_parent(self) -> None:
        """When the process that started a child is killed, the child ends within seconds, without anybody's help."""
        program = (
            "import pathlib, sys\n"
            "from twisted.internet import reactor\n"
            "from rustbalance.lab.child import spawn\n"
            "child = spawn(reactor, 'x', ('sh', '-c', 'echo up; exec sleep 60'), pathlib.Path(sys.argv[1]))\n"
            "child.line('up').addCallback(lambda _: print(child.pid, flush=True))\n"
            "reactor.run()\n"
        )
        command = [sys.executable, "-c", program, str(self.directory.absolute())]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
            assert parent.stdout is not None
            handle = os.pidfd_open(int(parent.stdout.readline()))
            self.addCleanup(os.close, handle)
            parent.send_signal(signal.SIGKILL)
        await within(5, reactor, readable(handle))


def readable(handle: int) -> Deferred[None]:
    """Return a Deferred that fires when ``handle`` can be read: for a process handle, when the process has ended."""
    from twisted.internet.abstract import FileDescriptor

    done: Deferred[None] = Deferred()

    class Watch(FileDescriptor):
        def fileno(self) -> int:
            return handle

        def doRead(self) -> None:  # noqa: N802
            self.stopReading()
            done.callback(None)

    Watch(reactor).startReading()
    return done
