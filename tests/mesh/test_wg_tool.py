"""Tests for L{rustbalance.mesh.wg_tool}, with real children."""

import os
import sys
from base64 import b64encode
from pathlib import Path

from twisted.internet import reactor  # noqa: TID251  (real children)
from twisted.trial.unittest import TestCase

from rustbalance.life import within
from rustbalance.mesh.wg_tool import MOST_OUTPUT, Child, ToolFailed, Tools
from rustbalance.secrets import Secret

KEY = bytes(range(1, 33))
#: Prints what a child can know: its arguments, its environment, what is on its standard input and what that is.
CONFESS = "tr '\\0' '\\n' </proc/$$/cmdline; env; readlink /proc/self/fd/0; cat; ls /proc/self/fd"


class ToolsTests(TestCase):
    """Programs that end."""

    timeout = 30

    def setUp(self) -> None:
        self.tools = Tools(reactor)

    async def failure(self, *words: str, deadline: float = 10.0) -> ToolFailed:
        """Run something that fails; return how."""
        try:
            await self.tools.run(*words, deadline=deadline)
        except ToolFailed as error:
            return error
        raise AssertionError("it did not fail")

    async def test_output(self) -> None:
        """What a program prints comes back, also when it is long."""
        self.assertEqual(await self.tools.run("sh", "-c", "echo one; echo two >&2; echo three"), "one\nthree\n")
        length = len(await self.tools.run("sh", "-c", "yes | head -c 400000"))
        self.assertEqual(length, MOST_OUTPUT)

    async def test_failures(self) -> None:
        """A failure has the command, the status, and the complaint in one line."""
        error = await self.failure("sh", "-c", "echo 'no such' >&2; echo device >&2; exit 3")
        self.assertEqual((error.status, error.complaint), (3, "no such device"))
        self.assertIn("sh -c", str(error))
        error = await self.failure("sh", "-c", "kill -9 $$")
        self.assertEqual((error.status, error.complaint), (None, "it was ended by signal 9"))
        error = await self.failure("no-such-program", "x")
        self.assertEqual((error.status, error.complaint), (None, "there is no program no-such-program"))

    async def test_deadline(self) -> None:
        """A program that hangs is killed at its deadline."""
        folder = Path(self.mktemp())
        folder.mkdir()
        script = f"echo $$ >{folder}/pid; exec sleep 100"
        error = await self.failure("sh", "-c", script, deadline=0.5)
        self.assertEqual((error.status, error.complaint), (None, "no answer within 0.5 s"))
        await self.until_gone(int((folder / "pid").read_text()))

    async def test_cancelled(self) -> None:
        """A program whose result nobody wants any longer is killed."""
        folder = Path(self.mktemp())
        folder.mkdir()
        running = self.tools.run("sh", "-c", f"echo $$ >{folder}/pid; exec sleep 100")
        task = within(20, reactor, running)
        while not (folder / "pid").exists() or not (folder / "pid").read_text():
            await self.turn()
        task.addErrback(lambda _: None)
        task.cancel()
        await self.until_gone(int((folder / "pid").read_text()))

    async def until_gone(self, pid: int) -> None:
        """Wait until a process is no more."""
        while Path(f"/proc/{pid}").exists():
            await self.turn()

    async def turn(self) -> None:
        """Let the reactor work a little."""
        await self.tools.run("sh", "-c", "sleep 0.02")

    async def test_secret(self) -> None:
        """A secret arrives in base64 by a pipe that ends, and neither the arguments nor the environment have it."""
        with Secret.copy_of(KEY) as secret:
            output = await self.tools.run("sh", "-c", CONFESS, secret=secret)
        text = b64encode(KEY).decode()
        self.assertIn(f"\n{text}\n", output)
        before, _, after = output.partition(text)
        self.assertRegex(before.splitlines()[-1], r"pipe:\[")
        self.assertNotIn(text, before)
        self.assertEqual(after.split()[:3], ["0", "1", "2"])  # and it has inherited nothing else

    async def test_environment(self) -> None:
        """A child gets none of our environment, which may hold the key to the configuration."""
        self.patch(os, "environ", {**os.environ, "RUSTBALANCE_CONFIG_KEY": "visible"})
        output = await self.tools.run("env")
        names = {line.partition("=")[0] for line in output.splitlines()}
        self.assertEqual(names, {"PATH", "LC_ALL", "LOG_LEVEL", "WG_ENDPOINT_RESOLUTION_RETRIES"})

    async def test_path(self) -> None:
        """Programs are found where the settings say; those of administrators too."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        (folder / "wg").write_text("#!/bin/sh\necho ours\n")
        (folder / "wg").chmod(0o755)
        tools = Tools(reactor, str(folder))
        self.assertTrue(tools.has("wg"))
        self.assertFalse(tools.has("ip"))
        self.assertEqual(await tools.run("wg"), "ours\n")
        self.patch(os, "environ", {"PATH": "/nowhere"})
        self.assertEqual(Tools(reactor).has("ip"), any(Path(f"{at}/ip").exists() for at in ("/usr/sbin", "/sbin")))


class ChildTests(TestCase):
    """Programs that stay."""

    timeout = 30

    def start(self, *words: str, tied: bool = False) -> Child:
        """Start one that is killed at the end of the test, whatever happens."""
        child = Tools(reactor).start(*words, tied=tied)
        self.addCleanup(child.ended)
        self.addCleanup(lambda: child.signal("KILL"))
        return child

    async def test_end(self) -> None:
        """One that is asked to go goes; one that does not listen is made to."""
        child = self.start("sleep", "100")
        self.assertIsNotNone(child.pid)
        await child.end(reactor)
        self.assertEqual((child.ending, child.pid), ("it was ended by signal 15", None))
        deaf = self.start("sh", "-c", "trap '' TERM; echo ready; exec sleep 100")
        while not deaf.output:
            await Tools(reactor).run("sh", "-c", "sleep 0.02")
        await deaf.end(reactor, 0.2)
        self.assertEqual(deaf.ending, "it was ended by signal 9")
        await deaf.end(reactor)

    async def test_ended(self) -> None:
        """Whoever asks, before or after, hears how it ended, and its last words stay."""
        child = self.start("sh", "-c", "echo farewell >&2; exit 4")
        self.assertEqual(await child.ended(), "it exited with status 4")
        self.assertEqual(await child.ended(), "it exited with status 4")
        self.assertEqual((child.status, child.complaint), (4, "farewell"))

    async def test_tied(self) -> None:
        """A child that is tied to us is gone soon after we are killed."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        code = (
            "from twisted.internet import reactor\nfrom rustbalance.mesh.wg_tool import Tools\n"
            f"reactor.callWhenRunning(lambda: open({str(folder / 'pid')!r}, 'w').write("
            "str(Tools(reactor).start('sleep', '100', tied=True).pid)))\nreactor.run()"
        )
        owner = self.start(sys.executable, "-c", code)
        while not (folder / "pid").exists() or not (folder / "pid").read_text():
            self.assertIsNone(owner.ending, owner.complaint)
            await Tools(reactor).run("sh", "-c", "sleep 0.02")
        tied = Path(f"/proc/{(folder / 'pid').read_text()}/cmdline")
        while not tied.read_bytes().startswith(b"sleep"):
            await Tools(reactor).run("sh", "-c", "sleep 0.02")
        owner.signal("KILL")
        while tied.exists() and tied.read_bytes():
            await Tools(reactor).run("sh", "-c", "sleep 0.02")
