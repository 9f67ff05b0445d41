"""Tests for L{rustbalance.onion.descriptor}."""

import base64
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st
from stem.descriptor.hidden_service import HiddenServiceDescriptorV3, IntroductionPointV3
from stem.descriptor.hidden_service import InnerLayer as StemInnerLayer
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.onion.client_auth import AuthorizedClients, InvalidClientKey, x25519_public
from rustbalance.onion.descriptor import (
    Descriptor,
    DescriptorTooLarge,
    InnerLayer,
    MalformedDescriptor,
    NoPoints,
    TooManyPoints,
    WrongLayerKey,
    decode,
    decode_outer,
    encode,
)
from rustbalance.onion.inner import encode_inner
from rustbalance.onion.introduction import renewed
from rustbalance.onion.keys import DescriptorSigningKey, subcredential
from rustbalance.onion.layers import ENCRYPTED
from rustbalance.onion.middle import decode_middle
from rustbalance.secrets import Secret, locked_bytes
from tests.locked import locked_before
from tests.onion.descriptors import (
    BLINDED,
    MASTER,
    NOW,
    POW,
    REVISION,
    SIGNING_KEY,
    SUBCREDENTIAL,
    any_inner,
    damaged,
    layers_of,
    middle_around,
    point,
    points,
    random_bytes,
    sealed,
)
from tests.vectors import load

unhex = bytes.fromhex
PLAIN = InnerLayer(points(3), flow_control="1-2 31")
FULL = replace(PLAIN, single_onion_service=True, pow_params=POW, intro_auth_required="ed25519", other_lines=("new x",))


def encoded(inner: InnerLayer, **more: Any) -> bytes:
    """Return the descriptor of the tests' service."""
    wanted: dict[str, Any] = {
        "revision": REVISION,
        "now": NOW,
        "signing_key": SIGNING_KEY,
        "random_bytes": random_bytes(),
    } | more
    return encode(inner, BLINDED, SUBCREDENTIAL, **wanted)


def known(vector: Any) -> bytes:
    """Return the subcredential that belongs to a vector."""
    if "subcredential" in vector:
        return unhex(vector["subcredential"])
    blinded = decode_outer(vector["descriptor"].encode()).blinded_public
    return subcredential(unhex(vector["identity_public"]), blinded)


def read(vector: Any) -> Descriptor:
    """Decode a vector, with its client's key when it has one."""
    client = Secret.copy_of(unhex(vector["client_secret"])) if "client_secret" in vector else None
    return decode(vector["descriptor"].encode(), known(vector), client=client)


