"""Tests for L{rustbalance.testing.tor_values}; C{tests.live.test_control} compares it with the real tor."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.testing.tor_values import escaped, settings, shown


class ValueTests(SynchronousTestCase):
    """Values are quoted as tor 0.4.9 quotes them."""

    def test_settings(self) -> None:
        """Quoted and bare values, and options without one."""
        self.assertEqual(settings(r'A="x \"y\"" B=1 C'), [("A", 'x "y"'), ("B", "1"), ("C", "")])

    def test_shown(self) -> None:
        """GETCONF quotes a value only for a comment sign or what is not printable ASCII."""
        self.assertEqual(shown('80 unix:"/a b"'), '80 unix:"/a b"')
        self.assertEqual(shown('80 unix:"/a#b"'), r'"80 unix:\"/a#b\""')

    def test_escaped(self) -> None:
        """Other alphabets come in octal, byte by byte."""
        self.assertEqual(escaped("/ö"), r"/\303\266")
