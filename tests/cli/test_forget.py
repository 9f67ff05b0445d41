"""rustbalance forget against a control socket with a daemon's answers."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet import reactor  # noqa: TID251  (a real socket needs the real one)
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from rustbalance.files import private_directory
from rustbalance.ops.control_socket import ControlSocket
from rustbalance.ops.verbs import Done, NotDone
from rustbalance.provisioning.new_node import create_node
from tests.cli.case import PROGRAM, CliCase


class NobodyTests(CliCase):
    """There is no daemon, or no name."""

    def test_no_daemon(self) -> None:
        """Status 2 and how to start one."""
        self.assert_refused(self.call("forget", "b", "--config", self.node().config), "no daemon", "rustbalance run")

    def test_no_name(self) -> None:
        """Without a name nothing is asked."""
        self.assert_refused(self.call("forget", "--config", self.node().config), "NODE", "--help")


class DaemonTests(TestCase):
    """A control socket that answers as the daemon does, and the command in a process of its own."""

    def setUp(self) -> None:
        """Make a node and listen in its place."""
        self.directory = Path(tempfile.mkdtemp(dir="/tmp", prefix="rb-forget-"))
        self.addCleanup(shutil.rmtree, self.directory)
        made = create_node(self.directory / "node", "127.0.0.1:8000")
        self.config = str(made.config)
        state = private_directory(made.config.parent / "state")
        service = ControlSocket(state / "control.sock", {"forget": self.forget}, reactor)
        service.startService()
        self.addCleanup(service.stopService)

    def forget(self, node: str) -> Done:
        """Forget only one."""
        if node != "old":
            raise NotDone(f"node {node} is healthy: stop it first")
        return Done(sentence="node old is forgotten")

    async def call(self, *words: str) -> tuple[str, str, int]:
        """Call the command; return stdout, stderr and exit status."""
        argv: Any = ["forget", "--config", self.config, *words]
        out, err, code = await getProcessOutputAndValue(str(PROGRAM), argv)
        return out.decode(), err.decode(), code

    async def test_done(self) -> None:
        """What the daemon says, and 0."""
        self.assertEqual(await self.call("old"), ("node old is forgotten\n", "", 0))

    async def test_not_done(self) -> None:
        """Why not, in one line, and 2."""
        self.assertEqual(await self.call("b"), ("", "rustbalance: node b is healthy: stop it first\n", 2))
