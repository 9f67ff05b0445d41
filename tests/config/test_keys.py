"""The kinds of keys, by themselves; what they do in a file is in test_load.py."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.config import keys
from rustbalance.config.complaints import Refused
from rustbalance.config.outline import every_entry

BASE = Path("/base")


class KeyTests(SynchronousTestCase):
    """Reading a value, or refusing it."""

    def test_whole_numbers(self) -> None:
        """Bounds included; a boolean is no number, although Python thinks so."""
        key = keys.whole("", 0, 1)
        self.assertEqual([key.read(0, BASE), key.read(1, BASE)], [0, 1])
        for value in (-1, 2, True, 1.0, "1", None):
            self.assertRaises(Refused, key.read, value, BASE)

    def test_seconds(self) -> None:
        """Whole and broken numbers, never nan or inf."""
        key = keys.seconds("", 0.5, 2)
        self.assertEqual([key.read(1, BASE), key.read(1.5, BASE)], [1.0, 1.5])
        self.assertIs(type(key.read(1, BASE)), float)
        for value in (0.4, 3, float("nan"), float("inf"), True, "1"):
            self.assertRaises(Refused, key.read, value, BASE)

    def test_choice(self) -> None:
        """The words and nothing like them."""
        key = keys.choice("", "a", "b")
        self.assertEqual(key.read("a", BASE), "a")
        odd: tuple[object, ...] = ("A", "", 1, ["a"], {"a": 1})
        for value in odd:
            self.assertRaises(Refused, key.read, value, BASE)

    def test_program(self) -> None:
        """A bare name stays for PATH, a path is made absolute."""
        key = keys.program("")
        self.assertEqual(key.read("tor", BASE), "tor")
        self.assertEqual(key.read("./tor", BASE), "/base/tor")
        for value in ("", "a b", "\x7f", 1):
            self.assertRaises(Refused, key.read, value, BASE)

    def test_texts(self) -> None:
        """Only an array of nothing but strings."""
        key = keys.texts("")
        self.assertEqual(key.read(["a"], BASE), ("a",))
        odd: tuple[object, ...] = ("a", [1], [["a"]], {})
        for value in odd:
            self.assertRaises(Refused, key.read, value, BASE)

    def test_hidden(self) -> None:
        """A secret is never read from the document, whatever is there."""
        self.assertRaises(Refused, keys.hidden("").read, "x", BASE)

    @settings(deadline=None)
    @given(
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.dates()),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
            max_leaves=3,
        )
    )
    def test_no_key_crashes(self, value: object) -> None:
        """Each key of the schema takes a value or refuses it."""
        for entry in every_entry():
            try:
                entry.key.read(value, BASE)
            except Refused:
                continue
