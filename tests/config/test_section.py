"""What a table of the configuration is."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.config.schema import Node


class SectionTests(SynchronousTestCase):
    """L{rustbalance.config.section.Section}."""

    def test_shows_nothing(self) -> None:
        """Whatever is in it, it does not get into a log by accident; and it cannot be changed."""
        node = Node(id="not-for-everybody")
        self.assertEqual(repr(node), "<Node>")
        self.assertRaises(AttributeError, setattr, node, "id", "other")
