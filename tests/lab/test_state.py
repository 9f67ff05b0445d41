"""What a lab tells other processes."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.lab.state import (
    LAB_FILE,
    NETWORK_FILE,
    ClientState,
    LabRuns,
    LabState,
    NetworkState,
    NodeState,
    default_directory,
    hold,
    holder,
    load,
    save,
)

CLIENT = ClientState(directory="/x/client", control_port=1, socks_port=2)
NETWORK = NetworkState(
    pid=1,
    directory="/x",
    include_path="/x/include.torrc",
    started_at=5.0,
    boot_secs=20.0,
    voting_interval=20,
    authorities=3,
    relays=9,
    client=CLIENT,
)
LAB = LabState(
    pid=1,
    network=NETWORK,
    site="127.0.0.1:80",
    nodes=(NodeState(name="node1", pid=2, config="/x/config.toml", onion_address="x.onion"),),
)


class StateTests(SynchronousTestCase):
    """Files that count only while their writer runs."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()

    def take(self) -> int:
        lock = hold(self.directory)
        self.addCleanup(os.close, lock)
        return lock

    def test_round_trip(self) -> None:
        """What is saved is loaded, while the directory is held."""
        self.take()
        save(self.directory / NETWORK_FILE, NETWORK)
        save(self.directory / LAB_FILE, LAB)
        self.assertEqual(load(self.directory / NETWORK_FILE, NetworkState), NETWORK)
        self.assertEqual(load(self.directory / LAB_FILE, LabState), LAB)

    def test_file_of_a_lab_that_has_ended(self) -> None:
        """A state file that a killed lab left behind does not count."""
        save(self.directory / NETWORK_FILE, NETWORK)
        self.assertIsNone(load(self.directory / NETWORK_FILE, NetworkState))

    def test_nonsense(self) -> None:
        """A file that is cut short, of another kind, or not there, is no state."""
        self.take()
        path = self.directory / NETWORK_FILE
        self.assertIsNone(load(path, NetworkState))
        for text in ("", '{"pid": 1', '{"pid": "one"}'):
            path.write_text(text)
            self.assertIsNone(load(path, NetworkState), text)

    def test_only_one_holds(self) -> None:
        """A second lab in the same directory is refused, and the first one's process is known."""
        self.take()
        self.assertEqual(holder(self.directory), os.getpid())
        with self.assertRaises(LabRuns):
            hold(self.directory)

    def test_nobody_holds(self) -> None:
        """Neither a directory that never was one nor one that was let go is held."""
        self.assertIsNone(holder(self.directory))
        os.close(hold(self.directory))
        self.assertIsNone(holder(self.directory))

    def test_a_killed_process_lets_go(self) -> None:
        """The kernel lets go of the directory when its holder is killed."""
        program = (
            "import pathlib, sys, time; from rustbalance.lab.state import hold; hold(pathlib.Path(sys.argv[1]));"
            "print('held', flush=True); time.sleep(60)"
        )
        command = [sys.executable, "-c", program, str(self.directory.absolute())]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            self.assertEqual(child.stdout.readline(), b"held\n")
            self.assertEqual(holder(self.directory), child.pid)
            child.send_signal(signal.SIGKILL)
        self.assertIsNone(holder(self.directory))

    def test_default_directory(self) -> None:
        """The user's runtime directory, or else one of the user's own in /tmp."""
        self.patch(os, "environ", {"XDG_RUNTIME_DIR": "/run/user/7"})
        self.assertEqual(default_directory(), Path("/run/user/7/rustbalance-lab"))
        self.patch(os, "environ", {})
        self.assertEqual(default_directory(), Path(tempfile.gettempdir()) / f"rustbalance-lab-{os.getuid()}")
