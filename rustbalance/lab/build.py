"""
Laying out a private Tor network before anything runs.

Owns: which Tors there are, their ports, keys and options. In: numbers and a directory; out: ``Layout``.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.internet.defer import gatherResults

from rustbalance.files import private_directory
from rustbalance.lab import torrc
from rustbalance.lab.authority import make_authority, make_relay_identity
from rustbalance.lab.ports import PortBlock
from rustbalance.lab.tor import LabTor
from rustbalance.lab.torrc import AuthorityIdentity, Timing
from rustbalance.life import deferred, now


@dataclass(frozen=True)
class Size:
    """How many authorities and relays; every one of both is a directory for onion services."""

    authorities: int = 3
    relays: int = 9

    @property
    def total(self) -> int:
        """All of them."""
        return self.authorities + self.relays


@dataclass(frozen=True)
class Layout:
    """Tors that are ready to be started. ``client`` is one of them; ``include`` is for Tors that join later."""

    relays: tuple[LabTor, ...]
    client: LabTor
    socks_port: int
    include: str


async def build(directory: Path, size: Size, timing: Timing, ports: PortBlock, reactor: Any) -> Layout:
    """
    Make keys and options afresh in ``directory``; what a network left there before is removed.

    :raises rustbalance.lab.authority.KeysNotMade: tor-gencert failed.
    """
    for old in ("client", "traffic", *_names("a", size.authorities), *_names("r", size.relays)):
        shutil.rmtree(directory / old, ignore_errors=True)
    identities = await _authorities(directory, size.authorities, ports, reactor)
    include = torrc.include(identities)
    weights = directory / "bandwidths"
    options = {one.nickname: _authority(one, weights, timing) for one in identities}
    options |= {name: torrc.relay(name, ports.take()) for name in _names("r", size.relays)}
    relays = [LabTor(name, directory / name, include + lines, reactor) for name, lines in options.items()]
    fingerprints = [one.fingerprint for one in identities]
    fingerprints += [make_relay_identity(relay.directory) for relay in relays[size.authorities :]]
    weights.write_text(torrc.bandwidths(fingerprints, int(now().wall)))
    control, socks = ports.take(), ports.take()
    client = LabTor("client", directory / "client", include + torrc.visitor(control, socks), reactor, control)
    return Layout(tuple(relays), client, socks, include)


def _names(letter: str, count: int) -> list[str]:
    return [f"{letter}{number}" for number in range(count)]


async def _authorities(directory: Path, count: int, ports: PortBlock, reactor: Any) -> list[AuthorityIdentity]:
    making = [
        deferred(make_authority(name, private_directory(directory / name), ports.take(), ports.take(), reactor))
        for name in _names("a", count)
    ]
    return await gatherResults(making, consumeErrors=True)


def _authority(identity: AuthorityIdentity, weights: Path, timing: Timing) -> str:
    return torrc.relay(identity.nickname, identity.or_port) + torrc.authority(identity.dir_port, weights, timing)
