"""Tests for L{rustbalance.cluster.commands}."""

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.commands import Certainty, PersistedState
from rustbalance.publishing.schedule import Answer
from tests.cluster.group import record


class CommandTests(SynchronousTestCase):
    """What leaves the core."""

    def test_what_is_kept_can_be_written(self) -> None:
        """The state goes to a file and comes back as it was; what a file lacks has a default."""
        state = PersistedState(3, 7, 9, (record("a", 2),), ("a",), {"aa": 5})
        self.assertEqual(msgspec.json.decode(msgspec.json.encode(state), type=PersistedState), state)
        self.assertEqual(msgspec.json.decode(b"{}", type=PersistedState), PersistedState())

    def test_certainty_is_the_answer_of_publishing(self) -> None:
        """Both rooms have the same three words."""
        self.assertEqual([each.value for each in Certainty], [each.value for each in Answer])
