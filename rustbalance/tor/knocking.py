"""
Does a SOCKS port answer?

Owns: one greeting to it, and nothing that would make Tor build a circuit (RFC 1928 section 3). In: where it listens;
out: what is wrong with it, if anything.
"""

from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from rustbalance.life import within

GREETING, WELCOME = b"\x05\x01\x00", b"\x05\x00"

#: A Unix socket, or a host and a port.
Place = Path | tuple[str, int]


class _Greeting(Protocol):
    """Sends the greeting and waits for the answer."""

    def __init__(self) -> None:
        self.answer: Deferred[bytes] = Deferred()
        self._heard = b""

    def connectionMade(self) -> None:
        """Greet."""
        self.transport.write(GREETING)  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        """Take the answer."""
        self._heard += data
        if len(self._heard) >= len(WELCOME) and not self.answer.called:
            self.answer.callback(self._heard)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """Take it for one."""
        if not self.answer.called:
            self.answer.callback(self._heard)


async def knock(place: Place, reactor: Any, seconds: float) -> str | None:
    """Return what is wrong with the SOCKS port at ``place``, None when it answers as it should within ``seconds``."""
    greeting = _Greeting()
    try:
        answer = await within(seconds, reactor, _greet(place, reactor, greeting))
    except TimeoutError:
        return f"its SOCKS port did not answer within {seconds:g} s"
    except CancelledError:
        raise
    except Exception as error:
        return f"its SOCKS port cannot be reached: {error}"
    finally:
        if greeting.transport is not None:
            greeting.transport.abortConnection()  # type: ignore[attr-defined]
    return None if answer[:2] == WELCOME else "its SOCKS port does not speak SOCKS 5 with us"


async def _greet(place: Place, reactor: Any, greeting: _Greeting) -> bytes:
    if isinstance(place, Path):
        endpoint: Any = UNIXClientEndpoint(reactor, str(place))
    else:
        endpoint = HostnameEndpoint(reactor, *place)
    await endpoint.connect(Factory.forProtocol(lambda: greeting))
    return await greeting.answer
