"""Tests for L{rustbalance.onion.address}."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.onion.address import AddressError, OnionAddress
from tests.vectors import load

KEYS = st.binary(min_size=32, max_size=32)


class AddressTests(SynchronousTestCase):
    """Addresses are exactly those that Tor accepts, and never end up whole in a log."""

    def test_valid_vectors(self) -> None:
        """Published pairs of key and address convert in both directions."""
        for vector in load("onion_address")["valid"]:
            address = OnionAddress(bytes.fromhex(vector["public"]))
            self.assertEqual(address.label, vector["address"])
            self.assertEqual(address.text, vector["address"] + ".onion")
            self.assertEqual(OnionAddress.parse(vector["address"]), address)

    def test_invalid_vectors(self) -> None:
        """What Tor's own tests refuse, we refuse, with a reason that does not repeat the text."""
        for vector in load("onion_address")["invalid"]:
            with self.assertRaises(AddressError, msg=vector["why"]) as caught:
                OnionAddress.parse(vector["address"])
            self.assertNotIn(vector["address"], str(caught.exception))

    def test_reasons(self) -> None:
        """The message names the rule that is broken."""
        valid = load("onion_address")["valid"][0]["address"]
        for text, rule in (
            (valid[:-1], "56 characters"),
            (valid[:-1] + "e", "version 3"),
            ("a" + valid[1:], "checksum"),
        ):
            self.assertRaisesRegex(AddressError, rule, OnionAddress.parse, text)

    def test_forms_around_the_label(self) -> None:
        """Only a bare label or one with .onion is an address: no host name, no space, no look-alike letters."""
        label = load("onion_address")["valid"][0]["address"]
        self.assertEqual(OnionAddress.parse(label.upper() + ".ONION").label, label)
        look_alike = "\u212a".join(label.split("k", 1))
        for text in (
            f"www.{label}.onion",
            f"{label}.onion.",
            f" {label}",
            f"{label}\n",
            f"{label}.com",
            look_alike,
            "",
        ):
            self.assertRaises(AddressError, OnionAddress.parse, text)

    def test_key_length(self) -> None:
        """Nothing but a 32-byte key makes an address."""
        self.assertRaises(AddressError, OnionAddress, bytes(31))

    @settings(deadline=None)
    @given(KEYS, st.sampled_from(["", ".onion"]), st.booleans())
    def test_round_trip(self, key: bytes, suffix: str, upper: bool) -> None:
        """Whatever the key, the form and the case, parsing gives the key back and text is canonical."""
        text = OnionAddress(key).label + suffix
        parsed = OnionAddress.parse(text.upper() if upper else text)
        self.assertEqual(parsed.public_key, key)
        self.assertEqual(parsed.text, parsed.text.lower())
        self.assertEqual(OnionAddress.parse(parsed.text), parsed)

    @settings(deadline=None)
    @given(KEYS, st.integers(0, 55), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
    def test_one_wrong_character(self, key: bytes, place: int, letter: str) -> None:
        """A mistyped character is noticed, save for the one chance in 65,536 that the checksum has."""
        label = OnionAddress(key).label
        wrong = label[:place] + letter + label[place + 1 :]
        try:
            parsed = OnionAddress.parse(wrong)
        except AddressError:
            self.assertNotEqual(wrong, label)
        else:
            self.assertEqual(parsed.label, wrong)

    @settings(deadline=None)
    @given(st.text())
    def test_any_text(self, text: str) -> None:
        """Any text parses or raises the one error."""
        try:
            parsed = OnionAddress.parse(text)
        except AddressError:
            return
        self.assertEqual(parsed.label, text.lower().removesuffix(".onion"))

    @settings(deadline=None)
    @given(KEYS)
    def test_shortened_for_logs(self, key: bytes) -> None:
        """Neither str nor repr gives the address or the key away, and both tell addresses apart by eye."""
        address = OnionAddress(key)
        for shown in (str(address), repr(address), f"{address}"):
            self.assertNotIn(address.label[6:-4], shown)
            self.assertNotIn(repr(key), shown)
            self.assertIn(address.label[:6], shown)
            self.assertLess(len(shown), 40)
