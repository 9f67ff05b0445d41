"""The private network, as far as it can be told without booting one; tests/live/test_lab.py boots it."""

import shutil
from pathlib import Path

from twisted.internet import reactor  # noqa: TID251  (handed on, never run)
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.lab import state
from rustbalance.lab.control import NotAnswered
from rustbalance.lab.network import PrivateNetwork, TorNotFound, View, _parser, look
from rustbalance.life import deferred
from rustbalance.onion.consensus import Consensus, Relay

CONSENSUS = Consensus(0, 20, 60, {}, None, None, tuple(Relay("A" * 40, "r", "d") for _ in range(12)))


class StartTests(SynchronousTestCase):
    """What keeps a network from starting."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()

    def test_no_tor(self) -> None:
        """Without tor the message names the package."""
        self.patch(shutil, "which", lambda _: None)
        error = self.failureResultOf(deferred(PrivateNetwork(self.directory, reactor).start()), TorNotFound)
        self.assertIn("package tor", str(error.value))

    def test_directory_in_use(self) -> None:
        """Two networks in one directory would fight over it; the second leaves the first's files alone."""
        self.directory.mkdir(mode=0o700)
        (self.directory / state.NETWORK_FILE).write_text("{}")
        first = state.hold(self.directory)
        self.addCleanup(__import__("os").close, first)
        self.failureResultOf(deferred(PrivateNetwork(self.directory, reactor).start()), state.LabRuns)
        self.assertTrue((self.directory / state.NETWORK_FILE).exists())

    def test_stop_before_start(self) -> None:
        """Stopping what never ran does nothing."""
        network = PrivateNetwork(self.directory, reactor)
        self.successResultOf(deferred(network.stop()))
        self.assertEqual(network.include_text, "")

    def test_command_line(self) -> None:
        """Every number has its default, and the directory too."""
        options = _parser().parse_args([])
        self.assertEqual((options.authorities, options.relays, options.voting_interval), (3, 9, 20))
        self.assertEqual(options.directory, state.default_directory() / "network")


class Client:
    """A client Tor's answers."""

    def __init__(self, phase: str, consensus: Consensus | None, described: int) -> None:
        self._phase, self._consensus, self._described = phase, consensus, described

    async def ask(self, key: str) -> str:
        assert key == "status/bootstrap-phase"
        return f"NOTICE BOOTSTRAP {self._phase}"

    async def consensus(self) -> Consensus:
        if self._consensus is None:
            raise NotAnswered("none yet")
        return self._consensus

    async def described(self) -> int:
        return self._described


class LookTests(SynchronousTestCase):
    """When a network is usable."""

    def look(self, client: Client) -> View:
        return self.successResultOf(deferred(look(client)))  # type: ignore[arg-type]

    def test_complete(self) -> None:
        """At 100 %, with every relay listed and described."""
        view = self.look(Client("PROGRESS=100 TAG=done", CONSENSUS, 12))
        self.assertEqual(view, View(100, 12, 12))
        self.assertTrue(view.complete(12))

    def test_not_complete(self) -> None:
        """A client at 100 % that knows two directories only, or lacks a description, is not ready."""
        for view in (View(100, 2, 12), View(100, 12, 11), View(90, 12, 12)):
            self.assertFalse(view.complete(12), view)

    def test_at_the_beginning(self) -> None:
        """Without a consensus there is nothing to count."""
        self.assertEqual(self.look(Client("PROGRESS=14 TAG=x", None, 0)), View(14, 0, 0))
        self.assertEqual(self.look(Client("", None, 0)), View(0, 0, 0))
