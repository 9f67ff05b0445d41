"""Ending what a killed lab left behind."""

import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.lab.child import PID_FILE
from rustbalance.lab.leftovers import end, end_leftovers, mentions, recorded

WAITING = "import sys; print('up', flush=True); sys.stdin.read()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + WAITING


class LeftoversTests(SynchronousTestCase):
    """Processes that are not our children: none but ours is ended."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        (self.directory / "r0").mkdir(parents=True)

    def start(self, program: str, argument: object) -> "subprocess.Popen[bytes]":
        """Start a process that runs until its input closes, recorded as a child of the lab in ``r0``."""
        command = [sys.executable, "-c", program, str(argument)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            self.addCleanup(pipe.close)
        assert process.stdout is not None
        process.stdout.readline()
        (self.directory / "r0" / PID_FILE).write_text(f"{process.pid}\n")
        return process

    def test_one_of_ours_is_ended(self) -> None:
        """A recorded process whose command line names its directory is ended."""
        process = self.start(WAITING, self.directory / "r0" / "torrc")
        self.assertEqual(end_leftovers(self.directory), 1)
        self.assertEqual(process.wait(), -15)
        self.assertEqual(end_leftovers(self.directory), 0)

    def test_a_stubborn_one_is_killed(self) -> None:
        """After the deadline it is not asked any more."""
        process = self.start(STUBBORN, self.directory / "r0")
        self.assertEqual(end_leftovers(self.directory, patience=0.2), 1)
        self.assertEqual(process.wait(), -9)

    def test_a_stranger_with_the_same_number_is_left_alone(self) -> None:
        """A process id that was used again belongs to somebody else now, also when its path begins alike."""
        process = self.start(WAITING, f"{self.directory / 'r0'}-of-somebody-else")
        self.assertEqual(end_leftovers(self.directory), 0)
        self.assertIsNone(process.poll())
        self.assertFalse(mentions(process.pid, self.directory / "r0"))

    def test_pid_files_that_make_no_sense(self) -> None:
        """An empty or broken pid file is passed over."""
        for text in ("", "twelve\n"):
            (self.directory / "r0" / PID_FILE).write_text(text)
            self.assertEqual(list(recorded(self.directory)), [])

    def test_nobody_there(self) -> None:
        """A process that has ended already needs no ending."""
        process = self.start(WAITING, "x")
        process.kill()
        process.wait()
        self.assertFalse(end(process.pid, 0.1))
        self.assertFalse(mentions(process.pid, self.directory))
