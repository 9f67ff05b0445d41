"""What an exchange needs of a visitor's connection."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.proxy.pages import answer_reserved
from rustbalance.proxy.sides import VisitorSide
from rustbalance.proxy.visitor import Visitor
from tests.proxy.test_shared import shared


class SideTests(SynchronousTestCase):
    """The real connection fulfils the interface (mypy checks the types, this the names)."""

    def test_visitor(self) -> None:
        """Every name of the interface is there."""
        side: VisitorSide = Visitor(shared(), lambda _: None, answer_reserved)
        wanted = {*VisitorSide.__annotations__, *(name for name in vars(VisitorSide) if not name.startswith("_"))}
        self.assertGreater(len(wanted), 8)
        self.assertEqual({name for name in wanted if not hasattr(side, name)}, set())
