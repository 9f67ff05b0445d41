"""Tests for L{rustbalance.onion.netdoc}."""

import base64

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.onion.netdoc import (
    Item,
    MalformedDescriptor,
    at_most_one,
    check_unknown_lines,
    decimal,
    decode_base64,
    encode_base64,
    encode_object,
    encode_unpadded,
    exactly_one,
    parse_items,
    text_of,
    unknown_lines,
)


class ItemTests(SynchronousTestCase):
    """Documents fall into keyword lines and objects."""

    def test_lines_and_objects(self) -> None:
        """Keyword, arguments, tag, contents and place of each item are found."""
        text = "first a  b\nempty\ncert\n-----BEGIN ED25519 CERT-----\nAAEC\n-----END ED25519 CERT-----\nlast\tx\n"
        first, empty, cert, last = parse_items(text)
        self.assertEqual((first.keyword, first.arguments, first.start), ("first", ["a", "b"], 0))
        self.assertEqual((empty.keyword, empty.arguments, empty.tag), ("empty", [], None))
        self.assertEqual(cert.object("ED25519 CERT"), b"\0\1\2")
        self.assertEqual(text[last.start :], "last\tx\n")
        self.assertEqual(last.argument, "x")

    def test_last_newline_is_optional(self) -> None:
        """A line or an object may end with the document, as in C tor's middle layer."""
        for text in ("key value", "key\n-----BEGIN MESSAGE-----\nAAAA\n-----END MESSAGE-----"):
            self.assertEqual(parse_items(text), parse_items(text + "\n"))

    def test_what_is_no_item(self) -> None:
        """Blank lines, stray objects, unfinished objects and odd characters are refused, with the line."""
        for text in (
            "\n",
            " key\n",
            "ok\n\nkey\n",
            "-----BEGIN X-----\n-----END X-----\n",
            "key\n-----BEGIN X-----\nAAAA\n",
            "key\n-----BEGIN X-----\nAAAA\n-----END Y-----\n",
            "key\n-----BEGIN X-----\n====!\n-----END X-----\n",
            "key a\rb\n",
            "key \0\n",
            "k_y\n",
        ):
            with self.assertRaises(MalformedDescriptor):
                parse_items(text)
        with self.assertRaisesRegex(MalformedDescriptor, "line 3"):
            parse_items("a\nb\n?\n")

    def test_counting(self) -> None:
        """A keyword that must appear once is missed and is not taken twice."""
        items = parse_items("a 1\nb\na 2\n")
        self.assertIsNone(at_most_one(items, "c"))
        self.assertEqual(exactly_one(items, "b").keyword, "b")
        for keyword in ("a", "c"):
            with self.assertRaises(MalformedDescriptor):
                exactly_one(items, keyword)

    def test_missing_parts(self) -> None:
        """An item without argument or object says so when one is needed."""
        (item,) = parse_items("key\n")
        for need in (lambda: item.argument, lambda: item.object("MESSAGE")):
            with self.assertRaises(MalformedDescriptor):
                need()

    def test_object_must_be_base64(self) -> None:
        """Padding in the middle or a lone character is no base64."""
        for body in ("A", "A=AA", "AAAAA"):
            with self.assertRaises(MalformedDescriptor):
                parse_items(f"key\n-----BEGIN X-----\n{body}\n-----END X-----\n")[0].object("X")

    def test_unknown_lines_are_whole_items(self) -> None:
        """What a later Tor adds is kept as text, and only as text that would be found again."""
        text = "new a b\nknown\nnewer\n-----BEGIN X-----\nAAAA\n-----END X-----\n"
        lines = unknown_lines(parse_items(text), {"known"})
        self.assertEqual(lines, ("new a b", "newer\n-----BEGIN X-----\nAAAA\n-----END X-----"))
        check_unknown_lines(lines, {"known"})
        for line in ("known", "a\nb", "a\n", "", " a", "a\n-----BEGIN X-----"):
            with self.assertRaises(MalformedDescriptor):
                check_unknown_lines([line], {"known"})

    @settings(deadline=None)
    @given(st.text(alphabet="abA-=+ \n\t0BEGIND", max_size=200) | st.text(max_size=50))
    def test_any_text(self, text: str) -> None:
        """Every text is cut into items that cover it, or raises the one error."""
        try:
            items = parse_items(text)
        except MalformedDescriptor:
            return
        self.assertEqual("\n".join(item.text for item in items), text.removesuffix("\n") if items else text)


class ValueTests(SynchronousTestCase):
    """Numbers and base64."""

    def test_decimal(self) -> None:
        """Only ASCII digits up to the limit are a number."""
        self.assertEqual([decimal("0", "x", 9), decimal("9", "x", 9)], [0, 9])
        for text in ("10", "", "-1", "+1", "1.0", "٣", "²", "0x1", "9" * 5000):
            with self.assertRaises(MalformedDescriptor):
                decimal(text, "x", 9)

    def test_base64_with_and_without_padding(self) -> None:
        """Tor writes both forms, and the size is checked."""
        self.assertEqual(decode_base64("AA==", "x", 1), b"\0")
        self.assertEqual(decode_base64("AA", "x", 1), b"\0")
        for text, size in (("AA", 2), ("A", 1), ("!!!!", 3), ("", 1)):
            with self.assertRaises(MalformedDescriptor):
                decode_base64(text, "x", size)

    @settings(deadline=None)
    @given(st.binary(max_size=500))
    def test_objects_are_written_as_by_tor(self, data: bytes) -> None:
        """An object has lines of 64 characters, and reads back as what was put in."""
        text = encode_object("MESSAGE", data)
        encoded = base64.b64encode(data).decode()
        lines = [encoded[place : place + 64] for place in range(0, len(encoded), 64)]
        self.assertEqual(text.splitlines(), ["-----BEGIN MESSAGE-----", *lines, "-----END MESSAGE-----"])
        self.assertTrue(text.endswith("\n"))
        (item,) = parse_items("key\n" + text)
        self.assertIsInstance(item, Item)
        self.assertEqual(item.object("MESSAGE"), data)
        self.assertEqual(decode_base64(encode_base64(data), "x"), data)
        self.assertEqual(decode_base64(encode_unpadded(data), "x"), data)

    def test_only_ascii_is_text(self) -> None:
        """Bytes outside ASCII are the one error as well."""
        self.assertEqual(text_of(b"a\0", "it"), "a\0")
        with self.assertRaises(MalformedDescriptor):
            text_of(b"\xff", "it")