class VectorTests(SynchronousTestCase):
    """Descriptors that real Tors made."""

    def test_stem(self) -> None:
        """Stem's test descriptor: two points, and two legacy ones that are left out by name."""
        found = read(vector := load("descriptor_stem"))
        expect = vector["expect"]
        self.assertEqual((found.lifetime_minutes, found.revision), (expect["lifetime"], expect["revision_counter"]))
        self.assertEqual(len(found.inner.points) + len(found.skipped_points), expect["intro_points"])
        self.assertEqual(found.inner.single_onion_service, expect["single_onion"])
        self.assertEqual(found.inner.intro_auth_required, " ".join(expect["intro_auth"]))
        self.assertTrue(all("legacy" in reason for reason in found.skipped_points))
        middle = decode_middle(layers_of(vector["descriptor"].encode(), known(vector))[2])
        self.assertEqual(len(middle.clients), expect["auth_clients"])

    def test_arti(self) -> None:
        """Arti's first test descriptor, made by C tor."""
        found = read(vector := load("descriptor_arti1"))
        expect = vector["expect"]
        self.assertEqual((found.lifetime_minutes, found.revision), (expect["lifetime"], expect["revision_counter"]))
        self.assertEqual(found.blinded_public, unhex(vector["blinded_public"]))
        self.assertEqual(found.signing_certificate_expiry * 3600, expect["signing_cert_expires"])
        self.assertEqual(len(found.inner.points), expect["intro_points"])
        self.assertEqual(found.inner.points[0].onion_key, unhex(expect["first_intro_onion_key"]))
        self.assertEqual(found.skipped_points, ())

    def test_arti_with_restricted_discovery(self) -> None:
        """Arti's second one gives its points to the client it is for, and to nobody else."""
        vector = load("descriptor_arti2_client_auth")
        self.assertEqual(len(read(vector).inner.points), vector["expect"]["intro_points"])
        text = vector["descriptor"].encode()
        with Secret.copy_of(b"x" * 32) as stranger:
            for client in (None, stranger):
                with self.assertRaises(WrongLayerKey):
                    decode(text, known(vector), client=client)

    def test_bad_signature_line(self) -> None:
        """The descriptor that C tor refuses is refused, at the time that its test takes too."""
        vector = load("descriptor_bad_signature_line")
        with self.assertRaises(MalformedDescriptor):
            decode(vector["descriptor"].encode(), bytes(32), now=vector["check_time"])

    def test_live(self) -> None:
        """What tor 0.4.9.11 answers to GETINFO hs/service/desc/id, without and with restricted discovery."""
        for vector in load("live_descriptors")["vectors"]:
            found = read(vector)
            self.assertEqual(found.blinded_public, unhex(vector["blinded_public"]))
            self.assertEqual(found.revision, vector["revision_counter"])
            self.assertEqual(found.signing_certificate_expiry * 3600, vector["signing_cert_expires"])
            self.assertEqual(found.inner.flow_control, "1-2 31")
            for each, expect in zip(found.inner.points, vector["intro_points"], strict=True):
                self.assertEqual(each.link_specifiers, base64.b64decode(expect["link_specifiers"]))
                self.assertEqual(each.onion_key, base64.b64decode(expect["onion_key"]))
                self.assertEqual(each.enc_key, base64.b64decode(expect["enc_key"]))
                self.assertEqual(each.auth_key, unhex(expect["auth_key"]))
                self.assertEqual(each.enc_key_ed25519, unhex(expect["enc_key_cert_key"]))
                self.assertEqual(each.auth_key_expiry * 3600, expect["cert_expires"])
                self.assertEqual(each.enc_key_expiry * 3600, expect["cert_expires"])

    def test_live_with_clock(self) -> None:
        """Certificates count as expired from the second after their end, first of all that of the signing key."""
        vector = load("live_descriptors")["vectors"][0]
        text, expiry = vector["descriptor"].encode(), vector["signing_cert_expires"]
        self.assertEqual(len(decode(text, known(vector), now=expiry - 3600).inner.points), 3)
        self.assertEqual(len(decode(text, known(vector), now=expiry).skipped_points), 3)
        with self.assertRaisesRegex(MalformedDescriptor, "expired"):
            decode(text, known(vector), now=expiry + 1)


