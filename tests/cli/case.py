"""A directory and a way to call the commands, in this process and in one of their own."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cli.commands import group
from rustbalance.provisioning.new_node import create_node
from rustbalance.provisioning.node_files import NewNode

PROGRAM = Path(sys.executable).with_name("rustbalance")


class CliCase(SynchronousTestCase):
    """Has ``self.directory``, private and short of path."""

    def setUp(self) -> None:
        """Make the directory."""
        self.directory = Path(tempfile.mkdtemp(dir="/tmp", prefix="rb-cli-"))
        self.addCleanup(shutil.rmtree, self.directory)

    def call(self, *argv: str | Path) -> Result:
        """Call a command in this process."""
        return CliRunner().invoke(group, [str(word) for word in argv], prog_name="rustbalance")

    def run_program(self, *argv: str | Path, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Call a command as an operator does."""
        return subprocess.run(
            [PROGRAM, *argv], check=False, capture_output=True, text=True, timeout=60, env={**os.environ, **environment}
        )

    def run_detached(self, *argv: str | Path) -> "subprocess.CompletedProcess[str]":
        """Call a command that has no terminal to ask."""
        return subprocess.run(
            [PROGRAM, *argv],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def node(self, target: str = "127.0.0.1:8000") -> NewNode:
        """Make a node in the directory."""
        return create_node(self.directory / "node", target)

    def assert_refused(self, result: Result, *parts: str) -> None:
        """Check that a command ended with status 2 and one line that has all the parts."""
        self.assertEqual(result.exit_code, 2, result.output)
        self.assertEqual(result.stdout, "")
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        self.assertTrue(result.stderr.startswith("rustbalance: "), result.stderr)
        for part in parts:
            self.assertIn(part, result.stderr)
