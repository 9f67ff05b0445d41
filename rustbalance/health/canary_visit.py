"""
One visit to our own address, as anybody would make it.

Owns: the request and what its answer means. In: where a Tor takes outgoing connections; out: an ``Outcome``. A visit
that fails is an outcome, never an exception.
"""

from dataclasses import dataclass
from typing import Any, Final

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeadlinePassed
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from rustbalance.health.proof import credentials, is_genuine
from rustbalance.health.visits import End, Outcome
from rustbalance.life import within
from rustbalance.proxy.heads import Fields, MalformedMessage, values
from rustbalance.proxy.reading import ResponseReader
from rustbalance.proxy.socks import SocksAddress, SocksEndpoint, SocksFailure, SocksUnreachable
from rustbalance.proxy.socks5 import MEANINGS
from rustbalance.proxy.stream import QuietFactory
from rustbalance.secrets import Secret

#: Bytes of an answer; a canary's is shorter, and more than that is not one.
LONGEST: Final = 4096


_ENDS: Final = {
    0xF0: End.LOOKUP,
    0xF1: End.LOOKUP,
    0xF2: End.INTRODUCTION,
    0xF3: End.RENDEZVOUS,
    0xF7: End.INTRODUCTION,
    0x06: End.LATE,
}


class _Answer(msgspec.Struct, frozen=True):
    """As much of a canary's answer as matters here."""

    status: str
    node_id: str | None = None
    instance: str | None = None


@dataclass(frozen=True)
class Route:
    """``host`` is the master address, ``path`` the canary's; ``patience`` seconds are for the whole visit."""

    host: str
    path: str
    patience: float = 30.0
    port: int = 80


async def visit(route: Route, socks: SocksAddress, key: Secret, nonce: bytes, reactor: Any) -> Outcome:
    """
    Return what became of a visit through ``socks``, on circuits that no other stream shares.

    ``nonce`` is new for each visit; ``key`` proves where it comes from and stays the caller's.
    """
    began = reactor.seconds()
    endpoint = SocksEndpoint(reactor, socks, route.host, route.port, f"canary-{nonce.hex()}", route.patience)
    asking = _Asking(route, credentials(key, nonce))
    try:
        status, fields, body = await within(route.patience, reactor, _asked(endpoint, asking))
        end, detail, answer = _judged(status, body)
    except (DeadlinePassed, SocksFailure, _NoAnswer) as error:
        return Outcome(*_ended(error), reactor.seconds() - began)
    took = reactor.seconds() - began
    if answer is None or not is_genuine(values(fields, b"authentication-info"), key, nonce, body):
        return Outcome(end, detail, took)
    return Outcome(end, detail, took, answer.node_id, answer.instance)


class _NoAnswer(Exception):
    """The stream ended before the answer was complete, or that is none."""


async def _asked(endpoint: SocksEndpoint, asking: "_Asking") -> tuple[int, Fields, bytes]:
    await endpoint.connect(QuietFactory(lambda: asking))
    return await asking.answered


def _judged(status: int, body: bytes) -> tuple[End, str, _Answer | None]:
    """Say what an answer is; ``answer`` is what it says of itself, which is still to be proved."""
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except msgspec.MsgspecError:
        return End.STRANGE, f"status {status}, and not what a canary says", None
    if status != 200 or answer.status != "ok":
        return End.STRANGE, f"status {status}, and not what a canary says", None
    return End.PASSED, "200, status=ok", answer


def _ended(error: BaseException) -> tuple[End, str]:
    if isinstance(error, SocksUnreachable):
        return End.NO_SOCKS, str(error)
    if isinstance(error, DeadlinePassed):
        return End.LATE, End.LATE.value
    if isinstance(error, SocksFailure) and error.code is not None:
        return _ENDS.get(error.code, End.BROKEN), MEANINGS.get(error.code, "unknown code")
    return End.BROKEN, str(error)


class _Asking(Protocol):
    """Sends one request and closes. ``answered`` fires with status, fields and body, or fails with ``_NoAnswer``."""

    transport: Any

    def __init__(self, route: Route, authorization: bytes) -> None:
        self.answered: Deferred[tuple[int, Fields, bytes]] = Deferred(lambda _: self.transport.abortConnection())
        self._request = b"GET %b HTTP/1.1\r\nHost: %b\r\nAuthorization: %b\r\nConnection: close\r\n\r\n" % (
            route.path.encode("ascii"),
            route.host.encode("ascii"),
            authorization,
        )
        self._reader = ResponseReader(b"GET")
        self._head: tuple[int, Fields] | None = None
        self._body = bytearray()

    def connectionMade(self) -> None:
        """Ask."""
        self.transport.write(self._request)

    def dataReceived(self, data: bytes) -> None:
        """Read the answer as it comes."""
        if self.answered.called:
            return
        try:
            self._reader.feed(data)
            self._read()
        except MalformedMessage as error:
            self._fail(f"the answer is not HTTP: {error}")

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008  (as Twisted declares it)
        """Take the end for the end of the answer if that has no other, else complain."""
        try:
            self._reader.end()
            self._read()
        except MalformedMessage:
            pass
        self._fail("the stream ended before the answer was complete")

    def _read(self) -> None:
        while self._head is None and (head := self._reader.next_head()) is not None:
            if not head.interim:
                self._head = head.status, head.fields
        while content := self._reader.next_content():
            self._body += content
        if self._head is None or self.answered.called:
            return
        if self._reader.complete or len(self._body) > LONGEST:
            self.transport.abortConnection()
            self.answered.callback((*self._head, bytes(self._body[:LONGEST])))

    def _fail(self, reason: str) -> None:
        if not self.answered.called:
            self.transport.abortConnection()
            self.answered.errback(_NoAnswer(reason))
