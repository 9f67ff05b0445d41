"""
One visit to our own address, as anybody would make it.

Owns: the request and what its answer means. In: where a Tor takes outgoing connections; out: an ``Outcome``. A visit
that fails is an outcome, never an exception.
"""

from dataclasses import dataclass
from typing import Any, Final

import msgspec
from twisted.internet.defer import TimeoutError as DeadlinePassed

from rustbalance.health.proof import credentials, is_genuine
from rustbalance.health.visits import End, Outcome
from rustbalance.life import within
from rustbalance.proxy.heads import values
from rustbalance.proxy.question import Answer, NoAnswer, Question
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


class _Claim(msgspec.Struct, frozen=True):
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
    question = _Visit(route, credentials(key, nonce))
    try:
        answer = await within(route.patience, reactor, _asked(endpoint, question))
    except (DeadlinePassed, SocksFailure, NoAnswer) as error:
        return Outcome(*_ended(error), reactor.seconds() - began)
    took, (end, detail, claim) = reactor.seconds() - began, _judged(answer.head.status, answer.body)
    proof = values(answer.head.fields, b"authentication-info")
    if claim is None or not is_genuine(proof, key, nonce, answer.body):
        return Outcome(end, detail, took)
    return Outcome(end, detail, took, claim.node_id, claim.instance)


async def _asked(endpoint: SocksEndpoint, question: "_Visit") -> Answer:
    await endpoint.connect(QuietFactory(lambda: question))
    return await question.answered


def _judged(status: int, body: bytes) -> tuple[End, str, _Claim | None]:
    """Say what an answer is, and what it says of itself, which is still to be proved."""
    try:
        claim = msgspec.json.decode(body, type=_Claim)
    except msgspec.MsgspecError:
        return End.STRANGE, f"status {status}, and not what a canary says", None
    if status != 200 or claim.status != "ok":
        return End.STRANGE, f"status {status}, and not what a canary says", None
    return End.PASSED, "200, status=ok", claim


def _ended(error: BaseException) -> tuple[End, str]:
    if isinstance(error, SocksUnreachable):
        return End.NO_SOCKS, str(error)
    if isinstance(error, DeadlinePassed):
        return End.LATE, End.LATE.value
    if isinstance(error, SocksFailure) and error.code is not None:
        return _ENDS.get(error.code, End.BROKEN), MEANINGS.get(error.code, "unknown code")
    return End.BROKEN, str(error)


class _Visit(Question):
    """Asks for the canary, with ``authorization``."""

    def __init__(self, route: Route, authorization: bytes) -> None:
        super().__init__(b"GET", LONGEST)
        self._request = b"GET %b HTTP/1.1\r\nHost: %b\r\nAuthorization: %b\r\nConnection: close\r\n\r\n" % (
            route.path.encode("ascii"),
            route.host.encode("ascii"),
            authorization,
        )

    def ask(self) -> None:
        """Send it."""
        self.transport.write(self._request)
