"""
How long a publish takes to build and sign both descriptors of a service with 20 introduction points.

Beside it, in the same run, Onionbalance's way: stem's builder, each point certified anew by a new signing key, key
blinding in pure Python, and the revision counter word by word. Both sides start from the introduction points and the
identity key, and end with the text. Targets: under 8 ms, and at least 8 times as fast.

A revision counter takes longer the later it is in the day; noon is taken, when it takes what it does on average. The
two parts are shown apart too. What is left of ours is mostly 84 ed25519 signatures in C, which both sides make.
"""

import base64
import gc
import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from statistics import median
from time import perf_counter
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from stem.client.datatype import CertType, LinkSpecifier, Size
from stem.descriptor.certificate import Ed25519CertificateV1, Ed25519Extension, ExtensionType
from stem.descriptor.hidden_service import HiddenServiceDescriptorV3, IntroductionPointV3
from stem.descriptor.hidden_service import InnerLayer as StemInnerLayer

from rustbalance.onion.certificate import introduction_certificate_expiry
from rustbalance.onion.descriptor import InnerLayer, IntroductionPoint, decode, encode
from rustbalance.onion.keys import DescriptorSigningKey, MasterKey, blinding_parameter, subcredential
from rustbalance.onion.merge import Offer, merge
from rustbalance.onion.periods import TimePeriod
from rustbalance.onion.revision import revision_counter
from rustbalance.secrets import Secret

POINTS = 20
ROUNDS = 40
TARGET_MS = 8.0
TARGET_RATIO = 8.0
PERIODS = (TimePeriod(20_000, 1440), TimePeriod(20_001, 1440))
SECONDS = (36 * 3600, 12 * 3600)
"""Into the shared random run of the first and of the second descriptor, at noon UTC."""
FIXED_REVISION = 2_000_000_000


def make_point(now: int) -> IntroductionPoint:
    """Return a point on a made-up relay with an IPv4 address: 65 bytes of link specifiers, as usual."""
    expiry = introduction_certificate_expiry(now)
    specifiers = b"\x03" + b"\x00\x06" + os.urandom(6) + b"\x02\x14" + os.urandom(20) + b"\x03\x20" + os.urandom(32)
    return IntroductionPoint(
        link_specifiers=specifiers,
        onion_key=os.urandom(32),
        auth_key=os.urandom(32),
        auth_key_expiry=expiry,
        enc_key=os.urandom(32),
        enc_key_ed25519=os.urandom(32),
        enc_key_expiry=expiry,
    )


class Ours:
    """Blind, make a signing key, merge, encode: all that a publish does for its two descriptors."""

    def __init__(self, seed: bytes, points: list[IntroductionPoint], now: int) -> None:
        self.master = MasterKey.from_seed(Secret.copy_of(seed))
        self.offers = [
            Offer(f"node-{number}", InnerLayer(tuple(points[number::4]), flow_control="1-2 31")) for number in range(4)
        ]
        self.now = now

    def build(self, counters: bool = True) -> list[bytes]:
        return [self._one(period, seconds * counters) for period, seconds in zip(PERIODS, SECONDS, strict=True)]

    def _one(self, period: TimePeriod, seconds: int) -> bytes:
        merged = merge(self.offers, limit=POINTS, random_bytes=os.urandom)
        blinded = self.master.blind(period)
        with Secret.random(32) as seed:
            signing_key = DescriptorSigningKey(seed)
        text = encode(
            merged.inner,
            blinded,
            subcredential(self.master.public, blinded.public),
            revision=revision_counter(blinded.revision_key(), seconds) if seconds else FIXED_REVISION,
            now=self.now,
            signing_key=signing_key,
            random_bytes=os.urandom,
        )
        signing_key.wipe()
        blinded.wipe()
        return text


