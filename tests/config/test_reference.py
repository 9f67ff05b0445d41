"""The reference page is the one that the code would write now."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.config.outline import every_entry
from rustbalance.config.reference import page

COMMITTED = Path(__file__).parent.parent.parent / "docs" / "configuration.md"


class ReferenceTests(SynchronousTestCase):
    """docs/configuration.md."""

    def test_committed_page_is_current(self) -> None:
        """When this fails: python -m rustbalance.config.reference > docs/configuration.md"""
        self.assertEqual(COMMITTED.read_text(), page())

    def test_every_key_has_a_row(self) -> None:
        """Nothing is left out."""
        for entry in every_entry():
            self.assertEqual(page().count(f"\n| `{entry.dotted}` |"), 1)
