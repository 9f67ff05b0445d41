"""
What a Tor in memory answers to HSPOST and HSFETCH.

Owns: those two verbs of a ``FakeTor``, with their errors. In: command lines; out: replies, and a record of what was
asked. The events that follow are the test's to emit, as directories would cause them.
"""

import re
from collections.abc import Iterator
from typing import Protocol

from rustbalance.testing.tor_values import Posted

_FINGERPRINT = re.compile(r"\$?([0-9A-Fa-f]{40})(?:[~=]\w+)?")
_LABEL = re.compile(r"[a-z2-7]{56}")


class Records(Protocol):
    """The part of a ``FakeTor`` that is used here."""

    relays: set[str]
    posted: list[Posted]
    fetches: list[tuple[str, str]]


class DescriptorVerbs:
    """A part of a connection to a ``FakeTor``."""

    tor: Records

    def _answer_hspost(self, rest: str, body: bytes) -> Iterator[str]:
        servers = _servers(rest)
        address = next(
            (word.removeprefix("HSADDRESS=") for word in rest.split() if word.startswith("HSADDRESS=")), None
        )
        unknown = self._unknown(servers)
        if unknown is not None:
            yield f'552 Server "{unknown}" not found'
        elif address is None:
            return  # so does the real one: no answer, ever
        elif not _LABEL.fullmatch(address):
            yield "512 Malformed onion address"
        elif not body.startswith(b"hs-descriptor 3\n"):
            yield "554 Invalid descriptor"
        else:
            self.tor.posted.append(Posted(body, address, servers))
            yield "250 OK"

    def _answer_hsfetch(self, rest: str, body: bytes) -> Iterator[str]:
        address, servers = rest.split()[0], _servers(rest)
        unknown = self._unknown(servers)
        if not _LABEL.fullmatch(address):
            yield f'513 Invalid argument "{address}"'
        elif unknown is not None:
            yield f'552 Server "{unknown}" not found'
        else:
            self.tor.fetches += [(address, server) for server in servers]
            yield "250 OK"

    def _unknown(self, servers: tuple[str, ...]) -> str | None:
        return next((name for name in servers if not self._knows(name)), None)

    def _knows(self, server: str) -> bool:
        found = _FINGERPRINT.fullmatch(server)
        return found is not None and found[1].upper() in self.tor.relays


def _servers(rest: str) -> tuple[str, ...]:
    return tuple(word.removeprefix("SERVER=") for word in rest.split() if word.startswith("SERVER="))
