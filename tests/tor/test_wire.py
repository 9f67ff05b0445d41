"""Tests for L{rustbalance.tor.wire}."""

import os
import socket

from twisted.internet.defer import Deferred
from twisted.test.iosim import IOPump
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.secrets import Secret
from rustbalance.testing.fake_tor import FakeTor
from rustbalance.tor.wire import ControlWire, PasswordNotSent, send_password


class ControlWireTests(SynchronousTestCase):
    """L{ControlWire} keeps answers and events apart."""

    def setUp(self) -> None:
        self.tor = FakeTor()
        self.wire = ControlWire()
        self.events: list[str] = []
        self.wire.on_event = self.events.append
        self.pump: IOPump = self.tor.join(self.wire)
        self.pump.flush()

    def ask(self, key: str) -> bytes:
        """Return the value of a key."""
        answer, done = self.wire.get_info_bytes(key)
        self.pump.flush()
        self.successResultOf(done)
        return bytes(answer.value)

    def test_values(self) -> None:
        """One line and a data block come back as they were; dots are undone, and nothing is taken for the end."""
        self.tor.info["one"] = "a=b OK"
        self.tor.info["many"] = b"one=1\n.two\nOK\n250 OK\n552 no\n650 HS_DESC x\n\nlast\n"
        self.assertEqual(self.ask("one"), b"a=b OK")
        self.assertEqual(self.ask("many"), self.tor.info["many"])
        self.assertEqual(self.ask("one"), b"a=b OK")

    def test_not_ascii(self) -> None:
        """Bytes outside ASCII, in a path for instance, do not break the connection."""
        self.tor.info["one"] = "/srv/tör"
        self.assertEqual(self.ask("one").decode(), "/srv/tör")

    def test_events(self) -> None:
        """Events of one line, of several, and with a data block arrive whole."""
        self.wire.queue_command("SETEVENTS A B")
        self.pump.flush()
        self.tor.emit("A one")
        self.tor.emit("A three\nmore")
        self.pump.flush()
        for line in (b"650+B two", b"250 OK", b"..x", b"650 A", b".", b"650 OK", b"650 A four"):
            self.wire.lineReceived(line)
        self.assertEqual(self.events, ["A one", "A three\nmore\nOK", "B two\n250 OK\n.x\n650 A\nOK", "A four"])

    def test_event_while_an_answer_is_awaited(self) -> None:
        """An event with a data block that comes before the answer is no part of it."""
        answer, done = self.wire.get_info_bytes("version")
        for line in (b"650+HS_DESC_CONTENT a", b"stray", b".", b"650 OK", b"650 CIRC 1 BUILT"):
            self.wire.lineReceived(line)
        self.pump.flush()
        self.successResultOf(done)
        self.assertEqual(bytes(answer.value), b"0.4.9.11")
        self.assertEqual(self.events, ["HS_DESC_CONTENT a\nstray\nOK", "CIRC 1 BUILT"])

    def test_in_any_pieces(self) -> None:
        """However the bytes are cut, they say the same."""
        self.tor.hung = True
        answer, done = self.wire.get_info_bytes("many")
        reply = b"650 CIRC 1\r\n250+many=\r\none\r\n..two\r\n.\r\n250 OK\r\n650 CIRC 2\r\n"
        for index in range(len(reply)):
            self.wire.dataReceived(reply[index : index + 1])
        self.successResultOf(done)
        self.assertEqual(bytes(answer.value), b"one\n.two\n")
        self.assertEqual(self.events, ["CIRC 1", "CIRC 2"])


class PasswordTests(SynchronousTestCase):
    """The password goes from locked memory to the socket."""

    def test_written_in_hexadecimal(self) -> None:
        """AUTHENTICATE and the password's bytes in hexadecimal arrive; the end of the line is still to come."""
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        send_password(ours.fileno(), Secret.copy_of(b'pass"word\xff'))
        self.assertEqual(theirs.recv(1000), b"AUTHENTICATE " + b'pass"word\xff'.hex().encode())

    def test_short_write(self) -> None:
        """A socket that takes only a part is an error, since the rest would have to be kept somewhere."""
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        self.addCleanup(os.close, writing)
        os.set_blocking(writing, False)
        os.write(writing, bytes(65536 - 4096))
        self.assertRaises(PasswordNotSent, send_password, writing, Secret(8192))

    def test_other_tokens_go_txtorcons_way(self) -> None:
        """A cookie is no Secret and is sent as any command."""
        wire = ControlWire()
        pump = FakeTor().join(wire)
        pump.flush()
        done: Deferred[str] = wire.authenticate(b"x")
        pump.flush()
        self.assertEqual(self.successResultOf(done), "OK")
