"""What visitors and the log are told about a way that does not open."""

from twisted.internet.defer import TimeoutError as DeadlinePassed
from twisted.internet.error import ConnectError, ConnectionLost, ConnectionRefusedError, DNSLookupError
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.proxy.failures import CertificateRefused, NoWay, TooMany, trouble
from rustbalance.proxy.socks import SocksMalformed, SocksRefused, SocksUnreachable
from rustbalance.proxy.socks5 import MEANINGS

SECRET = "target.onion"


class TroubleTests(SynchronousTestCase):
    """D-58: each failure has its status; D-57: none has the target's address."""

    def test_statuses(self) -> None:
        """502: refused or nonsense; 503: not there for now; 504: no answer in time."""
        for error, status in (
            (ConnectionRefusedError(SECRET), 502),
            (ConnectError(string=SECRET), 502),
            (ConnectionLost(SECRET), 502),
            (DNSLookupError(SECRET), 502),
            (CertificateRefused(SECRET), 502),
            (ValueError(SECRET), 502),
            (ConnectTimeout(string=SECRET), 504),
            (DeadlinePassed(5, SECRET), 504),
        ):
            found = trouble(Failure(error))
            self.assertEqual((found.status, found.down), (status, True), error)
            self.assertNotIn(SECRET, found.reason)

    def test_ours(self) -> None:
        """Too many connections, and a Tor of ours that is not ready, say nothing about the target."""
        for error in (TooMany(SECRET), NoWay(SECRET), SocksUnreachable(SECRET), SocksMalformed(SECRET)):
            found = trouble(Failure(error))
            self.assertEqual((found.status, found.down), (503, False), error)
            self.assertNotIn(SECRET, found.reason)

    def test_codes(self) -> None:
        """Every code of Tor, F0 to F7 included, is a gateway's status, and its meaning goes to the log."""
        for code in (*MEANINGS, 0x99):
            found = trouble(Failure(SocksRefused(code)))
            self.assertIn(found.status, (502, 503, 504))
            self.assertIn(f"0x{code:02X}", found.reason)
        statuses = {code: trouble(Failure(SocksRefused(code))).status for code in (0xF0, 0xF1, 0xF2, 0xF3, 0xF6, 0xF7)}
        self.assertEqual(statuses, {0xF0: 503, 0xF1: 502, 0xF2: 503, 0xF3: 504, 0xF6: 502, 0xF7: 504})
