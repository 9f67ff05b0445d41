"""Tests for L{rustbalance.onion.introduction}."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.onion.introduction import IntroductionPoint, decode_point, encode_point, renewed
from rustbalance.onion.keys import DescriptorSigningKey
from rustbalance.onion.netdoc import MalformedDescriptor, text_of
from rustbalance.secrets import Secret
from tests.onion.descriptors import FRESH, NOW, SIGNING_KEY, any_point, damaged, point

TEXT = encode_point(point(1), SIGNING_KEY)


class CodecTests(SynchronousTestCase):
    """Points are written as by Tor and read as strictly as by Tor."""

    def test_lines_in_tors_order(self) -> None:
        """The lines are those of C tor, 742 bytes for a usual relay."""
        keywords = [line.split(" ")[0] for line in TEXT.splitlines() if " " in line or line.endswith(("key", "cert"))]
        lines = [word for word in keywords if not word.startswith("-----")]
        self.assertEqual(lines, ["introduction-point", "onion-key", "auth-key", "enc-key", "enc-key-cert"])
        self.assertEqual(len(TEXT), 742)

    @settings(deadline=None)
    @given(any_point())
    def test_round_trip(self, drawn: IntroductionPoint) -> None:
        """What was written is read back, lines of a later Tor included."""
        self.assertEqual(decode_point(encode_point(drawn, SIGNING_KEY), SIGNING_KEY.public), drawn)

    def test_certified_anew(self) -> None:
        """Another signing key vouches for the same keys: no private key of the node is needed."""
        other = DescriptorSigningKey(Secret.copy_of(b"o" * 32))
        again = encode_point(decode_point(TEXT, SIGNING_KEY.public), other)
        self.assertEqual(decode_point(again, other.public), point(1))
        with self.assertRaisesRegex(MalformedDescriptor, "another key"):
            decode_point(again, SIGNING_KEY.public)

    def test_expired(self) -> None:
        """With the time, certificates must not have expired."""
        decode_point(TEXT, SIGNING_KEY.public, FRESH * 3600)
        with self.assertRaisesRegex(MalformedDescriptor, "expired"):
            decode_point(TEXT, SIGNING_KEY.public, FRESH * 3600 + 1)

    def test_legacy(self) -> None:
        """A point with an RSA key is named as such."""
        with self.assertRaisesRegex(MalformedDescriptor, "legacy"):
            decode_point(TEXT + "legacy-key\n-----BEGIN X-----\nAAAA\n-----END X-----\n", SIGNING_KEY.public)

    def test_keys_of_other_types(self) -> None:
        """A key of a type to come does no harm beside the ntor key; two of type ntor do."""
        more = TEXT.replace("enc-key ntor", "enc-key future AAAA\nenc-key ntor")
        self.assertEqual(decode_point(more, SIGNING_KEY.public), point(1))
        for wrong in (
            TEXT.replace("onion-key ntor", "onion-key future"),
            TEXT.replace("onion-key ntor", "onion-key ntor AAAA\nonion-key ntor"),
            TEXT.replace("enc-key ntor ", "enc-key ntor\nnew "),
            TEXT.replace("enc-key ntor ", "enc-key ntor AAAA"),
        ):
            with self.assertRaises(MalformedDescriptor):
                decode_point(wrong, SIGNING_KEY.public)

    @settings(deadline=None)
    @given(damaged(TEXT.encode()))
    def test_damaged(self, text: bytes) -> None:
        """However a point is damaged, it parses or raises the one error."""
        try:
            decode_point(text_of(text, "it"), SIGNING_KEY.public)
        except MalformedDescriptor:
            return


class ValidityTests(SynchronousTestCase):
    """A point that cannot be written cannot be made."""

    def test_sizes(self) -> None:
        """Keys have 32 bytes, expiries fit into four."""
        for wrong in (
            {"onion_key": b"x"},
            {"auth_key": bytes(33)},
            {"enc_key": b""},
            {"enc_key_ed25519": bytes(31)},
            {"auth_key_expiry": -1},
            {"enc_key_expiry": 2**32},
            {"other_lines": ("two\nlines",)},
            {"other_lines": ("legacy-key",)},
        ):
            with self.assertRaises(MalformedDescriptor):
                replace(point(1), **wrong)

    def test_link_specifiers(self) -> None:
        """The block holds what its count says; known types have their length, unknown ones any."""
        for good in (b"\x01\x00\x06123456", b"\x02\x00\x06123456\x99\x00", b"\x01\x99\x03abc"):
            replace(point(1), link_specifiers=good)
        for wrong in (
            b"",
            b"\x00",
            b"\x01",
            b"\x01\x00",
            b"\x01\x00\x0512345",
            b"\x01\x00\x0612345",
            b"\x01\x00\x061234567",
            b"\x02\x00\x06123456",
            b"\x01\x00\x06123456\x99\x00",
        ):
            with self.assertRaises(MalformedDescriptor):
                replace(point(1), link_specifiers=wrong)


class RenewalTests(SynchronousTestCase):
    """A certificate is made to last only where the node's own Tor would do the same."""

    def expiry(self, own: int) -> int | None:
        """Return what a certificate that ended at the hour C{own} gets."""
        found = renewed([point(1, own)], NOW)
        return found[0].auth_key_expiry if found else None

    def test_living_tor(self) -> None:
        """Up to three hours behind is what a Tor that refreshes its descriptor can be: it gets Tor's own lifetime."""
        for behind in range(4):
            self.assertEqual(self.expiry(FRESH - behind), FRESH)

    def test_silent_tor(self) -> None:
        """An older one keeps its own end, so that a dead point does not live on."""
        self.assertEqual(self.expiry(FRESH - 4), FRESH - 4)
        self.assertEqual(self.expiry(NOW // 3600 + 1), NOW // 3600 + 1)

    def test_never_longer_than_tor(self) -> None:
        """A source cannot make a certificate last for years."""
        self.assertEqual(self.expiry(2**32 - 1), FRESH)

    def test_expired(self) -> None:
        """Where one of the two has expired, the point is left out."""
        self.assertIsNone(self.expiry(NOW // 3600))
        self.assertEqual(renewed([replace(point(1), enc_key_expiry=NOW // 3600)], NOW), ())

    def test_both_certificates(self) -> None:
        """Each certificate goes by its own expiry."""
        (found,) = renewed([replace(point(1), enc_key_expiry=FRESH - 10)], NOW)
        self.assertEqual((found.auth_key_expiry, found.enc_key_expiry), (FRESH, FRESH - 10))

    @settings(deadline=None)
    @given(st.lists(st.integers(0, 2**32 - 1), max_size=5), st.integers(0, 2**32 - 1))
    def test_renewing_twice_is_renewing_once(self, owns: list[int], now: int) -> None:
        """The rule is settled after one go, and never goes past Tor's own lifetime."""
        once = renewed([point(number, own) for number, own in enumerate(owns)], now)
        self.assertEqual(renewed(once, now), once)
        self.assertTrue(all(now <= found.auth_key_expiry * 3600 <= now + 54 * 3600 for found in once))

    def test_relay(self) -> None:
        """Points at one relay are known by its RSA identity, whatever else their blocks say; else by the block."""
        one = point(1)
        identity = b"\x02\x14" + b"r" * 20
        for block in (b"\x01" + identity, b"\x02\x00\x06123456" + identity):
            self.assertEqual(replace(one, link_specifiers=block).relay, b"r" * 20)
        self.assertEqual(replace(one, link_specifiers=b"\x01\x99\x03abc").relay, b"\x01\x99\x03abc")
