"""rustbalance status against a control socket with a daemon's answers."""

import json
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet import reactor  # noqa: TID251  (a real socket needs the real one)
from twisted.internet.task import deferLater
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from rustbalance.files import private_directory
from rustbalance.ops.control_socket import ControlSocket
from rustbalance.ops.status import Health, NodeStatus
from rustbalance.provisioning.new_node import create_node
from tests.cli.case import PROGRAM, CliCase
from tests.ops.test_status_page import status


class NoDaemonTests(CliCase):
    """Nobody is there to ask."""

    def test_text(self) -> None:
        """Status 2 and how to start one."""
        self.assert_refused(self.call("status", "--config", self.node().config), "no daemon", "rustbalance run")

    def test_json(self) -> None:
        """Scripts get JSON all the same, with the same exit status."""
        result = self.call("status", "--json", "--config", self.node().config)
        self.assertEqual(result.exit_code, 2)
        told = json.loads(result.stdout)
        self.assertEqual(told["health"], "down")
        self.assertIn("no daemon", told["problems"][0])


def as_in_a_terminal() -> None:
    """Undo that a shell without job control starts what is in its background with Ctrl-C ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class DaemonTests(TestCase):
    """A control socket that answers as the daemon does, and the command in a process of its own."""

    def setUp(self) -> None:
        """Make a node and listen in its place."""
        self.directory = Path(tempfile.mkdtemp(dir="/tmp", prefix="rb-status-"))
        self.addCleanup(shutil.rmtree, self.directory)
        made = create_node(self.directory / "node", "127.0.0.1:8000")
        self.config = str(made.config)
        state = private_directory(made.config.parent / "state")
        self.told = status()
        self.asked = 0
        service = ControlSocket(state / "control.sock", {"status": self.answer}, reactor)
        service.startService()
        self.addCleanup(service.stopService)

    def answer(self) -> NodeStatus:
        """Answer, and count."""
        self.asked += 1
        return self.told

    async def call(self, *words: str) -> tuple[str, str, int]:
        """Call the command; return stdout, stderr and exit status."""
        argv: Any = ["status", "--config", self.config, *words]
        out, err, code = await getProcessOutputAndValue(str(PROGRAM), argv)
        return out.decode(), err.decode(), code

    async def test_exit_status(self) -> None:
        """0, 1 and 2 for the three healths, as text and as JSON."""
        for health, expected in ((Health.HEALTHY, 0), (Health.DEGRADED, 1), (Health.DOWN, 2)):
            self.told = status(health=health)
            for words in ((), ("--json",)):
                out, err, code = await self.call(*words)
                self.assertEqual((code, err), (expected, ""))
                self.assertIn(health.value, out)

    async def test_json_is_the_status(self) -> None:
        """What is printed is the value that the daemon gave, on one line."""
        out, _, _ = await self.call("--json")
        self.assertEqual(msgspec.json.decode(out, type=NodeStatus), self.told)
        self.assertEqual(out.count("\n"), 1)

    async def test_page_has_no_colours_in_a_pipe(self) -> None:
        """The page is plain text when nobody looks."""
        out, _, _ = await self.call()
        self.assertNotIn("\x1b", out)
        self.assertIn("8 of 8", out)

    async def test_watch(self) -> None:
        """It looks again and again until Ctrl-C, which is no error."""
        for words in (["--json"], []):
            self.asked = 0
            argv = [str(PROGRAM), "status", "--config", self.config, "--watch", *words]
            with subprocess.Popen(
                argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=as_in_a_terminal
            ) as process:
                while self.asked < 2:
                    await self.soon()
                process.send_signal(signal.SIGINT)
                while process.poll() is None:
                    await self.soon()
                assert process.stdout is not None
                assert process.stderr is not None
                self.assertEqual((process.returncode, process.stderr.read()), (0, b""))
                self.assertIn(b"healthy", process.stdout.read())

    async def soon(self) -> None:
        """Let the reactor turn."""
        await deferLater(reactor, 0.05)
