"""rustbalance verify against a control socket with a daemon's answers."""

import json
import shutil
import tempfile
from pathlib import Path

import msgspec
from twisted.internet import reactor  # noqa: TID251  (a real socket needs the real one)
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from rustbalance.cli.verify import PATIENCE
from rustbalance.files import private_directory
from rustbalance.life import deferred, within
from rustbalance.ops.control_socket import ControlSocket
from rustbalance.ops.directories import DirectoryReport, DirectoryRow, Finding
from rustbalance.provisioning.new_node import create_node
from tests.cli.case import PROGRAM, CliCase

ROW = DirectoryRow(seat="first", directory="A" * 40, finding=Finding.VERIFIED, revision=7, expected=7)
GOOD = DirectoryReport(number=5, running=False, publishes=True, age_secs=0.0, asked="first", rows=(ROW,))


class NoDaemonTests(CliCase):
    """Nobody is there to ask."""

    def test_text(self) -> None:
        """Status 2 and how to start one, with --json as well: there is no report."""
        for words in ((), ("--json",)):
            result = self.call("verify", *words, "--config", self.node().config)
            self.assert_refused(result, "no daemon", "rustbalance run")
            shutil.rmtree(self.directory / "node")

    def test_help(self) -> None:
        """There is an example."""
        self.assertIn("rustbalance verify --json | jq", self.call("verify", "--help").stdout)


class DaemonTests(TestCase):
    """A control socket that answers as the daemon does, and the command in a process of its own."""

    def setUp(self) -> None:
        """Make a node and listen in its place."""
        self.directory = Path(tempfile.mkdtemp(dir="/tmp", prefix="rb-verify-"))
        self.addCleanup(shutil.rmtree, self.directory)
        made = create_node(self.directory / "node", "127.0.0.1:8000")
        self.config = str(made.config)
        state = private_directory(made.config.parent / "state")
        self.report = GOOD
        self.looks = 0
        verbs = {"verify": self.begin, "verification": self.look}
        service = ControlSocket(state / "control.sock", verbs, reactor)
        service.startService()
        self.addCleanup(service.stopService)

    def begin(self) -> DirectoryReport:
        """Begin a check; one that nobody can be asked for is over at once."""
        if self.report.problem is not None:
            return self.report
        return DirectoryReport(number=self.report.number - 1, running=True, publishes=True)

    def look(self) -> DirectoryReport:
        """Answer that it is under way, the first time."""
        self.looks += 1
        return self.begin() if self.looks == 1 else self.report

    async def call(self, *words: str) -> tuple[str, str, int]:
        """Call the command; return stdout, stderr and exit status."""
        argv = ["verify", "--config", self.config, *words]
        out, err, code = await getProcessOutputAndValue(str(PROGRAM), argv, reactor=reactor)
        return out.decode(), err.decode(), code

    async def test_good(self) -> None:
        """It waits for the end of the check, shows a row for each directory, and exits with 0."""
        out, err, code = await self.call()
        self.assertEqual((code, err, self.looks), (0, "", 2))
        self.assertIn("A" * 40, out)
        self.assertIn("the latest", out)

    async def test_stale(self) -> None:
        """Something that is not as it should be makes the exit status 1."""
        stale = msgspec.structs.replace(ROW, finding=Finding.STALE, revision=6, posted_again=True)
        self.report = msgspec.structs.replace(GOOD, rows=(ROW, stale))
        out, _, code = await self.call()
        self.assertEqual(code, 1)
        self.assertIn("OLDER than 7; posted again", out)

    async def test_nobody_to_ask(self) -> None:
        """Where the daemon cannot ask anybody, that is what it says, at once."""
        problem = "the responsible directories are not known yet"
        self.report = DirectoryReport(number=5, running=False, publishes=True, age_secs=0.0, problem=problem)
        out, _, code = await within(PATIENCE / 4, reactor, deferred(self.call()))
        self.assertEqual((code, self.looks), (1, 0))
        self.assertIn(problem, out)

    async def test_json(self) -> None:
        """Scripts get the report as it is, with the same exit status."""
        out, _, code = await self.call("--json")
        self.assertEqual(code, 0)
        [row] = json.loads(out)["rows"]
        self.assertEqual((row["directory"], row["finding"], row["posted_again"]), ("A" * 40, "verified", False))
