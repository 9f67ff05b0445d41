"""Tests for L{rustbalance.tor.replies}."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.onion.address import OnionAddress
from rustbalance.tor.replies import (
    hspost,
    parse_settings,
    quoted,
    services_on_circuits,
    setconf,
    standing_introductions,
    unknown_server,
    unquoted,
)

ADDRESS = OnionAddress(bytes(range(32)))
OTHER = OnionAddress(bytes(range(1, 33)))
RELAY = "9CDF31AFC85FDD66E9D0A2A4E1F24CD5B6A0CB45"


class QuotingTests(SynchronousTestCase):
    """Values survive Tor's quoting."""

    def test_round_trip(self) -> None:
        """What is quoted reads back as it was."""

        @settings(deadline=None)
        @given(st.text(st.characters(codec="utf-8", exclude_characters="\r\n")))
        def check(value: str) -> None:
            self.assertEqual(unquoted(quoted(value)), value)

        check()

    def test_bare_values(self) -> None:
        """A value that Tor did not quote is taken as it is."""
        self.assertEqual(unquoted('80 unix:"/a b"'), '80 unix:"/a b"')
        self.assertEqual(unquoted('"'), '"')

    def test_octal(self) -> None:
        """Tor shows the bytes of other alphabets in octal; a digit behind a backslash that is no octal is itself."""
        self.assertEqual(unquoted(r'"/n\303\266d \"#1\" \\303 \8\n"'), '/nöd "#1" \\303 8\n')
        self.assertEqual(unquoted(r'"\377"'), "\udcff")

    def test_no_line_breaks(self) -> None:
        """A line break could begin a command or an option of its own."""
        for value in ("a\nSETCONF x=y", "a\rb"):
            self.assertRaises(ValueError, quoted, value)


class SettingsTests(SynchronousTestCase):
    """SETCONF is written and GETCONF read."""

    def test_setconf(self) -> None:
        """All settings go into one line, in order."""
        self.assertEqual(setconf([("A", "0"), ("B", 'x "y"')]), b'SETCONF A="0" B="x \\"y\\""')

    def test_parse_settings(self) -> None:
        """Order and repetition are kept; a default and an empty value are told apart."""
        text = (
            'HiddenServiceDir="/h#s \\"1"\nHiddenServicePort=80 a:1\nHiddenServicePort=81 a:2\nNickname\nContactInfo='
        )
        self.assertEqual(
            parse_settings(text),
            (
                ("HiddenServiceDir", '/h#s "1'),
                ("HiddenServicePort", "80 a:1"),
                ("HiddenServicePort", "81 a:2"),
                ("Nickname", None),
                ("ContactInfo", ""),
            ),
        )


class DescriptorTests(SynchronousTestCase):
    """HSPOST is written as Tor wants it."""

    def test_hspost(self) -> None:
        """SERVER= is repeated, the address is bare, lines end in CRLF, leading dots are doubled, a dot ends it."""
        self.assertEqual(
            hspost(b"hs-descriptor 3\n.dot\nlast\n", ADDRESS, ["A" * 40, "B" * 40]),
            f"+HSPOST SERVER={'A' * 40} SERVER={'B' * 40} HSADDRESS={ADDRESS.label}\r\n".encode()
            + b"hs-descriptor 3\r\n..dot\r\nlast\r\n.",
        )

    def test_unknown_server(self) -> None:
        """The relay that Tor does not know is found in its complaint."""
        self.assertEqual(unknown_server(f'552 Server "{RELAY}" not found'), RELAY)
        self.assertEqual(unknown_server(f'Server "${RELAY}~nick" not found'), RELAY)
        self.assertIsNone(unknown_server("552 Unrecognized key"))


class CircuitTests(SynchronousTestCase):
    """Circuits give away which services a Tor hosts."""

    def test_services_on_circuits(self) -> None:
        """Introduction and rendezvous circuits of services count, those of clients do not."""
        text = "\n".join(
            [
                f"5 BUILT ${RELAY}~a PURPOSE=HS_SERVICE_INTRO HS_STATE=HSSI_ESTABLISHED REND_QUERY={ADDRESS.label} X=1",
                f"6 BUILT ${RELAY}~a PURPOSE=HS_CLIENT_REND HS_STATE=HSCR_JOINED REND_QUERY={OTHER.label}",
                f"7 BUILT ${RELAY}~a PURPOSE=GENERAL",
                f"8 BUILT ${RELAY}~a PURPOSE=HS_SERVICE_HSDIR REND_QUERY={ADDRESS.label}",
            ]
        )
        self.assertEqual(services_on_circuits(text), {ADDRESS})

    def test_standing_introductions(self) -> None:
        """Introduction circuits of our own that are built and established count, nothing else does."""
        text = "\n".join(
            [
                f"5 BUILT ${RELAY}~a PURPOSE=HS_SERVICE_INTRO HS_STATE=HSSI_ESTABLISHED REND_QUERY={ADDRESS.label} X=1",
                f"6 BUILT ${RELAY}~a BUILD_FLAGS=IS_INTERNAL PURPOSE=HS_SERVICE_INTRO HS_STATE=HSSI_ESTABLISHED",
                f"7 BUILT ${RELAY}~a PURPOSE=HS_SERVICE_INTRO HS_STATE=HSSI_CONNECTING REND_QUERY={ADDRESS.label}",
                f"8 EXTENDED ${RELAY}~a PURPOSE=HS_SERVICE_INTRO HS_STATE=HSSI_ESTABLISHED",
                f"9 BUILT ${RELAY}~a PURPOSE=HS_CLIENT_INTRO HS_STATE=HSCI_CONNECTING",
            ]
        )
        self.assertEqual(standing_introductions(text), 2)
        self.assertEqual(standing_introductions(""), 0)
