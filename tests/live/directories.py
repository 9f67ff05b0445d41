"""
What the directories hand out to clients, asked one by one.

Owns: a client Tor that serves no visitor (what it fetches would be known to theirs as well). In: the shared network, an
address; out: the descriptor that each responsible directory holds.
"""

import random
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.internet import reactor as global_reactor

from rustbalance.lab import torrc
from rustbalance.lab.control import ControlLink
from rustbalance.lab.ports import PortBlock
from rustbalance.lab.state import NetworkState
from rustbalance.lab.tor import LabTor
from rustbalance.life import pause
from rustbalance.onion.address import OnionAddress
from rustbalance.onion.consensus import parse_microdescriptors
from rustbalance.onion.descriptor import decode
from rustbalance.onion.keys import subcredential
from rustbalance.onion.parameters import HSDIR_INTERVAL
from rustbalance.onion.periods import between_period_and_srv, period_length
from rustbalance.onion.plan import SeatPlan, plan_publication

reactor: Any = global_reactor
BOOT = 60.0
#: Seconds that one round may take: a directory that has not answered by then has no say in it.
ROUND = 8.0


@dataclass(frozen=True)
class Held:
    """A descriptor that a directory holds: for which period, with which counter, with how many points."""

    period: int
    revision: int
    points: int


class Directories:
    """The directories of C{address}, as far as clients ask them now; C{stop} it."""

    def __init__(self, network: NetworkState, address: OnionAddress) -> None:
        self._address = address
        self._ports = PortBlock.reserve(random.Random())
        self._directory = Path(tempfile.mkdtemp(prefix="rb-d-", dir="/tmp"))
        port = self._ports.take()
        options = Path(network.include_path).read_text() + torrc.client(port, 0)
        self._tor = LabTor("asker", self._directory, options, reactor, port)
        self._link: ControlLink | None = None
        self._heard: dict[str, str] = {}

    async def start(self) -> None:
        """Boot the Tor."""
        self._tor.start()
        link = self._link = await self._tor.control()
        began = reactor.seconds()
        while "PROGRESS=100" not in await link.ask("status/bootstrap-phase"):
            if reactor.seconds() > began + BOOT:
                raise AssertionError(f"a client has not booted within {BOOT:g} s")
            await pause(reactor, 0.2)
        await link.listen("HS_DESC_CONTENT", self._content)

    async def stop(self) -> None:
        """End the Tor."""
        link, self._link = self._link, None
        if link is not None:
            await link.close()
        await self._tor.stop()
        self._ports.release()
        shutil.rmtree(self._directory, ignore_errors=True)

    async def ask(self) -> dict[str, Held | None]:
        """Return what each directory holds, None for nothing; those that have not answered are left out."""
        assert self._link is not None
        seat = await self._seat(self._link)
        self._heard = {}
        servers = " ".join(f"SERVER=${fingerprint}" for fingerprint in seat.directories)
        await self._link.send(f"HSFETCH {self._address.label} {servers}")
        began = reactor.seconds()
        while self._heard.keys() < set(seat.directories) and reactor.seconds() < began + ROUND:
            await pause(reactor, 0.05)
        return {directory: self._read(text, seat) for directory, text in self._heard.items()}

    async def _seat(self, link: ControlLink) -> SeatPlan:
        """Return which of the two descriptors clients fetch now: that of the period in which we are."""
        consensus = await link.consensus()
        known = parse_microdescriptors((await link.ask("md/all")).encode())
        plan = plan_publication(consensus, known, self._address.public_key, testing=True)
        interval = consensus.voting_interval
        length = period_length(interval, HSDIR_INTERVAL.of(consensus.params), testing=True)
        between = between_period_and_srv(consensus.valid_after, interval, length)
        return plan.second if between else plan.first

    def _content(self, event: str) -> None:
        head, _, text = event.partition("\n")
        address, _, directory, *_ = head.split()
        if address == self._address.label:
            self._heard[directory.lstrip("$").partition("~")[0]] = text.removesuffix("OK").strip()

    def _read(self, text: str, seat: SeatPlan) -> Held | None:
        if not text:
            return None
        key = subcredential(self._address.public_key, seat.blinded_public)
        found = decode((text + "\n").encode(), key)
        return Held(seat.period.number, found.revision, len(found.inner.points))
