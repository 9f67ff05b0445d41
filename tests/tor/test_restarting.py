"""Tests for L{rustbalance.tor.restarting}, with real commands. How often it runs is tested with the external Tor."""

import os
from typing import Any

from twisted.internet import reactor as global_reactor  # noqa: TID251  (real processes)
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import TestCase

from rustbalance.tor import restarting
from rustbalance.tor.restarting import MOST, Restarter

reactor: Any = global_reactor


class RestarterTests(TestCase):
    """L{Restarter} runs what it was given."""

    async def run_(self, *command: str, times: int = 1) -> list[str]:
        """Run it so often and return the errors in the log."""
        self.restarter = Restarter("primary", command, reactor)
        with capturedLogs() as logs:
            for _ in range(times):
                await self.restarter.restart()
        return [str(formatEvent(event)) for event in logs if event["log_level"] is LogLevel.error]

    async def test_goes_well(self) -> None:
        """Nothing is said of a command that did what it should."""
        self.assertEqual(await self.run_("/bin/true"), [])
        self.assertIsNone(self.restarter.problem)

    async def test_fails(self) -> None:
        """What the command says about its failure is in the log."""
        [said] = await self.run_("/bin/sh", "-c", "echo no such unit >&2; exit 5")
        self.assertIn("no such unit", said)

    async def test_no_such_program(self) -> None:
        """A command that does not exist is named."""
        self.assertIn("/nonexistent", (await self.run_("/nonexistent"))[0])

    async def test_no_command(self) -> None:
        """Without one nothing happens."""
        self.assertEqual(await self.run_(times=5), [])

    async def test_too_slow(self) -> None:
        """A command that does not end is ended."""
        self.patch(restarting, "PATIENCE", 0.1)
        self.assertIn("longer than", (await self.run_("/bin/sleep", "30"))[0])

    async def test_too_often(self) -> None:
        """After three in five minutes there is one error, which says what to do."""
        [said] = await self.run_("/bin/true", times=MOST + 2)
        self.assertIn("see what its own log says", said)
        self.assertIn("3 times in 5 minutes", str(self.restarter.problem))

    async def test_no_environment_of_ours(self) -> None:
        """The command gets none of our environment but PATH."""
        self.patch(os, "environ", {**os.environ, "RUSTBALANCE_CONFIG_KEY": "secret"})
        [said] = await self.run_("/bin/sh", "-c", "env; exit 1")
        self.assertIn("PATH=", said)
        self.assertNotIn("RUSTBALANCE", said)
