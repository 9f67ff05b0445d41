"""Tests for L{rustbalance.ops.verbs}."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.ops.verbs import Done, NotDone, Request, Verbs, perform


def remove(node: str) -> Done:
    """Be a verb that is about a node."""
    if node == "self":
        raise NotDone("not this one")
    return Done(sentence=f"{node} is gone")


VERBS: Verbs = {"look": lambda: Done(sentence="seen"), "remove": remove}


class PerformTests(SynchronousTestCase):
    """L{perform} calls what belongs to a verb."""

    def refused(self, request: Request) -> str:
        """Return why it is not done."""
        return str(self.assertRaises(NotDone, perform, request, VERBS))

    def test_done(self) -> None:
        """With a node where it is about one."""
        self.assertEqual(perform(Request("look"), VERBS), Done(sentence="seen"))
        self.assertEqual(perform(Request("remove", "b"), VERBS), Done(sentence="b is gone"))

    def test_not_done(self) -> None:
        """The reason is a sentence: no such verb, a node too many or too few, or the verb's own."""
        self.assertIn("known ones are look, remove", self.refused(Request("x")))
        self.assertIn("takes no node", self.refused(Request("look", "b")))
        self.assertIn("needs a node", self.refused(Request("remove")))
        self.assertEqual(self.refused(Request("remove", "self")), "not this one")
