"""Tests for L{rustbalance.cluster.points}."""

from dataclasses import fields, replace

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.messages import MalformedMessage
from rustbalance.cluster.points import decode_points, encode_points
from rustbalance.onion.inner import InnerLayer
from rustbalance.onion.introduction import IntroductionPoint
from tests.onion.descriptors import POW, points

FULL = InnerLayer(
    points=(replace(points(1)[0], other_lines=("later-line 1",)), *points(20)[1:]),
    create2_formats=(2, 3),
    flow_control="1-2 31",
    single_onion_service=True,
    pow_params=POW,
    intro_auth_required="ed25519",
    other_lines=("later-line 2",),
)


def changed(place: int, value: object, point: int | None = None) -> bytes:
    """Return the bytes of a layer with one value replaced, in the layer or in one of its points."""
    layer = msgspec.msgpack.decode(encode_points(FULL))
    target = layer if point is None else layer[0][point]
    target[place] = value
    return msgspec.msgpack.encode(layer)


class PointsTests(SynchronousTestCase):
    """Introduction points go from node to node."""

    def test_whole(self) -> None:
        """All that an inner layer says arrives, and no field of it is forgotten here."""
        self.assertEqual(decode_points(encode_points(FULL)), (FULL, ()))
        default = InnerLayer(FULL.points)
        self.assertTrue(all(getattr(FULL, field.name) != getattr(default, field.name) for field in fields(FULL)[1:]))
        self.assertEqual(len(fields(IntroductionPoint)), 8)

    def test_none(self) -> None:
        """No points are no bytes."""
        self.assertEqual(encode_points(InnerLayer(())), b"")
        self.assertEqual(decode_points(b""), (InnerLayer(()), ()))

    def test_size(self) -> None:
        """The most points there can be take a few kilobytes."""
        self.assertLess(len(encode_points(InnerLayer(points(20, ipv6=True)))), 6000)

    def test_a_broken_point(self) -> None:
        """A point that breaks a rule is left out with the reason, and the others stay."""
        for place, value in ((0, b""), (0, b"\x05\x00"), (1, b"short"), (2, bytes(33)), (3, -1), (3, "x"), (7, ["\n"])):
            layer, dropped = decode_points(changed(place, value, point=4))
            self.assertEqual(layer.points, FULL.points[:4] + FULL.points[5:])
            self.assertEqual(len(dropped), 1)
            self.assertTrue(dropped[0].startswith("introduction point 5: "), dropped[0])

    def test_a_broken_layer(self) -> None:
        """A line for which clients would refuse the whole descriptor refuses the whole offer."""
        for place, value in ((1, [1]), (2, "1-2 0"), (4, "v1 x"), (5, "none"), (6, ["create2-formats 1"]), (3, 1)):
            self.assertRaises(MalformedMessage, decode_points, changed(place, value))

    def test_too_many(self) -> None:
        """Nobody offers more points than a descriptor can have."""
        self.assertRaises(MalformedMessage, decode_points, encode_points(InnerLayer(points(21))))

    @settings(deadline=None, max_examples=500)
    @given(st.data())
    def test_hostile(self, data: st.DataObject) -> None:
        """Any bytes are a layer or are refused, and what is taken can be sent on."""
        text = bytearray(data.draw(st.sampled_from([encode_points(InnerLayer(points(2))), b"\x97", b""])))
        start = data.draw(st.integers(0, len(text)))
        text[start : start + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=40))
        try:
            layer, _ = decode_points(bytes(text))
        except MalformedMessage:
            return
        if layer.points:
            self.assertEqual(decode_points(encode_points(layer)), (layer, ()))
