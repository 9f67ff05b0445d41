"""
What went wrong on the way to the target.

Owns: the status that a visitor gets and the words for the log, for each kind of failure (D-58). In: a failure; out:
``Trouble``. The words never come from the failure's own text, which may hold the target's address (D-57).
"""

from dataclasses import dataclass

from twisted.internet.defer import TimeoutError as DeadlinePassed
from twisted.internet.error import (
    ConnectError,
    ConnectionLost,
    ConnectionRefusedError,
    DNSLookupError,
    TCPTimedOutError,
)
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.python.failure import Failure

from rustbalance.proxy.socks5 import MEANINGS, SocksFailure

#: 502: it refused or spoke nonsense; 503: it is not there for now; 504: no answer in time (RFC 9110 section 15.6).
_SOCKS_STATUS = {0x06: 504, 0xF0: 503, 0xF2: 503, 0xF3: 504, 0xF7: 504}


class NoWay(Exception):
    """There is nothing to go through: no Tor of ours is ready."""


class TooMany(Exception):
    """As many connections as may be are open to the target."""


class CertificateRefused(Exception):
    """The target's certificate is not the one that was pinned."""


@dataclass(frozen=True)
class Trouble:
    """``status`` for the visitor, ``reason`` for the log; ``down``: it tells something about the target."""

    status: int
    reason: str
    down: bool = True


def trouble(failure: Failure) -> Trouble:
    """Judge a connection that did not come about."""
    error = failure.value
    if isinstance(error, TooMany):
        return Trouble(503, "too many connections", down=False)
    if isinstance(error, SocksFailure):
        return _through_socks(error)
    if isinstance(error, NoWay):
        return Trouble(503, "no Tor is ready", down=False)
    for kind, status, reason in _KINDS:
        if isinstance(error, kind):
            return Trouble(status, reason)
    return Trouble(502, "the connection failed")


def _through_socks(error: SocksFailure) -> Trouble:
    if error.code is None:
        return Trouble(503, "the SOCKS proxy does not answer as it should", down=False)
    meaning = MEANINGS.get(error.code, "unknown code")
    return Trouble(_SOCKS_STATUS.get(error.code, 502), f"SOCKS reply 0x{error.code:02X}, {meaning}")


_KINDS: tuple[tuple[type[BaseException], int, str], ...] = (
    (DeadlinePassed, 504, "no connection in time"),
    (ConnectTimeout, 504, "no connection in time"),
    (TCPTimedOutError, 504, "no connection in time"),
    (ConnectionRefusedError, 502, "connection refused"),
    (DNSLookupError, 502, "its name is not known"),
    (CertificateRefused, 502, "its certificate is not the pinned one"),
    (ConnectionLost, 502, "the connection broke"),
    (ConnectError, 502, "it cannot be reached"),
)
