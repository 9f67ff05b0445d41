"""A Tor of the lab, from start to stop."""

from pathlib import Path

from twisted.internet import reactor  # noqa: TID251  (a real process needs the real one)
from twisted.trial.unittest import TestCase

from rustbalance.lab.child import ChildEnded
from rustbalance.lab.tor import LabTor
from rustbalance.life import deferred
from tests.lab.offline import offline_tor


class LabTorTests(TestCase):
    """A real tor, offline."""

    timeout = 30

    async def test_starts_and_stops(self) -> None:
        """It answers at its control port, and is gone after having been stopped."""
        tor = offline_tor(Path(self.mktemp()), reactor)
        child = tor.start()
        self.addCleanup(lambda: deferred(tor.stop()))
        link = await tor.control()
        self.assertEqual(await link.ask("process/pid"), str(child.pid))
        await link.close()
        await tor.stop()
        self.assertEqual(child.returncode, 0)

    async def test_bad_options(self) -> None:
        """A tor that refuses its options ends, and says which."""
        tor = LabTor("tor", Path(self.mktemp()).absolute(), "NoSuchOption 1\n", reactor)
        self.addCleanup(lambda: deferred(tor.stop()))
        error = await self.assertFailure(tor.start().line("never"), ChildEnded)
        self.assertIn("NoSuchOption", str(error))

    async def test_stop_before_start(self) -> None:
        """Stopping what never ran does nothing."""
        await offline_tor(Path(self.mktemp()), reactor).stop()
