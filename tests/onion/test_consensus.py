"""Tests for L{rustbalance.onion.consensus}."""

from base64 import b64decode

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.onion.consensus import (
    Consensus,
    MalformedConsensus,
    Relay,
    parse_consensus,
    parse_microdescriptors,
)
from rustbalance.onion.plan import NoDirectories, plan_publication
from tests.vectors import load

TEXT: bytes = load("live_consensus")["consensus"].encode()
MICRODESCRIPTORS: bytes = load("live_consensus")["md_all"].encode()
IDENTITY = bytes.fromhex(load("live_hsdirs")["identity_public"])
FIRST_PROTOCOLS = TEXT[TEXT.index(b"\npr ") + 1 : TEXT.index(b"\n", TEXT.index(b"\npr ") + 1)]


def replaced(old: bytes, new: bytes) -> Consensus:
    """Parse the live consensus with the first C{old} replaced, which must be there."""
    assert old in TEXT, old
    return parse_consensus(TEXT.replace(old, new, 1))


class Mutations:
    """Strategies for texts that are almost right."""

    @staticmethod
    def of(text: bytes) -> st.SearchStrategy[bytes]:
        """Return texts in which a piece was replaced by something else: other bytes, nothing, or another piece."""
        places = st.integers(0, len(text))
        pieces = st.tuples(places, st.integers(0, 80)).map(lambda at: text[at[0] : at[0] + at[1]])
        new = st.one_of(
            st.binary(max_size=12), st.sampled_from([b"", b"\n", b"\nr ", b"9" * 5000, b"onion-key"]), pieces
        )
        return st.builds(
            lambda start, length, piece: text[:start] + piece + text[start + length :], places, st.integers(0, 80), new
        )


class ConsensusTests(SynchronousTestCase):
    """A consensus as Tor hands it out."""

    def test_live(self) -> None:
        """Times, shared random values and all relays of a consensus of tor 0.4.9.11."""
        found = parse_consensus(TEXT)
        self.assertEqual(
            (found.valid_after, found.fresh_until, found.valid_until), (1795404580, 1795404600, 1795404620)
        )
        self.assertEqual(found.voting_interval, 20)
        self.assertEqual(found.params, {})
        self.assertEqual(found.previous_srv, b64decode("Uqgo0cS4vxSwrRS2X0ei/dfSivjRO33G4wpr39fS194="))
        self.assertEqual(found.current_srv, b64decode("31TQd209UXNO7vUXkTuQ1XOlHWiq3EvBKEQELbdCdtY="))
        self.assertEqual({relay.fingerprint for relay in found.relays}, set(load("live_consensus")["hsdirs"]))
        expected = Relay(
            "04DED695D6671EE7DE6BE26AA11EC87A31AC5EC3", "a1", "DA0KoUJPcFPNRk+Yg7ZgXfeFJ2Ao7B4/po+XP0WnLMs"
        )
        self.assertEqual(found.relays[0], expected)

    def test_params(self) -> None:
        """Parameters are read with their sign; whether they are in range is not decided here."""
        found = replaced(b"dir-source", b"params hsdir_interval=60 circwindow=-3\ndir-source")
        self.assertEqual(found.params, {"hsdir_interval": 60, "circwindow": -3})

    def test_no_shared_random(self) -> None:
        """A network has no shared random values in its first days; each may be missing by itself."""
        start = TEXT.index(b"shared-rand-previous-value")
        end = TEXT.index(b"shared-rand-current-value")
        self.assertIsNone(parse_consensus(TEXT[:start] + TEXT[end:]).previous_srv)
        self.assertIsNotNone(parse_consensus(TEXT[:start] + TEXT[end:]).current_srv)

    def test_only_directories_are_kept(self) -> None:
        """A relay without the flag or without HSDir=2 is none, however it spells its versions."""
        whole = len(parse_consensus(TEXT).relays)
        for old, new, lost in (
            (b"Guard HSDir Running", b"Guard Running", 1),
            (b"Guard HSDir Running", b"Guard NoHSDir HSDirX", 1),
            (FIRST_PROTOCOLS, b"pr Relay=2-4", 1),
            (FIRST_PROTOCOLS, b"pr NotHSDir=2", 1),
            (FIRST_PROTOCOLS + b"\n", b"", 1),
            (b" HSDir=2 HSIntro=4-5 HSRend=1-2", b" HSDir=1 HSIntro=4-5 HSRend=1-2", 1),
            (b" HSDir=2 HSIntro=4-5 HSRend=1-2", b" HSDir=3-5 HSIntro=4-5 HSRend=1-2", 1),
            (b" HSDir=2 HSIntro=4-5 HSRend=1-2", b" HSDir=1,3-4,2", 0),
            (b" HSDir=2 HSIntro=4-5 HSRend=1-2", b" HSDir=1-3", 0),
            (FIRST_PROTOCOLS, b"pr HSDir=2", 0),
        ):
            self.assertEqual(len(replaced(old, new).relays), whole - lost, new)

    def test_lines_in_any_order(self) -> None:
        """After its first line a relay's lines may stand in any order, with unknown ones between."""
        start = TEXT.index(b"\nm ") + 1
        end = TEXT.index(b"\nw ", start)
        lines = TEXT[start:end].split(b"\n")
        turned = TEXT[:start] + b"\n".join([b"x new", *reversed(lines), b"race 1"]) + TEXT[end:]
        self.assertEqual(parse_consensus(turned), parse_consensus(TEXT))

    def test_no_relays(self) -> None:
        """A consensus without relays is one all the same."""
        text = TEXT[: TEXT.index(b"\nr ")] + TEXT[TEXT.index(b"\ndirectory-footer") :]
        self.assertEqual(parse_consensus(text).relays, ())

    def test_refused(self) -> None:
        """Each broken rule is named."""
        for old, new, reason in (
            (b"version 3 microdesc", b"version 3", "first line"),
            (b"valid-after", b"valid-aftr", "valid-after"),
            (b"valid-after 2026-11", b"valid-after 2026-13", "calendar"),
            (b"valid-after 2026", b"valid-after 1970", "2000"),
            (b"valid-after 2026", b"valid-after 2027", "follow"),
            (b"fresh-until 2026-11-23 03:30:00", b"fresh-until 2026-11-23 03:29:40", "follow"),
            (b"valid-until 2026", b"valid-until 2025", "follow"),
            (b"dir-source", b"params hsdir_interval\ndir-source", "params"),
            (b"dir-source", b"params a=" + b"1" * 5000 + b"\ndir-source", "params"),
            (b"previous-value 3 Uqgo", b"previous-value 3 Uqg", "shared-rand-previous-value"),
            (b"\nr a1 BN7W", b"\nr a1 BN7", "r and m lines"),
            (b"\nm DA0K", b"\nm DA0", "r and m lines"),
            (b"\nm DA0K", b"\nm DA0KX", "r and m lines"),
            (b"\nm DA0K", b"\nx DA0K", "r and m lines"),
        ):
            with self.assertRaises(MalformedConsensus, msg=new) as caught:
                replaced(old, new)
            self.assertIn(reason, str(caught.exception))

    def test_interval_that_no_network_has(self) -> None:
        """A voting interval of a thousand years would put periods before the epoch."""
        text = TEXT.replace(b"fresh-until 2026", b"fresh-until 2998").replace(b"valid-until 2026", b"valid-until 2999")
        self.assertRaisesRegex(MalformedConsensus, "voting interval", parse_consensus, text)

    def test_cut_short(self) -> None:
        """A text whose end is missing is noticed, wherever it was cut."""
        footer = TEXT.index(b"directory-footer")
        for length in range(0, footer + 1, 97):
            self.assertRaises(MalformedConsensus, parse_consensus, TEXT[:length])

    @settings(deadline=None, max_examples=400)
    @given(st.one_of(Mutations.of(TEXT), st.binary(max_size=200)))
    def test_any_bytes(self, text: bytes) -> None:
        """Any bytes parse or raise the one error, and what parses can be planned with."""
        try:
            consensus = parse_consensus(text)
        except MalformedConsensus:
            return
        identities = parse_microdescriptors(MICRODESCRIPTORS)
        for testing in (False, True):
            try:
                plan = plan_publication(consensus, identities, IDENTITY, testing=testing)
            except NoDirectories:
                continue
            self.assertGreater(len(plan.first.directories), 0)


