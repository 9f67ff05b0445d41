"""
The private Tor network's ports, on the loopback of a machine that is a network namespace.

Owns: the way from there to the loopback of the host. In: a machine and port numbers; out: the same ports inside. The
listening sockets are made inside, by this module run as a program, and handed out to us: what comes in through them is
carried on by the test's own process, which sees both sides.
"""

import os
import socket
import sys
from typing import Any

from twisted.internet.defer import DeferredList, maybeDeferred
from twisted.protocols.portforward import ProxyFactory

from rustbalance.life import pause
from tests.live.namespaces import ROOT, Broken, Machine, spawn

LOOPBACK = "127.0.0.1"
OURS = 3


class Door(ProxyFactory):
    """One port; it knows who came in."""

    noisy = False

    def __init__(self, port: int) -> None:
        super().__init__(LOOPBACK, port)
        self.visitors: list[Any] = []

    def buildProtocol(self, addr: Any) -> Any:
        """Let somebody in."""
        visitor = super().buildProtocol(addr)
        self.visitors.append(visitor)
        return visitor

    def shut(self) -> None:
        """Put everybody out: who was cut off meanwhile would never go."""
        for visitor in self.visitors:
            for side in (visitor, visitor.peer):
                if side is not None and side.transport is not None and side.connected:
                    side.transport.abortConnection()


class Doors:
    """Open doors of one machine."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._ports: list[Any] = []
        self._doors: list[Door] = []

    async def open(self, machine: Machine, ports: list[int]) -> None:
        """Have C{ports} inside lead to those of the host."""
        for inside in await handed_out(machine, ports):
            with inside:
                door = Door(inside.getsockname()[1])
                inside.setblocking(False)
                self._doors.append(door)
                self._ports.append(self._reactor.adoptStreamPort(inside.fileno(), socket.AF_INET, door))

    async def close(self) -> None:
        """Let nobody in any longer."""
        ports, self._ports = self._ports, []
        await DeferredList([maybeDeferred(port.stopListening) for port in ports])
        for door in self._doors:
            door.shut()
        await pause(self._reactor, 0.1)


async def handed_out(machine: Machine, ports: list[int]) -> list[socket.socket]:
    """Return sockets that listen on the loopback of the machine."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        words = (*machine.words, sys.executable, "-m", "tests.live.doors", *map(str, ports))
        process = spawn(words, {**os.environ, "PYTHONPATH": str(ROOT)}, {OURS: theirs.fileno()})
        await process.until(lambda event: event == {})
        _, descriptors, _, _ = socket.recv_fds(ours, 1, len(ports))
        await process.end()
    if len(descriptors) != len(ports):
        raise Broken(f"{len(descriptors)} of {len(ports)} sockets were handed out")
    return [socket.socket(fileno=descriptor) for descriptor in descriptors]


def main() -> None:
    """Make the sockets, hand them out, and wait for the word to end."""
    made = [socket.create_server((LOOPBACK, int(port))) for port in sys.argv[1:]]
    with socket.socket(fileno=OURS) as out:
        socket.send_fds(out, [b"x"], [one.fileno() for one in made])
    print("{}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