class ShapeTests(SynchronousTestCase):
    """A directory cannot tell ours from one that Tor made itself."""

    def test_same_text_as_tor_but_for_keys(self) -> None:
        """Tor's own descriptor and ours with the same points are the same in each layer, once all keys are masked."""
        vector = load("live_descriptors")["vectors"][0]
        tors = vector["descriptor"].encode()
        found = read(vector)
        ours = encoded(found.inner, revision=found.revision, now=vector["signing_cert_expires"] - 54 * 3600 - 1)
        self.assertEqual(len(ours), len(tors))
        for their_layer, our_layer in zip(
            plaintexts(tors, known(vector)), plaintexts(ours, SUBCREDENTIAL), strict=True
        ):
            self.assertEqual(len(our_layer), len(their_layer))
            self.assertEqual(masked(our_layer), masked(their_layer))
        self.assertEqual(len(plaintexts(tors, known(vector))[1]), vector["middle_padded"])

    def test_lifetimes_of_tor(self) -> None:
        """At any time at which Tor can have made the live descriptor ours has the expiries that it has."""
        vector = load("live_descriptors")["vectors"][0]
        found = read(vector)
        made = vector["signing_cert_expires"] - 54 * 3600
        ours = decode(encoded(found.inner, now=made - 1800), SUBCREDENTIAL)
        self.assertEqual(ours.signing_certificate_expiry, found.signing_certificate_expiry)
        self.assertEqual(ours.inner, found.inner)

    def test_size_steps(self) -> None:
        """The sizes of C tor, measured with flow-control and the longest pow-params line and usual relays."""
        for count, middle, total in (
            (1, 2_510, 14_111),
            (3, 4_521, 14_111),
            (6, 7_535, 14_111),
            (8, 9_546, 14_111),
            (10, 11_553, 27_651),
            (14, 15_575, 27_651),
            (18, 19_592, 27_651),
            (20, 21_603, 41_191),
        ):
            text = encoded(InnerLayer(points(count), flow_control="1-2 31", pow_params=POW))
            self.assertEqual(len(text), total, f"{count} points")
            self.assertEqual(len(plaintexts(text, SUBCREDENTIAL)[1].rstrip(b"\0")), middle, f"{count} points")

    def test_every_count(self) -> None:
        """1 to 8 points give the first step, 9 to 18 the second, 19 and 20 the third."""
        sizes = [len(encoded(InnerLayer(points(count), flow_control="1-2 31"))) for count in range(1, 21)]
        self.assertEqual(sizes, [14_111] * 8 + [27_651] * 10 + [41_191] * 2)

    def test_steps_with_ipv6(self) -> None:
        """Relays that have an IPv6 address too take more room: 8 still fit the first step, 16 the second."""
        sizes = [
            len(encoded(InnerLayer(points(count, ipv6=True), flow_control="1-2 31", pow_params=POW)))
            for count in (8, 16, 20)
        ]
        self.assertEqual(sizes, [14_111, 27_651, 41_191])

    def test_fresh_randomness(self) -> None:
        """Salts, ephemeral key and fake clients differ each time, so that two texts cannot be compared."""
        one, other = (plaintexts(encoded(PLAIN, random_bytes=random_bytes(seed)), SUBCREDENTIAL) for seed in (1, 2))
        ours, theirs = (decode_middle(layers[1]) for layers in (one, other))
        self.assertNotEqual(ours.ephemeral_public, theirs.ephemeral_public)
        self.assertEqual(set(ours.clients) & set(theirs.clients), set())
        self.assertNotEqual(ours.encrypted[:16], theirs.encrypted[:16])
        self.assertEqual(len(ours.clients), 16)


def plaintexts(text: bytes, known_: bytes) -> tuple[bytes, bytes, bytes]:
    """Return the three layers of a descriptor, the middle one with its padding."""
    _, cipher, middle = layers_of(text, known_)
    return text, middle, cipher.decrypt(ENCRYPTED, decode_middle(middle).encrypted)


def masked(layer: bytes) -> bytes:
    """Return a text in which each key, id, signature and message is as many dots."""
    encoded_key = rb"(?<![^ \n])(?!(super)?encrypted)[A-Za-z0-9+/]{11,}=*(?=[ \n\0]|$)"
    return re.sub(encoded_key, lambda found: b"." * len(found[0]), layer)


