"""
Introduction points on their way from one node to another.

Owns: the bytes in ``IntroPoints.inner``. In: an inner layer, or bytes; out: the other, with the reason for each point
that was left out. The certificates of a descriptor are not in it: whoever publishes certifies the points anew.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from rustbalance.cluster.messages import MalformedMessage, sentence
from rustbalance.onion.inner import MOST_POINTS, InnerLayer
from rustbalance.onion.introduction import IntroductionPoint

_ERRORS: Final = (msgspec.MsgspecError, ValueError, RecursionError, MemoryError)


class _Point(msgspec.Struct, frozen=True, array_like=True):
    """The fields of ``IntroductionPoint``, in the order of the wire."""

    link_specifiers: bytes
    onion_key: bytes
    auth_key: bytes
    auth_key_expiry: int
    enc_key: bytes
    enc_key_ed25519: bytes
    enc_key_expiry: int
    other_lines: tuple[str, ...] = ()


class _Layer(msgspec.Struct, frozen=True, array_like=True):
    """The fields of ``InnerLayer``, in the order of the wire; each point is looked at by itself."""

    points: Annotated[tuple[msgspec.Raw, ...], Meta(max_length=MOST_POINTS)]
    create2_formats: tuple[int, ...]
    flow_control: str | None
    single_onion_service: bool
    pow_params: str | None
    intro_auth_required: str | None
    other_lines: tuple[str, ...] = ()


_encode = msgspec.msgpack.Encoder().encode
_decode_layer = msgspec.msgpack.Decoder(_Layer).decode
_decode_point = msgspec.msgpack.Decoder(_Point).decode
_POINT_FIELDS: Final = _Point.__struct_fields__
_LAYER_FIELDS: Final = _Layer.__struct_fields__[1:]


def encode_points(inner: InnerLayer) -> bytes:
    """Return the bytes of an inner layer; none when it has no points."""
    if not inner.points:
        return b""
    points = tuple(msgspec.Raw(_encode(_Point(*_values(point, _POINT_FIELDS)))) for point in inner.points)
    return _encode(_Layer(points, *_values(inner, _LAYER_FIELDS)))


def decode_points(data: bytes) -> tuple[InnerLayer, tuple[str, ...]]:
    """
    Return an inner layer, and the reason for each introduction point that breaks a rule and is not in it.

    :raises MalformedMessage: it is none, or has more than 20 points.
    """
    if not data:
        return InnerLayer(()), ()
    try:
        layer = _decode_layer(data)
        points, dropped = _read_points(layer.points)
        return InnerLayer(points, *_values(layer, _LAYER_FIELDS)), dropped
    except _ERRORS as error:
        raise MalformedMessage(sentence(error)) from None


def _read_points(raws: Sequence[msgspec.Raw]) -> tuple[tuple[IntroductionPoint, ...], tuple[str, ...]]:
    points: list[IntroductionPoint] = []
    dropped: list[str] = []
    for number, raw in enumerate(raws, 1):
        try:
            points.append(IntroductionPoint(*_values(_decode_point(raw), _POINT_FIELDS)))
        except _ERRORS as error:  # MalformedDescriptor is a ValueError
            dropped.append(f"introduction point {number}: {sentence(error)}")
    return tuple(points), tuple(dropped)


def _values(source: object, names: Sequence[str]) -> list[Any]:
    return [getattr(source, name) for name in names]
