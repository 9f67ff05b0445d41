"""Tests for L{rustbalance.coordination.standing}."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.commands import MemberView
from rustbalance.cluster.messages import State
from rustbalance.coordination.standing import RESIGNED_SECS, Standing


def others(*states: State) -> list[MemberView]:
    """Return one other node in each of these states."""
    return [MemberView(f"n{place}", state, 100, 1, 0.0) for place, state in enumerate(states)]


class StandingTests(SynchronousTestCase):
    """Whether a node may publish."""

    def setUp(self) -> None:
        """Count the changes."""
        self.changes = 0
        self.standing = Standing(self.changed)

    def changed(self) -> None:
        """Count one."""
        self.changes += 1

    def test_a_tor_is_needed(self) -> None:
        """A node without a Tor that serves leaves publishing to the others."""
        self.assertFalse(self.standing.may_publish(others(State.HEALTHY), 0.0))
        self.standing.be_able(True)
        self.assertTrue(self.standing.may_publish(others(State.HEALTHY), 0.0))

    def test_alone(self) -> None:
        """One that is alone keeps the seat, whatever its Tor does and whatever it was asked to do."""
        self.standing.resign(0.0)
        for nodes in (others(), others(State.DEAD, State.JOINING)):
            self.assertTrue(self.standing.may_publish(nodes, 1.0))

    def test_resigning(self) -> None:
        """It steps down for a while, if there is somebody who serves."""
        self.standing.be_able(True)
        self.standing.resign(10.0)
        self.assertFalse(self.standing.may_publish(others(State.UNHEALTHY, State.HEALTHY), 11.0))
        self.assertTrue(self.standing.may_publish(others(State.UNHEALTHY, State.INITIALIZING), 11.0))
        self.assertTrue(self.standing.may_publish(others(State.HEALTHY), 10.0 + RESIGNED_SECS))

    def test_every_change_is_told(self) -> None:
        """Whoever listens hears of each at once."""
        self.standing.be_able(True)
        self.standing.target(False)
        self.standing.drain(True)
        self.standing.resign(0.0)
        self.assertEqual(self.changes, 4)
        self.assertEqual((self.standing.able, self.standing.target_healthy, self.standing.drained), (True, False, True))
