"""Programs that clean up."""

import os
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor  # noqa: TID251  (real processes and pipes need the real one)
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from rustbalance.lab.running import InputEnds, until_stopped
from rustbalance.life import deferred, pause


class Stopping:
    """A reactor that is told to stop."""

    def __init__(self) -> None:
        self.triggers: list[Callable[[], Deferred[None]]] = []

    def addSystemEventTrigger(self, phase: str, event: str, trigger: Any) -> None:  # noqa: N802
        self.triggers.append(trigger)


class UntilStoppedTests(TestCase):
    """Work that ends by itself, fails, or is stopped."""

    def setUp(self) -> None:
        self.cleaned = 0
        self.reactor = Stopping()

    async def clean(self) -> None:
        self.cleaned += 1

    async def test_result(self) -> None:
        """The result of the work comes through, after cleaning up."""

        async def work() -> int:
            return 7

        self.assertEqual(await until_stopped(self.reactor, work(), self.clean), 7)
        self.assertEqual(self.cleaned, 1)

    async def test_failure(self) -> None:
        """So does its failure."""

        async def work() -> None:
            raise ValueError("broken")

        await self.assertFailure(deferred(until_stopped(self.reactor, work(), self.clean)), ValueError)
        self.assertEqual(self.cleaned, 1)

    async def test_stopped(self) -> None:
        """A reactor that stops ends the work, and waits for the cleaning up."""
        forever: Deferred[int] = Deferred()

        async def work() -> int:
            return await forever

        running = deferred(until_stopped(self.reactor, work(), self.clean))
        await self.reactor.triggers[0]()
        self.assertIsNone(await running)
        self.assertGreaterEqual(self.cleaned, 1)


class InputEndsTests(TestCase):
    """Noticing that the other end of a pipe has gone."""

    async def test_end(self) -> None:
        """What is written is no end; closing is, and it is told once."""
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        ended: Deferred[None] = Deferred()
        InputEnds(read, reactor, lambda: ended.callback(None)).startReading()
        os.write(write, b"still here\n")
        await pause(reactor, 0.05)
        self.assertFalse(ended.called)
        os.close(write)
        await ended