class MicrodescriptorTests(SynchronousTestCase):
    """The list of all microdescriptors that Tor has."""

    def test_live(self) -> None:
        """Every relay of the consensus has its identity, the last one too, whose newline the control protocol took."""
        self.assertFalse(MICRODESCRIPTORS.endswith(b"\n"))
        identities = parse_microdescriptors(MICRODESCRIPTORS)
        found = {relay.fingerprint: identities[relay.microdescriptor].hex() for relay in parse_consensus(TEXT).relays}
        self.assertEqual(found, load("live_consensus")["hsdirs"])

    def test_newline_in_place(self) -> None:
        """A source that leaves the last newline where it is gives the same."""
        self.assertEqual(parse_microdescriptors(MICRODESCRIPTORS + b"\n"), parse_microdescriptors(MICRODESCRIPTORS))

    def test_nothing_yet(self) -> None:
        """A Tor that has just started has none."""
        self.assertEqual(parse_microdescriptors(b""), {})

    def test_without_old_onion_key(self) -> None:
        """A relay without the TAP key still has the line onion-key, with nothing behind it (Desc=3)."""
        text = b"onion-key\nntor-onion-key A\nid ed25519 " + b"A" * 43 + b"\n"
        self.assertEqual(list(parse_microdescriptors(text * 2).values()), [bytes(32)])

    def test_without_identity(self) -> None:
        """A relay without ed25519 identity is left out, the others stay."""
        text = b"onion-key\nntor-onion-key A\nid rsa1024 B\n" + MICRODESCRIPTORS
        self.assertEqual(parse_microdescriptors(text), parse_microdescriptors(MICRODESCRIPTORS))

    def test_refused(self) -> None:
        """Text that begins with something else, and identities that are none."""
        self.assertRaisesRegex(MalformedConsensus, "onion-key", parse_microdescriptors, b"\n" + MICRODESCRIPTORS)
        for length in (0, 42, 44):
            text = b"onion-key\nid ed25519 " + b"A" * length + b"\n"
            self.assertRaisesRegex(MalformedConsensus, "32 bytes", parse_microdescriptors, text)

    @settings(deadline=None, max_examples=300)
    @given(st.one_of(Mutations.of(MICRODESCRIPTORS), st.binary(max_size=200)))
    def test_any_bytes(self, text: bytes) -> None:
        """Any bytes parse or raise the one error, and every identity is one."""
        try:
            identities = parse_microdescriptors(text)
        except MalformedConsensus:
            return
        self.assertEqual({len(identity) for identity in identities.values()} - {32}, set())
        self.assertEqual({len(digest) for digest in identities} - {43}, set())
