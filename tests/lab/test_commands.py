"""``lab down`` and ``lab status``."""

import io
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from socketserver import StreamRequestHandler, UnixStreamServer

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.config import find_places
from rustbalance.lab import lab_down, lab_status
from rustbalance.lab.child import PID_FILE
from rustbalance.lab.commands import DEGRADED, DOWN, HEALTHY
from rustbalance.lab.state import LAB_FILE, LabState, NodeState, hold, holder, save
from rustbalance.ops.status import Health
from rustbalance.provisioning.new_node import create_node
from tests.lab.statuses import node_status
from tests.lab.test_state import NETWORK

HOLDING = (
    "import pathlib, sys, time; from rustbalance.lab.state import hold; hold(pathlib.Path(sys.argv[1]));"
    "print('held', flush=True); time.sleep(60)"
)


class LabCommandTests(SynchronousTestCase):
    """From another shell."""

    def setUp(self) -> None:
        place = tempfile.TemporaryDirectory(dir="/tmp")
        self.addCleanup(place.cleanup)
        self.directory = Path(place.name)
        self.out, self.err = io.StringIO(), io.StringIO()
        self.patch(sys, "stdout", self.out)
        self.patch(sys, "stderr", self.err)

    def start(self, *command: str) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen((sys.executable, *command), stdout=subprocess.PIPE)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        assert process.stdout is not None
        self.addCleanup(process.stdout.close)
        process.stdout.readline()
        return process

    def test_down_when_nothing_runs(self) -> None:
        """There is nothing to do, and that is no error."""
        self.assertEqual(lab_down(self.directory), 0)
        self.assertIn("no lab runs", self.out.getvalue())

    def test_down(self) -> None:
        """The process that runs the lab is ended."""
        process = self.start("-c", HOLDING, str(self.directory))
        self.assertEqual(lab_down(self.directory), 0)
        self.assertEqual(process.wait(), -15)
        self.assertIsNone(holder(self.directory))

    def test_down_after_a_kill(self) -> None:
        """What a killed lab left behind is ended too."""
        child = self.directory / "network" / "r0"
        child.mkdir(parents=True)
        program = "import time; print('up', flush=True); time.sleep(60)"
        process = self.start("-c", program, str(child / "torrc"))
        (child / PID_FILE).write_text(str(process.pid))
        self.assertEqual(lab_down(self.directory), 0)
        self.assertEqual(process.wait(), -15)
        self.assertIn("ended 1 process", self.out.getvalue())

    def test_status_when_nothing_runs(self) -> None:
        """The message says what to do, on standard error."""
        self.assertEqual(lab_status(self.directory), DOWN)
        self.assertIn("rustbalance lab up", self.err.getvalue())

    def test_status_while_starting(self) -> None:
        """A lab that is held but has not described itself is on its way."""
        self.addCleanup(os.close, hold(self.directory))
        self.assertEqual(lab_status(self.directory), DEGRADED)
        self.assertIn("starting", self.out.getvalue())

    def test_status(self) -> None:
        """The network's ports and each node's health are shown; the worst node decides."""
        made = create_node(self.directory / "node1", "127.0.0.1:8000")
        node = NodeState(name="node1", pid=1, config=str(made.config), onion_address=made.address.text)
        self.addCleanup(os.close, hold(self.directory))
        save(self.directory / LAB_FILE, LabState(pid=os.getpid(), network=NETWORK, site="x", nodes=(node,)))
        self.assertEqual(lab_status(self.directory), DEGRADED)
        self.assertIn("down: ", self.out.getvalue())
        for health, expected in ((Health.HEALTHY, HEALTHY), (Health.DEGRADED, DEGRADED)):
            self.answer(find_places(made.config).control_socket, health)
            self.assertEqual(lab_status(self.directory), expected)
        self.assertIn(f"http://{made.address.text}/  degraded; something is wrong", self.out.getvalue())
        self.assertIn("SOCKS 127.0.0.1:2", self.out.getvalue())

    def answer(self, path: Path, health: Health) -> None:
        """Answer one question at ``path`` as a node with this health does."""
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.unlink(missing_ok=True)
        line = msgspec.json.encode({"result": node_status(health)}) + b"\n"

        class Answer(StreamRequestHandler):
            def handle(self) -> None:
                self.rfile.readline()
                self.wfile.write(line)

        server = UnixStreamServer(str(path), Answer)
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        self.addCleanup(server.server_close)
        self.addCleanup(thread.join, 5)
