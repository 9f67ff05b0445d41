"""rustbalance drain and undrain against a control socket with a daemon's answers."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet import reactor  # noqa: TID251  (a real socket needs the real one)
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from rustbalance.files import private_directory
from rustbalance.ops.control_socket import ControlSocket
from rustbalance.ops.draining import Draining
from rustbalance.ops.status import NodeStatus
from rustbalance.provisioning.new_node import create_node
from tests.cli.case import PROGRAM, CliCase
from tests.ops.statuses import node, proxy


class NobodyTests(CliCase):
    """Nobody is there to ask."""

    def test_no_daemon(self) -> None:
        """Status 2 and how to start one."""
        config = self.node().config
        for command in ("drain", "undrain"):
            self.assert_refused(self.call(command, "--config", config), "no daemon", "rustbalance run")


class DrainTests(TestCase):
    """A control socket that answers as the daemon does, and the command in a process of its own."""

    def setUp(self) -> None:
        """Make a node and listen in its place."""
        self.directory = Path(tempfile.mkdtemp(dir="/tmp", prefix="rb-drain-"))
        self.addCleanup(shutil.rmtree, self.directory)
        made = create_node(self.directory / "node", "127.0.0.1:8000")
        self.config = str(made.config)
        state = private_directory(made.config.parent / "state")
        self.asked: list[bool] = []
        self.connections = [0]
        self.put_back_after = 1000
        verbs = {"drain": lambda: self.answer(True), "undrain": lambda: self.answer(False), "status": self.status}
        service = ControlSocket(state / "control.sock", verbs, reactor)
        service.startService()
        self.addCleanup(service.stopService)

    def answer(self, drained: bool) -> Draining:
        """Answer, and count."""
        self.asked.append(drained)
        return Draining(drained=drained, others=("beta",), connections=self.connections[0])

    def status(self) -> NodeStatus:
        """Answer how many connections are left; some looks later somebody puts the node back into service."""
        left = self.connections.pop(0) if len(self.connections) > 1 else self.connections[0]
        self.put_back_after -= 1
        return node(proxy=proxy(connections_active=left), drained=self.put_back_after > 0)

    async def call(self, *words: str) -> tuple[str, str, int]:
        """Call the command; return stdout, stderr and exit status."""
        argv: Any = [*words, "--config", self.config]
        out, err, code = await getProcessOutputAndValue(str(PROGRAM), argv)
        return out.decode(), err.decode(), code

    async def test_and_back(self) -> None:
        """Each asks for its own, once, and says what happens now."""
        out, err, code = await self.call("drain")
        self.assertEqual((err, code), ("", 0))
        self.assertIn("beta will have its visitors", out)
        out, err, code = await self.call("undrain")
        self.assertEqual((err, code), ("", 0))
        self.assertIn("back in service", out)
        self.assertEqual(self.asked, [True, False])

    async def test_wait(self) -> None:
        """It waits for the last connection to end; the node was told to drain once."""
        self.connections = [2, 1, 0]
        out, _, code = await self.call("drain", "--wait", "20")
        self.assertEqual(code, 0)
        self.assertIn("nobody is served here any more", out)
        self.assertEqual(self.asked, [True])

    async def test_put_back_meanwhile(self) -> None:
        """Whoever has put the node back into service is not overruled by somebody's wait, which ends."""
        self.connections, self.put_back_after = [2], 2
        out, _, code = await self.call("drain", "--wait", "20")
        self.assertEqual(code, 1)
        self.assertIn("put back into service meanwhile", out)
        self.assertEqual(self.asked, [True])

    async def test_wait_in_vain(self) -> None:
        """It says how many are left when the time is over, with a status of its own."""
        self.connections = [2]
        out, _, code = await self.call("drain", "--wait", "0.2")
        self.assertEqual(code, 1)
        self.assertIn("2 connections are left after 0.2 s", out)
