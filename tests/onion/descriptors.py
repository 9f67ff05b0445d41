"""
What the tests of descriptors share: a service, introduction points, and ways to damage a text.

The keys are fixed, so that a failure repeats; nothing here is a copy of what the code under test does.
"""

import base64
from collections.abc import Callable
from random import Random

from hypothesis import strategies as st

from rustbalance.onion.descriptor import InnerLayer, IntroductionPoint
from rustbalance.onion.keys import DescriptorSigningKey, MasterKey, subcredential
from rustbalance.onion.layers import ENCRYPTED, SUPERENCRYPTED, LayerCipher
from rustbalance.onion.outer import OuterLayer, decode_outer, encode_outer
from rustbalance.onion.periods import TimePeriod
from rustbalance.secrets import Secret

NOW = 1_800_000_000 + 1_234
FRESH = NOW // 3600 + 54
PERIOD = TimePeriod(20_833, 1440)
REVISION = 2_345_678_901
#: The longest pow-params line there can be.
POW = "v1 FE6QHfCEGDOm6FkhkISbRBLzB9FWXy8TeypbwhoxCSo= 4294967295 2024-04-11T05:15:37"

MASTER = MasterKey.from_seed(Secret.copy_of(b"m" * 32))
BLINDED = MASTER.blind(PERIOD)
SUBCREDENTIAL = subcredential(MASTER.public, BLINDED.public)
SIGNING_KEY = DescriptorSigningKey(Secret.copy_of(b"s" * 32))
CIPHER = LayerCipher(BLINDED.public, SUBCREDENTIAL, REVISION)


def random_bytes(seed: int = 0) -> Callable[[int], bytes]:
    """Return a source of bytes that gives the same ones each time."""
    return Random(seed).randbytes


def specifiers(relay: bytes, *, ipv6: bool = False) -> bytes:
    """Return the block that names a relay: 65 bytes as usual, 85 with an IPv6 address."""
    addresses = [b"\x00\x06" + relay[:6]] + ([b"\x01\x12" + relay[:18]] if ipv6 else [])
    block = [*addresses, b"\x02\x14" + relay[:20], b"\x03\x20" + relay]
    return bytes([len(block)]) + b"".join(block)


def point(number: int, expiry: int = FRESH, *, ipv6: bool = False) -> IntroductionPoint:
    """Return a point that differs in each key from those of other numbers."""
    keys = random_bytes(number)
    return IntroductionPoint(
        link_specifiers=specifiers(keys(32), ipv6=ipv6),
        onion_key=keys(32),
        auth_key=keys(32),
        auth_key_expiry=expiry,
        enc_key=keys(32),
        enc_key_ed25519=keys(32),
        enc_key_expiry=expiry,
    )


def points(count: int, *, ipv6: bool = False) -> tuple[IntroductionPoint, ...]:
    """Return so many different points."""
    return tuple(point(number, ipv6=ipv6) for number in range(count))


def sealed(*, inner: bytes | None = None, middle: bytes | None = None) -> bytes:
    """Return a descriptor with the right keys and signature around a plaintext of the test's making."""
    if middle is None:
        middle = middle_around(inner or b"")
    return encode_outer(
        CIPHER.encrypt(SUPERENCRYPTED, middle, b"2" * 16), BLINDED, SIGNING_KEY, revision=REVISION, now=NOW
    )


def middle_around(inner: bytes) -> bytes:
    """Return the plaintext of a middle layer, written out by hand."""
    encrypted = CIPHER.encrypt(ENCRYPTED, inner, b"1" * 16)
    lines = [
        "desc-auth-type x25519",
        f"desc-auth-ephemeral-key {'A' * 43}=",
        f"auth-client {'A' * 11} {'A' * 22} {'A' * 22}",
        "encrypted",
        "-----BEGIN MESSAGE-----",
        base64.b64encode(encrypted).decode(),
        "-----END MESSAGE-----",
    ]
    return "\n".join(lines).encode()


def layers_of(text: bytes, subcredential_: bytes) -> tuple[OuterLayer, LayerCipher, bytes]:
    """Return the outer layer of a descriptor, its cipher, and the padded plaintext of its middle layer."""
    outer = decode_outer(text)
    cipher = LayerCipher(outer.blinded_public, subcredential_, outer.revision)
    return outer, cipher, cipher.decrypt(SUPERENCRYPTED, outer.superencrypted)


@st.composite
def damaged(draw: st.DrawFn, text: bytes) -> bytes:
    """Cut, repeat, overwrite or insert somewhere in a text, a few times over."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 200)) | st.just(len(text)))
        piece = draw(
            st.sampled_from([b"", b"\n", b" ", b"=", b"\0", b"-----", b"introduction-point ", b"legacy-key\n"])
        )
        piece = draw(st.just(piece) | st.binary(max_size=8) | st.just(text[start:end] * 2))
        text = text[:start] + piece + text[end:]
    return text


def keys() -> st.SearchStrategy[bytes]:
    """Return a strategy for keys: certificates carry any 32 bytes."""
    return st.binary(min_size=32, max_size=32)


def expiries() -> st.SearchStrategy[int]:
    """Return a strategy for hours that a living Tor's certificates cannot have, so that they are kept as they are."""
    return st.integers(NOW // 3600 + 1, FRESH - 4) | st.just(FRESH)


@st.composite
def any_point(draw: st.DrawFn) -> IntroductionPoint:
    """Draw an introduction point that Tor could write."""
    return IntroductionPoint(
        link_specifiers=specifiers(draw(keys()), ipv6=draw(st.booleans())),
        onion_key=draw(keys()),
        auth_key=draw(keys()),
        auth_key_expiry=draw(expiries()),
        enc_key=draw(keys()),
        enc_key_ed25519=draw(keys()),
        enc_key_expiry=draw(expiries()),
        other_lines=tuple(draw(st.lists(additional_lines(), max_size=2))),
    )


def additional_lines() -> st.SearchStrategy[str]:
    """Return a strategy for lines of a later Tor, with and without an object."""
    bare = st.from_regex(r"\Anew-[a-z0-9]{1,8}( [!-~]{1,10}){0,3}\Z")
    return bare | bare.map(lambda line: f"{line}\n-----BEGIN NEW THING-----\nAAAA\n-----END NEW THING-----")


def words(first: str) -> st.SearchStrategy[str]:
    """Return a strategy for arguments that begin with a given text."""
    return st.lists(st.from_regex(r"\A[!-~]{1,10}\Z"), max_size=2).map(lambda more: " ".join([first, *more]))


@st.composite
def any_inner(draw: st.DrawFn, most: int = 20) -> InnerLayer:
    """Draw an inner layer that Tor could write."""
    return InnerLayer(
        points=tuple(draw(st.lists(any_point(), min_size=1, max_size=most))),
        create2_formats=tuple(draw(st.sampled_from([[2], [2, 3], [1, 2, 65535]]))),
        flow_control=draw(st.none() | words("1-2 31") | st.just("1 254")),
        single_onion_service=draw(st.booleans()),
        pow_params=draw(st.none() | words(POW)),
        intro_auth_required=draw(st.none() | words("ed25519")),
        other_lines=tuple(draw(st.lists(additional_lines() | st.just("pow-params v2 x"), max_size=2))),
    )
