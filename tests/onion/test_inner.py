"""Tests for L{rustbalance.onion.inner}."""

from dataclasses import replace

from hypothesis import given, settings
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.onion.inner import InnerLayer, decode_inner, encode_inner
from rustbalance.onion.introduction import encode_point
from rustbalance.onion.netdoc import MalformedDescriptor, text_of
from tests.onion.descriptors import FRESH, NOW, POW, SIGNING_KEY, any_inner, damaged, point, points
from tests.vectors import load

FULL = InnerLayer(
    points(2),
    flow_control="1-2 31",
    single_onion_service=True,
    pow_params=POW,
    intro_auth_required="ed25519",
    other_lines=("new line",),
)
TEXT = encode_inner(FULL, SIGNING_KEY)


def decoded(text: str) -> InnerLayer:
    """Return the layer of a text in which no point must be skipped."""
    inner, skipped = decode_inner(text, SIGNING_KEY.public)
    assert skipped == (), skipped
    return inner


class CodecTests(SynchronousTestCase):
    """The inner layer is written as by Tor."""

    def test_order_of_lines(self) -> None:
        """The lines before the points come in C tor's order, what we do not know last."""
        self.assertEqual(
            TEXT.split("introduction-point ")[0],
            "create2-formats 2\nintro-auth-required ed25519\nsingle-onion-service\nflow-control 1-2 31\n"
            f"pow-params {POW}\nnew line\n",
        )

    def test_points_follow(self) -> None:
        """The points stand behind, in their order, and nothing after them."""
        self.assertTrue(TEXT.endswith("".join(encode_point(each, SIGNING_KEY) for each in FULL.points)))

    @settings(deadline=None)
    @given(any_inner(most=4))
    def test_round_trip(self, inner: InnerLayer) -> None:
        """What was written is read back."""
        self.assertEqual(decoded(encode_inner(inner, SIGNING_KEY)), inner)

    @settings(deadline=None, max_examples=300)
    @given(damaged(TEXT.encode()))
    def test_damaged(self, text: bytes) -> None:
        """However the layer is damaged, it parses or raises the one error, and what parses can be written again."""
        try:
            inner, _ = decode_inner(text_of(text, "it"), SIGNING_KEY.public)
        except MalformedDescriptor:
            return
        self.assertEqual(decoded(encode_inner(inner, SIGNING_KEY)), inner)

    def test_proof_of_work_of_c_tor(self) -> None:
        """The pow-params line of a real service is kept as it is."""
        vector = load("pow_params")
        inner = decoded(vector["header"])
        self.assertEqual(inner.flow_control, "1-2 31")
        assert inner.pow_params is not None
        scheme, _, effort, expiry = inner.pow_params.split()
        self.assertEqual((scheme, effort), ("v1", str(vector["expect"]["suggested_effort"])))
        self.assertEqual(expiry, "2024-04-11T05:15:37")
        self.assertEqual(encode_inner(inner, SIGNING_KEY), vector["header"])


class StrictnessTests(SynchronousTestCase):
    """What makes a client refuse the whole descriptor is refused, what it passes over is not."""

    def test_refused_lines(self) -> None:
        """The header is as strict as C tor's."""
        for header in (
            "",
            "create2-formats\n",
            "create2-formats 1 3\n",
            "create2-formats 2\ncreate2-formats 2\n",
            "create2-formats 2\nflow-control\n",
            "create2-formats 2\nflow-control 1-2\n",
            "create2-formats 2\nflow-control 1-2 0\n",
            "create2-formats 2\nflow-control 1-2 255\n",
            "create2-formats 2\nflow-control 1-2 x\n",
            "create2-formats 2\nflow-control x 31\n",
            "create2-formats 2\nflow-control 1-2 31\nflow-control 1-2 31\n",
            "create2-formats 2\nintro-auth-required password\n",
            "create2-formats 2\nsingle-onion-service\nsingle-onion-service\n",
            f"create2-formats 2\npow-params {POW}\npow-params {POW}\n",
            "create2-formats 2\npow-params v1 AAAA 1 2024-04-11T05:15:37\n",
            f"create2-formats 2\npow-params v1 {'A' * 43}= 4294967296 2024-04-11T05:15:37\n",
            f"create2-formats 2\npow-params v1 {'A' * 43}= 1 tomorrow\n",
            f"create2-formats 2\npow-params v1 {'A' * 43}= 1\n",
            "create2-formats 2\nintroduction-point\n",
            "create2-formats 2\n\n",
        ):
            with self.assertRaises(MalformedDescriptor, msg=header):
                decode_inner(header, SIGNING_KEY.public)

    def test_tolerated_lines(self) -> None:
        """Unknown formats, schemes and keywords do no harm, and are kept where they can be."""
        inner = decoded("create2-formats 2 x 99999999 3\npow-params v9\nnews a\nflow-control 1-2,4 1 more\n")
        self.assertEqual(inner.create2_formats, (2, 3))
        self.assertEqual(inner.other_lines, ("pow-params v9", "news a"))
        self.assertEqual(inner.flow_control, "1-2,4 1 more")

    def test_layers_that_cannot_be_written(self) -> None:
        """A layer that no client would take cannot be made by hand either."""
        for wrong in (
            {"create2_formats": (3,)},
            {"create2_formats": (2, 0)},
            {"flow_control": "1-2"},
            {"flow_control": "1-2  31"},
            {"flow_control": "1-2 31\nnew"},
            {"pow_params": "v2 x"},
            {"intro_auth_required": ""},
            {"other_lines": ("flow-control 1-2 31",)},
            {"other_lines": ("introduction-point x",)},
            {"other_lines": (f"pow-params {POW}",)},
            {"other_lines": ("a\nb",)},
        ):
            with self.assertRaises(MalformedDescriptor, msg=str(wrong)):
                replace(FULL, **wrong)


class SkippedPointTests(SynchronousTestCase):
    """One bad point does not take the others with it."""

    def test_bad_point(self) -> None:
        """A malformed point is left out, with its place and the reason."""
        broken = TEXT.replace("onion-key ntor", "onion-key odd", 1)
        inner, skipped = decode_inner(broken, SIGNING_KEY.public)
        self.assertEqual(inner, replace(FULL, points=FULL.points[1:]))
        self.assertEqual(skipped, ("introduction point 1: onion-key must give one key of type ntor",))

    def test_expired_point(self) -> None:
        """So is one whose certificates have expired, when the time is known."""
        text = encode_inner(InnerLayer((point(1, FRESH), point(2, NOW // 3600))), SIGNING_KEY)
        inner, skipped = decode_inner(text, SIGNING_KEY.public, NOW)
        self.assertEqual(inner.points, (point(1, FRESH),))
        self.assertEqual(len(skipped), 1)
        self.assertIn("expired", skipped[0])

    def test_none_left(self) -> None:
        """Without any point the layer still says what it says."""
        inner, skipped = decode_inner(TEXT.replace("enc-key ntor", "enc-key odd"), SIGNING_KEY.public)
        self.assertEqual((inner.points, len(skipped)), ((), 2))

    def test_more_than_twenty(self) -> None:
        """Like a client we refuse a descriptor with more than 20 points as a whole."""
        decoded(encode_inner(InnerLayer(points(20)), SIGNING_KEY))
        with self.assertRaisesRegex(MalformedDescriptor, "at most 20"):
            decode_inner(encode_inner(InnerLayer(points(21)), SIGNING_KEY), SIGNING_KEY.public)
