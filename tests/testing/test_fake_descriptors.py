"""Tests for L{rustbalance.testing.fake_descriptors}: raw lines in, raw lines out."""

from twisted.internet.testing import StringTransport

from tests.testing.test_fake_tor import LABEL, RELAY, FakeTorCase


class DescriptorVerbsTests(FakeTorCase):
    """Descriptors are taken and asked for as tor does it; C{tests/live/test_control.py} compares it with a real one."""

    def test_hspost(self) -> None:
        """A descriptor is kept; an unknown relay, a comma list, a bad address and a bad descriptor are refused."""
        body = ("hs-descriptor 3", "..x", ".")
        self.assertEqual(self.ask(f"+HSPOST SERVER={RELAY} HSADDRESS={LABEL}", *body), ["250 OK"])
        (posted,) = self.tor.posted
        self.assertEqual((posted.text, posted.address, posted.directories), (b"hs-descriptor 3\n.x\n", LABEL, (RELAY,)))
        for server in ("B" * 40, f"{RELAY},{RELAY}", "nickname"):
            answer = self.ask(f"+HSPOST SERVER={server} HSADDRESS={LABEL}", *body)
            self.assertEqual(answer, [f'552 Server "{server}" not found'])
        self.assertEqual(self.ask("+HSPOST HSADDRESS=x.onion", *body), ["512 Malformed onion address"])
        self.assertEqual(self.ask(f"+HSPOST HSADDRESS={LABEL}", "junk", "."), ["554 Invalid descriptor"])
        self.assertEqual(len(self.tor.posted), 1)

    def test_hspost_without_address(self) -> None:
        """As with the real one there is no answer at all, and the connection stays usable."""
        self.assertEqual(self.ask(f"+HSPOST SERVER={RELAY}", "hs-descriptor 3", "."), [])
        self.assertEqual(self.ask("USEFEATURE X"), ["250 OK"])

    def test_hsfetch(self) -> None:
        """A request is agreed to and noted; an unknown relay and an address with its ending are refused."""
        self.assertEqual(self.ask(f"HSFETCH {LABEL} SERVER={RELAY}"), ["250 OK"])
        self.assertEqual(self.tor.fetches, [(LABEL, RELAY)])
        self.assertEqual(self.ask(f"HSFETCH {LABEL} SERVER={'B' * 40}"), [f'552 Server "{"B" * 40}" not found'])
        self.assertEqual(self.ask(f"HSFETCH {LABEL}.onion"), [f'513 Invalid argument "{LABEL}.onion"'])
        self.assertEqual(len(self.tor.fetches), 1)

    def test_content(self) -> None:
        """What a directory gave comes as a data block, the end of the event behind it."""
        self.ask("SETEVENTS HS_DESC_CONTENT")
        self.tor.emit(f"HS_DESC_CONTENT {LABEL} x ${RELAY}~r\nhs-descriptor 3\n.x\n")
        transport = self.connection.transport
        assert isinstance(transport, StringTransport)
        expected = f"650+HS_DESC_CONTENT {LABEL} x ${RELAY}~r\r\nhs-descriptor 3\r\n..x\r\n.\r\n650 OK\r\n"
        self.assertTrue(transport.value().endswith(expected.encode()))
