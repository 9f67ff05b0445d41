"""A connection to the target, against a transport that only remembers."""

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.proxy.failures import CertificateRefused
from rustbalance.proxy.target import SecureTargetConnection, TargetConnection


class Ear:
    """An exchange that notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def target_said(self) -> None:
        """Note it."""
        self.heard.append("said")

    def target_ended(self, clean: bool) -> None:
        """Note it."""
        self.heard.append(clean)

    def target_drained(self) -> None:
        """Note it."""
        self.heard.append("drained")


class TargetConnectionTests(SynchronousTestCase):
    """Used by one exchange after another."""

    def connected(self) -> tuple[TargetConnection, StringTransport]:
        """Return one that is ready."""
        connection, transport = TargetConnection(), StringTransport()
        connection.makeConnection(transport)
        self.assertIs(self.successResultOf(connection.ready), connection)
        return connection, transport

    def test_used(self) -> None:
        """The exchange hears what comes, until it lets go; uses and answers are counted."""
        connection, _ = self.connected()
        ear = Ear()
        connection.begin(ear, b"GET")
        self.assertEqual((connection.uses, connection.heard), (1, False))
        connection.dataReceived(b"HTTP")
        connection.resumeProducing()
        self.assertEqual((ear.heard, connection.heard), (["said", "drained"], True))
        connection.begin(ear, b"GET")
        self.assertEqual((connection.uses, connection.heard, connection.reader.pending), (2, False, 0))

    def test_idle_and_talking(self) -> None:
        """What an idle connection says was not asked for: it cannot be the answer to anything."""
        connection, transport = self.connected()
        connection.begin(Ear(), b"GET")
        connection.detach()
        connection.dataReceived(b"HTTP/1.1 200 OK\r\n")
        self.assertTrue(transport.disconnected)

    def test_ends(self) -> None:
        """D-51: an end in good order is told from a break."""
        for reason, clean in ((ConnectionDone(), True), (ConnectionLost(), False)):
            connection, _ = self.connected()
            ear, gone = Ear(), list[TargetConnection]()
            connection.gone = gone.append
            connection.begin(ear, b"GET")
            connection.connectionLost(Failure(reason))
            self.assertEqual((ear.heard, gone), ([clean], [connection]))
            self.assertTrue(connection.lost)

    def test_half_closed(self) -> None:
        """FIN is the end of what the target says; when idle it ends the connection."""
        connection, transport = self.connected()
        ear = Ear()
        connection.begin(ear, b"GET")
        connection.readConnectionLost()
        self.assertEqual(ear.heard, [True])
        connection.detach()
        connection.readConnectionLost()
        self.assertTrue(transport.disconnecting)

    def test_given_up(self) -> None:
        """An attempt that is cancelled is over, connected or not."""
        early = TargetConnection()
        early.ready.cancel()
        self.failureResultOf(early.ready, CancelledError)


class SecureTargetConnectionTests(SynchronousTestCase):
    """Over TLS."""

    def test_check(self) -> None:
        """Ready only after the handshake and the check; refused when the check says so."""

        def refuse(transport: object) -> None:
            raise CertificateRefused("not this one")

        for check in (None, refuse):
            connection, transport = SecureTargetConnection(check), StringTransport()
            connection.makeConnection(transport)
            self.assertNoResult(connection.ready)
            connection.handshakeCompleted()
            if check is None:
                self.assertIs(self.successResultOf(connection.ready), connection)
            else:
                self.failureResultOf(connection.ready, CertificateRefused)
                self.assertTrue(transport.disconnected)
            self.assertEqual(transport.value(), b"")

    def test_lost_before(self) -> None:
        """A handshake that fails is a failure of the attempt."""
        connection = SecureTargetConnection()
        connection.makeConnection(StringTransport())
        connection.connectionLost(Failure(ConnectionLost()))
        self.failureResultOf(connection.ready, ConnectionLost)
