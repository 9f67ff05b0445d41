"""Tests for L{rustbalance.testing.fake_tor}: raw lines in, raw lines out."""

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.testing.fake_tor import FakeControlConnection, FakeTor

RELAY = "9CDF31AFC85FDD66E9D0A2A4E1F24CD5B6A0CB45"
LABEL = "a" * 56
CHANGED = b"650-CONF_CHANGED\r\n650-HiddenServiceOptions\r\n650-PublishHidServDescriptors=1\r\n650 OK\r\n"


class FakeTorCase(SynchronousTestCase):
    """A fake that knows one relay, and a connection to it."""

    def setUp(self) -> None:
        self.tor = FakeTor(relays={RELAY})
        self.connection = self.connect()
        self.ask("AUTHENTICATE")

    def connect(self) -> FakeControlConnection:
        """Return a new connection on a transport that keeps what is written."""
        connection = self.tor.connection()
        connection.makeConnection(StringTransport())
        return connection

    def ask(self, *lines: str) -> list[str]:
        """Send lines and return what comes back."""
        transport = self.connection.transport
        assert isinstance(transport, StringTransport)
        transport.clear()
        self.connection.dataReceived("".join(f"{line}\r\n" for line in lines).encode())
        return transport.value().decode().splitlines()


class FakeTorTests(FakeTorCase):
    """The fake answers line by line as tor does; C{tests/live/test_control.py} compares it with a real one."""

    def test_authentication_comes_first(self) -> None:
        """Before AUTHENTICATE only PROTOCOLINFO is answered."""
        self.connection = self.connect()
        self.assertIn("250-AUTH METHODS=NULL", self.ask("PROTOCOLINFO 1"))
        self.assertEqual(self.ask("GETINFO version"), ["514 Authentication required."])

    def test_getinfo(self) -> None:
        """Text comes in one line, bytes as a data block, and what is unknown as an error."""
        self.tor.info["x"] = b"one\n.two\n"
        self.assertEqual(self.ask("GETINFO version"), ["250-version=0.4.9.11", "250 OK"])
        self.assertEqual(self.ask("GETINFO x"), ["250+x=", "one", "..two", ".", "250 OK"])
        self.assertEqual(self.ask("GETINFO y"), ['552 Unrecognized key "y"'])
        self.assertEqual(self.ask(f"GETINFO hs/service/desc/id/{LABEL}"), ["551 Not found in cache"])

    def test_getconf_without_services(self) -> None:
        """A default is a key without a value."""
        self.assertEqual(self.ask("GETCONF HiddenServiceOptions"), ["250 HiddenServiceOptions"])
        self.assertEqual(self.ask("GETCONF Foo"), ['552 Unrecognized configuration key "Foo"'])

    def test_events_only_for_subscribers(self) -> None:
        """An event goes to who asked for its kind, with all of its lines."""
        other = self.connect()
        self.ask("SETEVENTS CONF_CHANGED")
        self.tor.emit("STATUS_CLIENT NOTICE X")
        self.tor.reload()
        transport, quiet = self.connection.transport, other.transport
        assert isinstance(transport, StringTransport)
        assert isinstance(quiet, StringTransport)
        self.assertTrue(transport.value().endswith(CHANGED))
        self.assertNotIn(b"NOTICE", transport.value())
        self.assertEqual(quiet.value(), b"")

    def test_hung(self) -> None:
        """A hung Tor reads and says nothing."""
        self.tor.hung = True
        self.assertEqual(self.ask("GETINFO version"), [])
