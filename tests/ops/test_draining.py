"""What an operator is told who takes a node out of service."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.ops.draining import Draining


class DrainingTests(SynchronousTestCase):
    """One sentence for each case."""

    def test_sentences(self) -> None:
        """With others they get the visitors; without, nothing can be withdrawn; and back again."""
        many = Draining(drained=True, others=("beta", "gamma"), connections=3)
        self.assertIn("beta, gamma will have its visitors; 3 connections are left", many.sentence)
        alone = Draining(drained=True, others=(), connections=3)
        self.assertIn("no other node serves: its introduction points stay", alone.sentence)
        self.assertIn("back in service", Draining(drained=False, others=(), connections=0).sentence)
