"""
Consensus and microdescriptors of the public network through the control port: does anything else have to wait?

A child process writes answers of 2, 4 and 8 MB to a socket. Beside it, in the same run, txtorcon's own way
(``get_info_raw``) reads 2 MB. Targets: the event loop is never held for 10 ms, twice the size takes no more than three
times as long, and at least 20 times as fast as txtorcon's way.

Time is processor time: on a busy machine this process also waits for its core, and that says nothing about us.
"""

import os
import socket
from time import process_time
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.internet.task import react

from rustbalance.life import deferred
from rustbalance.tor.wire import ControlWire

MEGABYTE = 1_000_000
SIZES = (2 * MEGABYTE, 4 * MEGABYTE, 8 * MEGABYTE)
LONGEST_BLOCK = 0.010
LARGEST_GROWTH = 3.0
LEAST_RATIO = 20.0
LINES = b"ntor-onion-key " + b"A" * 43 + b"\r\nid ed25519 " + b"B" * 43 + b"\r\np accept 80,443\r\n"


class Wire(ControlWire):
    """A connection that needs no introduction."""

    def connectionMade(self) -> None:
        """Skip authentication."""


class Gaps:
    """The longest time for which the event loop did not turn."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._last = process_time()
        self.longest = 0.0
        self._next = reactor.callLater(0, self._turn)

    def _turn(self) -> None:
        now = process_time()
        self.longest, self._last = max(self.longest, now - self._last), now
        self._next = self._reactor.callLater(0, self._turn)

    def stop(self) -> float:
        """Return the longest, the one up to now included."""
        self._next.cancel()
        return max(self.longest, process_time() - self._last)


def serve(end: socket.socket) -> None:
    """Answer one GETINFO after the other."""
    for size in (*SIZES, SIZES[0]):
        body = LINES * (size // len(LINES))
        end.recv(1000)
        end.sendall(b"250+x=\r\n" + body + b".\r\n250 OK\r\n")
    end.recv(1000)


def connected(reactor: Any) -> Wire:
    """Return a connection to a child that serves."""
    ours, theirs = socket.socketpair()
    if os.fork() == 0:
        ours.close()
        serve(theirs)
        os._exit(0)
    theirs.close()
    ours.setblocking(False)
    wire = Wire()
    reactor.adoptStreamConnection(ours.fileno(), socket.AF_UNIX, Factory.forProtocol(lambda: wire))
    ours.close()
    return wire


async def ours(reactor: Any, wire: Wire) -> tuple[float, float]:
    """Return the seconds for one answer and the longest block."""
    gaps, began = Gaps(reactor), process_time()
    answer, done = wire.get_info_bytes("x")
    await done
    size = len(bytes(answer.value))
    seconds, block = process_time() - began, gaps.stop()
    print(f"ours:     {size / MEGABYTE:4.1f} MB in {seconds * 1000:6.1f} ms, longest block {block * 1000:5.2f} ms")
    return seconds, block


async def theirs(reactor: Any, wire: Wire) -> float:
    """Return the seconds for one answer in txtorcon's own way."""
    gaps, began = Gaps(reactor), process_time()
    size = len(await wire.get_info_raw("x"))
    seconds, block = process_time() - began, gaps.stop()
    print(f"txtorcon: {size / MEGABYTE:4.1f} MB in {seconds * 1000:6.1f} ms, longest block {block * 1000:5.2f} ms")
    return seconds


async def compare(reactor: Any) -> None:
    """Measure, print and judge."""
    wire = connected(reactor)
    measured = [await ours(reactor, wire) for _ in SIZES]
    ratio = await theirs(reactor, wire) / measured[0][0]
    wire.transport.abortConnection()
    growth, block = measured[2][0] / measured[1][0], max(block for _, block in measured)
    print(f"twice the size takes {growth:.2f} times as long (target: at most {LARGEST_GROWTH})")
    print(f"longest block {block * 1000:.2f} ms (target: under {LONGEST_BLOCK * 1000:.0f} ms)")
    print(f"ratio {ratio:.1f} (target: at least {LEAST_RATIO})")
    if block >= LONGEST_BLOCK or growth > LARGEST_GROWTH or ratio < LEAST_RATIO:
        raise SystemExit(1)


def main() -> None:
    """Run once."""

    def run(reactor: Any) -> Deferred[None]:
        return deferred(compare(reactor))

    react(run)


if __name__ == "__main__":
    main()
