"""
Asking a Tor of the lab.

Owns: one control connection with a deadline on every question. In: a port; out: answers and events. The daemon's own
connection is ``rustbalance.tor.control``; this one needs few verbs and must not depend on what it helps to test.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import txtorcon
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IReactorTime

from rustbalance.life import pause, within
from rustbalance.onion.consensus import Consensus, parse_consensus, parse_microdescriptors

DEADLINE = 10.0


class NotAnswered(Exception):
    """Tor refused a question."""


class ControlLink:
    """An authenticated control connection (control-spec) to a Tor on loopback."""

    def __init__(self, protocol: Any, reactor: IReactorTime) -> None:
        self._protocol = protocol
        self._reactor = reactor

    @classmethod
    async def open(cls, port: int, reactor: IReactorTime) -> "ControlLink":
        """
        Connect and authenticate with the cookie; a Tor that has just been started may not listen yet.

        :raises ConnectError: nobody listens after ``DEADLINE`` seconds.
        """
        return await within(DEADLINE, reactor, cls._open(port, reactor))

    @classmethod
    async def _open(cls, port: int, reactor: IReactorTime) -> "ControlLink":
        while True:
            with suppress(ConnectError):
                where = (reactor, "127.0.0.1", port)
                return cls(await txtorcon.build_tor_connection(where, build_state=False), reactor)
            await pause(reactor, 0.1)

    async def ask(self, key: str) -> str:
        """
        Return the value of ``GETINFO key``.

        :raises NotAnswered: Tor does not know it, or has nothing to say yet.
        """
        try:
            answer: str = await within(DEADLINE, self._reactor, self._protocol.get_info_raw(key))
        except txtorcon.TorProtocolError as refused:
            raise NotAnswered(f"GETINFO {key}: {refused}") from None
        return answer.removeprefix(f"{key}=").lstrip("\n")

    async def send(self, command: str) -> str:
        """
        Send a command and return the answer, which is mostly OK.

        :raises NotAnswered: Tor refuses it.
        """
        try:
            return str(await within(DEADLINE, self._reactor, self._protocol.queue_command(command)))
        except txtorcon.TorProtocolError as refused:
            raise NotAnswered(f"{command}: {refused}") from None

    async def signal(self, name: str) -> None:
        """Send ``SIGNAL name``."""
        await self.send(f"SIGNAL {name}")

    async def listen(self, event: str, listener: Callable[[str], None]) -> None:
        """Call ``listener`` with the text of every ``event`` from now on."""
        await within(DEADLINE, self._reactor, self._protocol.add_event_listener(event, listener))

    async def consensus(self) -> Consensus:
        """
        Return the consensus that this Tor uses.

        :raises MalformedConsensus: it has none.
        """
        return parse_consensus((await self.ask("dir/status-vote/current/consensus-microdesc") + "\n").encode())

    async def described(self) -> int:
        """Return how many relays' microdescriptors this Tor has."""
        return len(parse_microdescriptors((await self.ask("md/all")).encode()))

    async def close(self) -> None:
        """Hang up, and wait until it is done."""
        lost: Deferred[Any] = self._protocol.when_disconnected()
        self._protocol.transport.loseConnection()
        with suppress(Exception):
            await within(DEADLINE, self._reactor, lost)
