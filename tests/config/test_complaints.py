"""How complaints read."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.config.complaints import Complaint, ConfigError, dotted, nearest, shortened, shown


class ComplaintTests(SynchronousTestCase):
    """One line with key, value, rule and what may have been meant."""

    def test_line(self) -> None:
        """All parts, and the necessary ones alone."""
        self.assertEqual(str(Complaint("a.b", "must be", "7", "a.c")), "a.b = 7: must be; did you mean a.c?")
        self.assertEqual(str(Complaint("a.b", "must be")), "a.b: must be")

    def test_error_has_all(self) -> None:
        """The error's text is one complaint a line."""
        error = ConfigError([Complaint("a", "x"), Complaint("b", "y")])
        self.assertEqual(str(error), "a: x\nb: y")
        self.assertEqual([complaint.key for complaint in error.complaints], ["a", "b"])

    def test_values(self) -> None:
        """Values look as in TOML, big ones are cut, tables and arrays only named."""
        self.assertEqual(shown("ä"), '"ä"')
        self.assertEqual(shown(True), "true")
        self.assertEqual(shown({"token": "x"}), "a table")
        self.assertEqual(shown(["token"]), "an array of 1")
        self.assertEqual(shown(10**5000), "a huge number")
        self.assertLess(len(shown("x" * 5000)), 130)
        self.assertEqual(shown("\x1b[31m"), '"\\u001b[31m"')

    def test_shortened(self) -> None:
        """Of an address only the ends are shown."""
        self.assertEqual(shortened("abcdef" + "x" * 46 + "wxyz.onion"), '"abcdef…wxyz.onion"')
        self.assertEqual(shortened(7), "7")

    def test_dotted(self) -> None:
        """Odd keys are quoted."""
        self.assertEqual(dotted("a", "b"), "a.b")
        self.assertEqual(dotted("a", "b c"), 'a."b c"')

    def test_nearest(self) -> None:
        """A misspelt key, a key in the wrong table, and one that is like nothing."""
        known = ("local_port", "tor.control_port", "publish.refresh_interval_secs")
        self.assertEqual(nearest("lokal_port", known), "local_port")
        self.assertEqual(nearest("publish.refresh_interval", known), "publish.refresh_interval_secs")
        self.assertEqual(nearest("node.control_port", known), "tor.control_port")
        self.assertIsNone(nearest("zzz", known))

    @settings(deadline=None)
    @given(st.one_of(st.text(), st.integers(), st.floats(), st.lists(st.text()), st.dates()))
    def test_any_value_fits_on_a_line(self, value: object) -> None:
        """Whatever the value, it is shown on one short printable line."""
        for text in (shown(value), shortened(value)):
            self.assertTrue(text.isprintable())
            self.assertLess(len(text), 130)
