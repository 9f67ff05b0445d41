"""Tests for L{rustbalance.tor.events}; the lines are tor 0.4.9.11's."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.onion.address import OnionAddress
from rustbalance.tor.events import (
    BootstrapProgress,
    ClockJumped,
    ClockSkewed,
    ConsensusArrived,
    DescriptorCreated,
    DescriptorFetched,
    DescriptorFetchFailed,
    DescriptorUploaded,
    DescriptorUploadFailed,
    DirectoryStreamEnded,
    IntroductionCircuit,
    ServicesReconfigured,
    UploadBegan,
    parse_bootstrap,
    parse_event,
)

ADDRESS = OnionAddress(bytes(range(32)))
NAME = ADDRESS.label
RELAY = "9CDF31AFC85FDD66E9D0A2A4E1F24CD5B6A0CB45"
BLINDED = "Nb+eVpbPYVBRCW6i1jNFaiGkRXNbHfJTaTgYVtTBMtw"


class ParseEventTests(SynchronousTestCase):
    """L{parse_event} turns what Tor says into values."""

    def test_descriptors(self) -> None:
        """A descriptor is made, stored by a directory, or refused by one."""
        self.assertEqual(
            parse_event(f"HS_DESC CREATED {NAME} UNKNOWN UNKNOWN {BLINDED} REPLICA=0"), DescriptorCreated(ADDRESS)
        )
        self.assertEqual(
            parse_event(f"HS_DESC UPLOADED {NAME} UNKNOWN ${RELAY}~r3"), DescriptorUploaded(ADDRESS, RELAY)
        )
        self.assertEqual(
            parse_event(f"HS_DESC FAILED {NAME} NO_AUTH ${RELAY}~r3 {BLINDED} REASON=UPLOAD_REJECTED"),
            DescriptorUploadFailed(ADDRESS, RELAY, BLINDED, "UPLOAD_REJECTED"),
        )

    def test_key_of_a_failed_upload(self) -> None:
        """The blinded key is given in base64 without padding; what is none is nobody's."""
        self.assertEqual(DescriptorUploadFailed(ADDRESS, RELAY, "A" * 43, "x").blinded_public, bytes(32))
        self.assertEqual(DescriptorUploadFailed(ADDRESS, RELAY, "!", "x").blinded_public, b"")

    def test_failed_fetch(self) -> None:
        """The same event for a fetch is nothing to do with uploads."""
        self.assertEqual(
            parse_event(f"HS_DESC FAILED {NAME} NO_AUTH ${RELAY}~r3 {BLINDED} REASON=NOT_FOUND"),
            DescriptorFetchFailed(ADDRESS, RELAY, BLINDED, "NOT_FOUND"),
        )

    def test_uploads(self) -> None:
        """An upload has a stream of Tor's own to the directory, whose end is told too; visitors' streams are not."""
        target = f"127.0.0.1.${RELAY}.exit:11413"
        more = "CLIENT_PROTOCOL=UNKNOWN NYM_EPOCH=0 SESSION_GROUP=-2 ISO_FIELDS="
        for text, found in (
            (f"16 NEW 0 {target} PURPOSE=DIR_UPLOAD {more}", UploadBegan(RELAY, "16")),
            (f"16 NEW 0 {target} PURPOSE=DIR_FETCH {more}", None),
            (f"16 SENTCONNECT 10 {target} {more}", None),
            (f"16 CLOSED 10 {target} REASON=END REMOTE_REASON=DONE {more}", DirectoryStreamEnded(RELAY, "16")),
            (f"16 CLOSED 10 {target}", DirectoryStreamEnded(RELAY, "16")),
            (f"17 NEW 0 {NAME}.onion:80 SOURCE_ADDR=127.0.0.1:4 PURPOSE=USER {more}", None),
            (f"17 CLOSED 3 {NAME}.onion:80 REASON=DONE {more}", None),
            ("18 CLOSED", None),
        ):
            self.assertEqual(parse_event(f"STREAM {text}"), found)

    def test_content(self) -> None:
        """A fetched descriptor comes whole, without the OK that ends the reply; an empty one means: there is none."""
        head = f"HS_DESC_CONTENT {NAME} {BLINDED} ${RELAY}~r3"
        self.assertEqual(
            parse_event(f"{head}\nhs-descriptor 3\nlast OK\nOK"),
            DescriptorFetched(ADDRESS, RELAY, BLINDED, b"hs-descriptor 3\nlast OK\n"),
        )
        self.assertEqual(parse_event(f"{head}\n\nOK"), DescriptorFetched(ADDRESS, RELAY, BLINDED, b""))

    def test_status(self) -> None:
        """A newer consensus is worth a value, Tor's other remarks on its directory are not."""
        self.assertEqual(parse_event("STATUS_CLIENT NOTICE CONSENSUS_ARRIVED"), ConsensusArrived())
        self.assertIsNone(parse_event("STATUS_CLIENT NOTICE ENOUGH_DIR_INFO"))

    def test_clock(self) -> None:
        """What Tor says of our clock: by how much it is ahead or behind, and that it was set."""
        for text, found in (
            ("WARN CLOCK_SKEW SKEW=-7200 SOURCE=CONSENSUS", ClockSkewed(-7200.0)),
            ("NOTICE CLOCK_SKEW SKEW=90 SOURCE=OR:192.0.2.1:9001", ClockSkewed(90.0)),
            ("NOTICE CLOCK_JUMPED TIME=-3600", ClockJumped(-3600.0)),
        ):
            self.assertEqual(parse_event(f"STATUS_GENERAL {text}"), found)
        for text in ("NOTICE CLOCK_JUMPED", "WARN CLOCK_SKEW SKEW=x SOURCE=CONSENSUS", "NOTICE BUG REASON=x", "NOTICE"):
            self.assertIsNone(parse_event(f"STATUS_GENERAL {text}"))

    def test_changed_configuration(self) -> None:
        """Only what concerns onion services counts, whether it was set or has its default back."""
        for line in ('HiddenServiceDir="/a \\303"', "HiddenServiceOptions", "PublishHidServDescriptors=1"):
            self.assertEqual(parse_event(f"CONF_CHANGED\nNickname=x\n{line}\nOK"), ServicesReconfigured())
        self.assertIsNone(parse_event("CONF_CHANGED\nNickname=HiddenServiceDir\nOK"))

    def test_bootstrap(self) -> None:
        """Progress has a number, a tag, a sentence and, when stuck, a warning."""
        self.assertEqual(
            parse_event('STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=45 TAG=requesting_descriptors SUMMARY="Asking"'),
            BootstrapProgress(45, "requesting_descriptors", "Asking"),
        )
        stuck = parse_bootstrap(
            'WARN BOOTSTRAP PROGRESS=5 TAG=conn SUMMARY="Connecting to a \\"relay\\"" WARNING="Network is unreachable" '
            "REASON=NOROUTE COUNT=6 RECOMMENDATION=warn"
        )
        self.assertEqual(stuck, BootstrapProgress(5, "conn", 'Connecting to a "relay"', "Network is unreachable"))

    def test_introduction_circuits(self) -> None:
        """An introduction circuit is worth a line when it becomes usable and when it goes."""
        tail = f"BUILD_FLAGS=IS_INTERNAL,NEED_CAPACITY PURPOSE=HS_SERVICE_INTRO HS_STATE=%s REND_QUERY={NAME}"
        path = f"${RELAY}~r1,${RELAY}~r2"
        self.assertEqual(
            parse_event(
                f"CIRC_MINOR 12 PURPOSE_CHANGED {path} {tail % 'HSSI_ESTABLISHED'} OLD_HS_STATE=HSSI_CONNECTING"
            ),
            IntroductionCircuit(ADDRESS, "12", True),
        )
        self.assertEqual(
            parse_event(f"CIRC 12 CLOSED {path} {tail % 'HSSI_ESTABLISHED'} REASON=FINISHED"),
            IntroductionCircuit(ADDRESS, "12", False),
        )
        self.assertIsNone(parse_event(f"CIRC 12 EXTENDED {path} {tail % 'HSSI_CONNECTING'}"))
        self.assertIsNone(parse_event(f"CIRC 13 CLOSED {path} PURPOSE=HS_SERVICE_REND REND_QUERY={NAME}"))

    def test_anything(self) -> None:
        """Any text is an event or nothing; it never raises."""
        words = st.sampled_from(
            f"""STATUS_CLIENT HS_DESC HS_DESC_CONTENT CONF_CHANGED CIRC NOTICE BOOTSTRAP PROGRESS= PROGRESS=x TAG=y
            SUMMARY=z CREATED UPLOADED FAILED ${RELAY}~a $A REASON=X HS_SERVICE_INTRO PURPOSE=HS_SERVICE_INTRO
            HS_STATE=HSSI_ESTABLISHED REND_QUERY=x CLOSED " {NAME}""".split()
        )

        @settings(deadline=None)
        @given(
            st.lists(words, max_size=8).map(" ".join)
            | st.lists(words, max_size=8).map("\n".join)
            | st.text(max_size=50)
        )
        def check(text: str) -> None:
            parse_event(text)

        check()
