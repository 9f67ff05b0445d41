"""
The inner layer of a descriptor: what the service can do, and its introduction points.

Owns: the plaintext of the "encrypted" section. In: ``InnerLayer`` and the signing key of the descriptor, or text; out:
the other, with the reason for each introduction point that was left out.
Source: rend-spec-v3 section 2.5.2; the order of lines and the strictness are those of C tor's hs_descriptor.c.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rustbalance.onion.introduction import START, IntroductionPoint, decode_point, encode_point
from rustbalance.onion.keys import DescriptorSigningKey
from rustbalance.onion.netdoc import (
    Item,
    MalformedDescriptor,
    at_most_one,
    check_unknown_lines,
    decimal,
    decode_base64,
    exactly_one,
    parse_items,
    unknown_lines,
    with_keyword,
)

MOST_POINTS = 20
"""C tor's HS_CONFIG_V3_MAX_INTRO_POINTS: a client refuses a descriptor with more, as a whole."""
NTOR = 2
"""The handshake type of CREATE2 cells that every client and service speaks."""
_KNOWN = frozenset(["create2-formats", "intro-auth-required", "single-onion-service", "flow-control", START])
_POW = "pow-params"
_POW_V1 = "v1"
_LARGEST_FORMAT = 2**16 - 1
_LARGEST_INCREMENT = 254
"""Largest value of the consensus parameter cc_sendme_inc (prop 324)."""
_LARGEST_EFFORT = 2**32 - 1
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", re.ASCII)
_VERSIONS = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*", re.ASCII)
_POINT_LINE = re.compile(rf"^{START} ", re.MULTILINE)


@dataclass(frozen=True)
class InnerLayer:
    """
    What a client learns from a descriptor.

    ``flow_control``, ``intro_auth_required`` and ``pow_params`` are the words behind those keywords, one space between
    each; None means that there is no such line. ``pow_params`` is a v1 line; lines of other schemes, like all that we
    do not know, are in ``other_lines``, with their objects.

    :raises MalformedDescriptor: a line breaks a rule for which a client refuses the whole descriptor.
    """

    points: tuple[IntroductionPoint, ...]
    create2_formats: tuple[int, ...] = (NTOR,)
    flow_control: str | None = None
    single_onion_service: bool = False
    pow_params: str | None = None
    intro_auth_required: str | None = None
    other_lines: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_formats(self.create2_formats)
        if self.intro_auth_required is not None and "ed25519" not in _words(self.intro_auth_required):
            raise MalformedDescriptor("intro-auth-required must allow ed25519")
        if self.flow_control is not None:
            _check_flow_control(_words(self.flow_control))
        if self.pow_params is not None:
            _check_pow_params(_words(self.pow_params))
        if self.other_lines:
            check_unknown_lines(self.other_lines, _KNOWN)
            if any(_is_pow_v1(item) for line in self.other_lines for item in parse_items(line)):
                raise MalformedDescriptor("pow-params v1 cannot be an additional line")


def _words(value: str) -> list[str]:
    words = value.split(" ")
    if not all(word.isascii() and word.isprintable() and word for word in words):
        raise MalformedDescriptor("arguments must be printable words with one space between each")
    return words


def _check_formats(formats: Sequence[int]) -> None:
    if NTOR not in formats or not all(0 < number <= _LARGEST_FORMAT for number in formats):
        raise MalformedDescriptor(f"create2-formats must contain {NTOR}")


def _check_flow_control(words: Sequence[str]) -> None:
    if len(words) < 2 or not _VERSIONS.fullmatch(words[0]):
        raise MalformedDescriptor("flow-control must have a list of versions and an increment")
    if decimal(words[1], "the increment of flow-control", _LARGEST_INCREMENT) == 0:
        raise MalformedDescriptor("the increment of flow-control must not be 0")


