"""
Free TCP ports on loopback.

Owns: a block of ports that belongs to one lab for as long as it runs. In: a source of randomness; out: port numbers.
The blocks lie below the range from which the kernel picks ports for outgoing connections (32768 and up by default),
so that no connection can take a port between our look and Tor's bind. The first port of a block stays bound: two labs
that start at the same moment cannot choose the same block.
"""

import random
import socket

FIRST = 11000
LAST = 32000
BLOCK = 100


class NoPortsLeft(OSError):
    """There is no free block, or a block has been used up."""


class PortBlock:
    """Up to 99 ports, each checked to be free when it is taken."""

    def __init__(self, marker: socket.socket) -> None:
        """Own the block whose first port ``marker`` is bound to."""
        self._marker = marker
        self.first = int(marker.getsockname()[1])
        self._next = self.first + 1

    @classmethod
    def reserve(cls, choice: random.Random) -> "PortBlock":
        """
        Find a block that nobody else has and keep it.

        :raises NoPortsLeft: every block is taken.
        """
        candidates = list(range(FIRST, LAST, BLOCK))
        choice.shuffle(candidates)
        for first in candidates:
            marker = bound(first)
            if marker is not None:
                return cls(marker)
        raise NoPortsLeft(f"no free block of ports between {FIRST} and {LAST}")

    def take(self) -> int:
        """
        Return the next free port of the block.

        :raises NoPortsLeft: the block is used up.
        """
        while self._next < self.first + BLOCK:
            port, self._next = self._next, self._next + 1
            probe = bound(port)
            if probe is not None:
                probe.close()
                return port
        raise NoPortsLeft(f"no free port left in the block at {self.first}")

    def release(self) -> None:
        """Give the block back."""
        self._marker.close()


def bound(port: int) -> socket.socket | None:
    """Return a socket bound to ``port`` on 127.0.0.1, None when the port is in use."""
    probe = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        probe.bind(("127.0.0.1", port))
    except OSError:
        probe.close()
        return None
    return probe