class RoundTripTests(SynchronousTestCase):
    """What goes in comes out."""

    @settings(deadline=None, max_examples=60)
    @given(any_inner(), st.integers(0, 2**64 - 1), st.integers())
    def test_round_trip(self, inner: InnerLayer, revision: int, seed: int) -> None:
        """Every layer that Tor could write is read back as it was."""
        text = encoded(inner, revision=revision, random_bytes=random_bytes(seed), max_size=10**6)
        found = decode(text, SUBCREDENTIAL, now=NOW)
        self.assertEqual((found.inner, found.skipped_points), (inner, ()))
        self.assertEqual((found.revision, found.blinded_public), (revision, BLINDED.public))
        self.assertEqual(found.signing_key, SIGNING_KEY.public)

    def test_certificates_are_renewed(self) -> None:
        """Certificates get the lifetime that a living Tor's would have, by the rule of C{renewed}."""
        inner = InnerLayer((point(1, NOW // 3600 + 52), point(2, NOW // 3600 + 10), point(3, NOW // 3600)))
        found = decode(encoded(inner), SUBCREDENTIAL, now=NOW)
        self.assertEqual(found.inner.points, renewed(inner.points, NOW))
        self.assertEqual([each.auth_key_expiry - NOW // 3600 for each in found.inner.points], [54, 10])

    def test_wrong_subcredential(self) -> None:
        """Without the address nothing inside can be read."""
        with self.assertRaises(WrongLayerKey):
            decode(encoded(PLAIN), bytes(32))


class RefusalTests(SynchronousTestCase):
    """What would be a silent outage is refused loudly."""

    def test_no_points(self) -> None:
        """No point, or none whose certificates still hold."""
        with self.assertRaises(NoPoints):
            encoded(InnerLayer(()))
        with self.assertRaisesRegex(NoPoints, "expired"):
            encoded(InnerLayer((point(1, NOW // 3600),)))

    def test_too_many_points(self) -> None:
        """Twenty are the most that a client takes."""
        encoded(InnerLayer(points(20)))
        with self.assertRaisesRegex(TooManyPoints, "21"):
            encoded(InnerLayer(points(21)))

    def test_too_large(self) -> None:
        """As in Tor the size must be below the maximum, which the consensus may set."""
        encoded(PLAIN, max_size=14_112)
        with self.assertRaisesRegex(DescriptorTooLarge, "14111"):
            encoded(PLAIN, max_size=14_111)

    def test_too_large_by_default(self) -> None:
        """Lines of a later Tor can make it too large for a network of today."""
        with self.assertRaises(DescriptorTooLarge):
            encoded(replace(PLAIN, other_lines=tuple(f"new {'x' * 200}" for _ in range(200))))


class RestrictedTests(SynchronousTestCase):
    """Descriptors for authorized clients only."""

    def clients(self, *private: int) -> AuthorizedClients:
        """Return an authorization of clients that are known by a number."""
        keys = tuple(x25519_public(self.client(number)) for number in private)
        return AuthorizedClients(keys, Secret.copy_of(b"c" * 16), Secret.copy_of(b"e" * 32))

    def client(self, number: int) -> Secret:
        """Return the private key of a client."""
        return Secret.copy_of(bytes([number]) * 32)

    def test_authorized(self) -> None:
        """Each of 20 clients reads it; a stranger and somebody with the address alone do not."""
        text = encoded(FULL, clients=self.clients(*range(20)))
        for number in range(20):
            self.assertEqual(decode(text, SUBCREDENTIAL, client=self.client(number)).inner, FULL)
        for stranger in (None, self.client(99)):
            with self.assertRaises(WrongLayerKey):
                decode(text, SUBCREDENTIAL, client=stranger)

    def test_same_shape(self) -> None:
        """With up to 16 clients the text is as long as one that anybody may read."""
        self.assertEqual(len(encoded(PLAIN, clients=self.clients(1, 2, 3))), len(encoded(PLAIN)))

    def test_client_key_does_no_harm(self) -> None:
        """A client's key is no hindrance where anybody may read."""
        self.assertEqual(decode(encoded(PLAIN), SUBCREDENTIAL, client=self.client(1)).inner, PLAIN)

    def test_most_clients(self) -> None:
        """With 20 points 128 clients fit, and more are refused before a directory would."""
        most = InnerLayer(points(20), flow_control="1-2 31")
        self.assertLess(len(encoded(most, clients=self.clients(*range(128)))), 50_000)
        with self.assertRaises(DescriptorTooLarge):
            encoded(most, clients=self.clients(*range(250)))

    def test_useless_key(self) -> None:
        """A key with which anybody could read the cookie is refused."""
        with self.assertRaises(InvalidClientKey):
            encoded(PLAIN, clients=AuthorizedClients((bytes(32),), Secret.random(16), Secret.random(32)))

    def test_cookie_is_wiped(self) -> None:
        """The cookie found while reading does not stay."""
        text, client = encoded(PLAIN, clients=self.clients(1)), self.client(1)
        before = locked_before()
        decode(text, SUBCREDENTIAL, client=client)
        self.assertEqual(locked_bytes(), before)


class IndependentDecoderTests(SynchronousTestCase):
    """Stem, which shares no code with us, reads what we write."""

    def setUp(self) -> None:
        """Encode a descriptor with everything in it, and let stem decode all layers."""
        self.descriptor = HiddenServiceDescriptorV3.from_str(encoded(FULL).decode(), validate=True)
        self.inner = self.descriptor.decrypt(MASTER.address.text)

    def test_outer_layer(self) -> None:
        """Stem checks the signature, and finds lifetime, counter, and the key that the blinded key vouches for."""
        self.assertEqual((self.descriptor.version, self.descriptor.lifetime), (3, 180))
        self.assertEqual(self.descriptor.revision_counter, REVISION)
        self.assertEqual(self.descriptor.signing_cert.key, SIGNING_KEY.public)
        self.assertEqual(self.descriptor.signing_cert.signing_key(), BLINDED.public)
        self.assertEqual(self.descriptor.signing_cert.type, "HS_V3_DESC_SIGNING")
        self.check(self.descriptor.signing_cert, -(-NOW // 3600) + 54)

    def test_middle_layer(self) -> None:
        """Stem finds the ephemeral key and 16 clients."""
        outer = self.inner.outer
        self.assertEqual((outer.auth_type, len(outer.clients)), ("x25519", 16))
        self.assertEqual(len(base64.b64decode(outer.ephemeral_key)), 32)

    def test_inner_layer(self) -> None:
        """Stem finds the lines and all points with their relays, keys and certificates."""
        self.assertEqual((self.inner.formats, self.inner.intro_auth), ([2], ["ed25519"]))
        self.assertTrue(self.inner.is_single_service)
        self.assertEqual(self.inner.get_unrecognized_lines(), ["flow-control 1-2 31", f"pow-params {POW}", "new x"])
        for theirs, ours in zip(self.inner.introduction_points, FULL.points, strict=True):
            packed = b"".join(specifier.pack() for specifier in theirs.link_specifiers)
            self.assertEqual(bytes([len(theirs.link_specifiers)]) + packed, ours.link_specifiers)
            self.assertEqual(theirs.onion_key().public_bytes_raw(), ours.onion_key)
            self.assertEqual(theirs.enc_key().public_bytes_raw(), ours.enc_key)
            self.assertEqual(theirs.auth_key_cert.key, ours.auth_key)
            self.assertEqual(theirs.enc_key_cert.key, ours.enc_key_ed25519)
            self.assertEqual((theirs.auth_key_cert.type_int, theirs.enc_key_cert.type_int), (9, 11))
            for certificate in (theirs.auth_key_cert, theirs.enc_key_cert):
                self.assertEqual(certificate.signing_key(), SIGNING_KEY.public)
                self.check(certificate, NOW // 3600 + 54)

    def check(self, certificate: Any, expiry: int) -> None:
        """See that a certificate as stem found it is signed as it says, and ends when it should."""
        self.assertEqual(certificate.expiration, datetime.fromtimestamp(expiry * 3600, UTC).replace(tzinfo=None))
        raw = base64.b64decode(certificate.encoded)
        Ed25519PublicKey.from_public_bytes(certificate.signing_key()).verify(raw[-64:], raw[:-64])

    def test_we_read_stems(self) -> None:
        """A descriptor that stem made, with its own blinding, is read with all its points."""
        identity, signing = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
        theirs = [
            IntroductionPointV3.create_for_link_specifiers(
                self.inner.introduction_points[0].link_specifiers, signing_key=signing
            )
            for _ in range(2)
        ]
        text = HiddenServiceDescriptorV3.content(
            identity_key=identity,
            signing_key=signing,
            inner_layer=StemInnerLayer.create(introduction_points=theirs),
            blinding_nonce=b"n" * 32,
        )
        found = decode(text, subcredential(identity.public_key().public_bytes_raw(), decode_outer(text).blinded_public))
        self.assertEqual([each.auth_key for each in found.inner.points], [each.auth_key_cert.key for each in theirs])


class HostileTests(SynchronousTestCase):
    """No bytes do anything but parse or raise the one error."""

    @settings(deadline=None)
    @given(st.binary(max_size=2000))
    def test_any_bytes(self, text: bytes) -> None:
        """Noise is refused."""
        with self.assertRaises(MalformedDescriptor):
            decode(text, SUBCREDENTIAL)

    @settings(deadline=None, max_examples=300)
    @given(st.sampled_from(["descriptor_arti1", "descriptor_stem", "descriptor_arti2_client_auth"]), st.data())
    def test_damaged_real_descriptors(self, name: str, data: st.DataObject) -> None:
        """A real descriptor, cut and changed anywhere, is refused or is what it was."""
        vector = load(name)
        text = data.draw(damaged(vector["descriptor"].encode()))
        try:
            found = read(
                {**vector, "descriptor": text.decode("ascii", "replace"), "subcredential": known(vector).hex()}
            )
        except MalformedDescriptor:
            return
        self.assertEqual(found, read(vector))

    @settings(deadline=None, max_examples=300)
    @given(damaged(encode_inner(FULL, SIGNING_KEY).encode()) | st.binary(max_size=200))
    def test_hostile_inner_layer(self, plaintext: bytes) -> None:
        """A descriptor signed as it should be may hold anything inside; so may one that a node sends us."""
        try:
            found = decode(sealed(inner=plaintext), SUBCREDENTIAL)
        except MalformedDescriptor:
            return
        self.assertLessEqual({each.auth_key for each in found.inner.points}, {each.auth_key for each in FULL.points})
        again = decode(sealed(inner=encode_inner(found.inner, SIGNING_KEY).encode()), SUBCREDENTIAL)
        self.assertEqual(again.inner, found.inner)

    @settings(deadline=None, max_examples=300)
    @given(damaged(middle_around(encode_inner(FULL, SIGNING_KEY).encode())) | st.binary(max_size=200), st.booleans())
    def test_hostile_middle_layer(self, plaintext: bytes, with_client: bool) -> None:
        """The same for the middle layer, also when a client looks for its line in it."""
        client = Secret.copy_of(b"x" * 32) if with_client else None
        try:
            found = decode(sealed(middle=plaintext), SUBCREDENTIAL, client=client)
        except MalformedDescriptor:
            return
        self.assertEqual(found.inner, FULL)

    def test_every_truncation(self) -> None:
        """A real descriptor that was cut is never taken for whole."""
        vector = load("descriptor_arti1")
        text = vector["descriptor"].encode()
        for end in range(0, len(text) - 1, 97):
            with self.assertRaises(MalformedDescriptor):
                decode(text[:end], known(vector))


class SigningKeyTests(SynchronousTestCase):
    """Each descriptor has a signing key of its own."""

    def test_any_signing_key(self) -> None:
        """The key that is handed in is the one that signs, and the points are certified by it."""
        with Secret.copy_of(b"o" * 32) as seed:
            other = DescriptorSigningKey(seed)
        found = decode(encoded(PLAIN, signing_key=other), SUBCREDENTIAL, now=NOW)
        self.assertEqual((found.signing_key, found.inner), (other.public, PLAIN))
