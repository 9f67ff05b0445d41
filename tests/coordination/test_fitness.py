"""Tests for L{rustbalance.coordination.fitness}."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.commands import MemberView
from rustbalance.cluster.messages import State
from rustbalance.coordination.fitness import RESIGNED_SECS, Fitness


def others(*states: State) -> list[MemberView]:
    """Return one other node in each of these states."""
    return [MemberView(f"n{place}", state, 100, 1, 0.0) for place, state in enumerate(states)]


class FitnessTests(SynchronousTestCase):
    """Whether a node may publish."""

    def setUp(self) -> None:
        """Count the changes."""
        self.changes = 0
        self.fitness = Fitness(self.changed)

    def changed(self) -> None:
        """Count one."""
        self.changes += 1

    def test_a_tor_is_needed(self) -> None:
        """A node without a Tor that serves leaves publishing to the others."""
        self.assertFalse(self.fitness.may_publish(others(State.HEALTHY), 0.0))
        self.fitness.be_able(True)
        self.assertTrue(self.fitness.may_publish(others(State.HEALTHY), 0.0))

    def test_alone(self) -> None:
        """One that is alone keeps the seat, whatever its Tor does and whatever it was asked to do."""
        self.fitness.resign(0.0)
        for nodes in (others(), others(State.DEAD, State.JOINING)):
            self.assertTrue(self.fitness.may_publish(nodes, 1.0))

    def test_resigning(self) -> None:
        """It steps down for a while, if there is somebody who serves."""
        self.fitness.be_able(True)
        self.fitness.resign(10.0)
        self.assertFalse(self.fitness.may_publish(others(State.UNHEALTHY, State.HEALTHY), 11.0))
        self.assertTrue(self.fitness.may_publish(others(State.UNHEALTHY, State.INITIALIZING), 11.0))
        self.assertTrue(self.fitness.may_publish(others(State.HEALTHY), 10.0 + RESIGNED_SECS))

    def test_every_change_is_told(self) -> None:
        """Whoever listens hears of each at once."""
        self.fitness.be_able(True)
        self.fitness.target(False)
        self.fitness.drain(True)
        self.fitness.resign(0.0)
        self.assertEqual(self.changes, 4)
        self.assertEqual((self.fitness.able, self.fitness.target_healthy, self.fitness.drained), (True, False, True))