class Onionbalance:
    """The same with stem, as Onionbalance drives it: certificates made anew one by one, keys blinded in Python."""

    def __init__(self, seed: bytes, points: list[IntroductionPoint], now: int) -> None:
        self.identity_key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self.identity_key.public_key().public_bytes_raw()
        self.expiration = datetime.fromtimestamp(now, UTC).replace(tzinfo=None) + timedelta(hours=54)
        self.points = points

    def build(self, counters: bool = True) -> list[bytes]:
        return [self._one(period, seconds * counters) for period, seconds in zip(PERIODS, SECONDS, strict=True)]

    def _one(self, period: TimePeriod, seconds: int) -> bytes:
        signing_key = Ed25519PrivateKey.generate()
        built: Any = HiddenServiceDescriptorV3.create(
            blinding_nonce=blinding_parameter(self.public, period),
            identity_key=self.identity_key,
            signing_key=signing_key,
            inner_layer=StemInnerLayer.create(
                introduction_points=[self._certified(point, signing_key) for point in self.points]
            ),
            revision_counter=self._counter(seconds) if seconds else FIXED_REVISION,
        )
        return str(built).encode("ascii")

    def _counter(self, seconds: int) -> int:
        key = hashlib.sha3_256(b"rev-counter-generation" + self.identity_key.private_bytes_raw()).digest()
        return sum(word for word, _ in zip(_words(key), range(seconds), strict=False))

    def _certified(self, point: IntroductionPoint, signing_key: Ed25519PrivateKey) -> IntroductionPointV3:
        return IntroductionPointV3(
            _specifiers(point.link_specifiers),
            base64.b64encode(point.onion_key).decode(),
            self._certificate(CertType.HS_V3_INTRO_AUTH, point.auth_key, signing_key),
            base64.b64encode(point.enc_key).decode(),
            self._certificate(CertType.HS_V3_NTOR_ENC, point.enc_key_ed25519, signing_key),
            None,
            None,
        )

    def _certificate(self, kind: CertType, key: bytes, signing_key: Ed25519PrivateKey) -> Ed25519CertificateV1:
        extension = Ed25519Extension(ExtensionType.HAS_SIGNING_KEY, None, signing_key.public_key().public_bytes_raw())
        return Ed25519CertificateV1(kind, self.expiration, 1, key, [extension], signing_key=signing_key)


def _words(key: bytes) -> Iterator[int]:
    """Yield the words of the order-preserving scheme, each drawn by itself."""
    encryptor = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()
    while True:
        drawn = encryptor.update(b"\0\0")
        yield drawn[0] + 256 * drawn[1] + 1


def _specifiers(block: bytes) -> list[LinkSpecifier]:
    count, rest = Size.CHAR.pop(block)
    found = []
    for _ in range(count):
        specifier, rest = LinkSpecifier.pop(rest)
        found.append(specifier)
    return found


def milliseconds(work: Callable[[], object]) -> float:
    start = perf_counter()
    work()
    return (perf_counter() - start) * 1000


def measured(ours: Ours, theirs: Onionbalance, counters: bool) -> tuple[float, float]:
    """Return the medians; measured in turn, so that a busy machine disturbs both alike."""
    rounds = [
        (milliseconds(lambda: ours.build(counters)), milliseconds(lambda: theirs.build(counters)))
        for _ in range(ROUNDS)
    ]
    return median(times for times, _ in rounds), median(times for _, times in rounds)


def check(ours: Ours, theirs: Onionbalance) -> None:
    """Both ways must have built descriptors with all the points, or the comparison means nothing."""
    for built in (ours.build(), theirs.build()):
        for text in built:
            address = ours.master.address.text
            if len(HiddenServiceDescriptorV3.from_str(text.decode()).decrypt(address).introduction_points) != POINTS:
                raise SystemExit("a descriptor lacks introduction points")
    blinded = ours.master.blind(PERIODS[0])
    found = decode(ours.build()[0], subcredential(ours.master.public, blinded.public), now=ours.now)
    if len(found.inner.points) != POINTS:
        raise SystemExit("a descriptor of ours lacks introduction points")


def main() -> int:
    """Return 1 when a target is missed."""
    seed, now = os.urandom(32), 1_800_000_000
    points = [make_point(now) for _ in range(POINTS)]
    ours, theirs = Ours(seed, points, now), Onionbalance(seed, points, now)
    check(ours, theirs)
    gc.collect()
    gc.freeze()  # as the daemon does: what imports left behind is not traversed again
    builder = measured(ours, theirs, counters=False)
    whole = measured(ours, theirs, counters=True)
    print(f"both descriptors, {POINTS} introduction points, median of {ROUNDS} rounds:")
    print("                         rustbalance   Onionbalance's way   ratio")
    for name, (mine, other) in (("builder alone", builder), ("with revision counters", whole)):
        print(f"  {name:<23}{mine:8.2f} ms {other:14.2f} ms {other / mine:12.1f}")
    print(f"targets: under {TARGET_MS:g} ms, ratio at least {TARGET_RATIO:g} (with revision counters)")
    return 0 if whole[0] < TARGET_MS and whole[1] / whole[0] >= TARGET_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