def _check_pow_params(words: Sequence[str]) -> None:
    if len(words) < 4 or words[0] != _POW_V1:
        raise MalformedDescriptor("pow-params v1 must have a seed, an effort and an expiry")
    decode_base64(words[1], "the seed of pow-params", 32)
    decimal(words[2], "the effort of pow-params", _LARGEST_EFFORT)
    if not _TIME.fullmatch(words[3]):
        raise MalformedDescriptor("the expiry of pow-params must be like 2024-04-11T05:15:37")


def encode_inner(inner: InnerLayer, signing_key: DescriptorSigningKey) -> str:
    """Return the plaintext of ``inner``, the keys of its points certified by ``signing_key``; it is not padded."""
    points = [encode_point(point, signing_key) for point in inner.points]
    return "".join(f"{line}\n" for line in _header(inner)) + "".join(points)


def _header(inner: InnerLayer) -> Iterator[str]:
    yield "create2-formats " + " ".join(map(str, inner.create2_formats))
    if inner.intro_auth_required is not None:
        yield f"intro-auth-required {inner.intro_auth_required}"
    if inner.single_onion_service:
        yield "single-onion-service"
    if inner.flow_control is not None:
        yield f"flow-control {inner.flow_control}"
    if inner.pow_params is not None:
        yield f"{_POW} {inner.pow_params}"
    yield from inner.other_lines


def decode_inner(text: str, signing_public: bytes, now: int | None = None) -> tuple[InnerLayer, tuple[str, ...]]:
    """
    Read the plaintext of an inner layer of a descriptor that is signed with ``signing_public``.

    Return it with the reason for each introduction point that is not in it: one that breaks a rule is left out, as by
    C tor, and so is a legacy one, or with ``now`` (Unix time) one whose certificates have expired.

    :raises MalformedDescriptor: the lines before the points break a rule, or there are more than 20 points.
    """
    starts = [found.start() for found in _POINT_LINE.finditer(text)]
    header = text[: starts[0]] if starts else text
    points: list[IntroductionPoint] = []
    skipped: list[str] = []
    for number, (start, end) in enumerate(pairwise([*starts, len(text)]), 1):
        try:
            points.append(decode_point(text[start:end], signing_public, now))
        except MalformedDescriptor as reason:
            skipped.append(f"introduction point {number}: {reason}")
    if len(points) > MOST_POINTS:
        raise MalformedDescriptor(
            f"a descriptor must have at most {MOST_POINTS} introduction points, not {len(points)}"
        )
    return _decode_header(parse_items(header), tuple(points)), tuple(skipped)


def _decode_header(items: Sequence[Item], points: tuple[IntroductionPoint, ...]) -> InnerLayer:
    if with_keyword(items, START):
        raise MalformedDescriptor(f"{START} must have an argument")
    pow_params = [item for item in items if _is_pow_v1(item)]
    if len(pow_params) > 1:
        raise MalformedDescriptor("pow-params v1 must appear once")
    others = [item for item in items if item not in pow_params]
    return InnerLayer(
        points=points,
        create2_formats=_decode_formats(exactly_one(items, "create2-formats")),
        flow_control=_value(at_most_one(items, "flow-control")),
        single_onion_service=at_most_one(items, "single-onion-service") is not None,
        pow_params=_value(pow_params[0] if pow_params else None),
        intro_auth_required=_value(at_most_one(items, "intro-auth-required")),
        other_lines=unknown_lines(others, _KNOWN),
    )


def _decode_formats(item: Item) -> tuple[int, ...]:
    """Return the formats that are numbers; C tor passes over the others."""
    numbers = [int(word) for word in item.arguments if word.isdigit() and len(word) <= 5]
    return tuple(number for number in numbers if 0 < number <= _LARGEST_FORMAT)


def _value(item: Item | None) -> str | None:
    return None if item is None else " ".join(item.arguments)


def _is_pow_v1(item: Item) -> bool:
    return item.keyword == _POW and item.arguments[:1] == [_POW_V1]
