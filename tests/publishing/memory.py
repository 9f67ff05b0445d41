"""
A node's Tor and its directories, in memory and in simulated time.

Owns: an instance on a ``FakeTor``, a consensus with a few dozen relays, and what each of them holds. In: what a test
lets Tor or the relays do; out: posts and events as the real ones would give them.
"""

import os
import tempfile
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from twisted.internet.task import Clock

from rustbalance.cluster.keys import NodeKey
from rustbalance.coordination.conversation import Conversation
from rustbalance.coordination.service import Coordination
from rustbalance.coordination.settings import CoordinationSettings
from rustbalance.moment import Moment
from rustbalance.onion.consensus import parse_consensus, parse_microdescriptors
from rustbalance.onion.descriptor import Descriptor, decode, decode_outer, encode
from rustbalance.onion.keys import DescriptorSigningKey, MasterKey, subcredential
from rustbalance.onion.plan import PublicationPlan, SeatPlan, plan_publication
from rustbalance.publishing.counters import RevisionStore
from rustbalance.publishing.publisher import Publisher
from rustbalance.publishing.settings import PublishSettings
from rustbalance.secrets import Secret
from rustbalance.testing.fake_tor import FakeTor
from rustbalance.tor.pair import TorPair
from tests.bench.network import VALID_AFTER, consensus_and_microdescriptors
from tests.publishing.samples import inner
from tests.tor.test_instance import MemoryTor

T = TypeVar("T")

CONSENSUS = "dir/status-vote/current/consensus-microdesc"
MICRODESCRIPTORS = "md/all"
HOURS = VALID_AFTER // 3600 + 54


class Node:
    """
    A publisher in a cluster of one, and everything it talks to.

    ``held``: the last text that each relay took, by relay and blinded key. ``deaf``: relays that never answer.
    ``cut``: relays to which Tor breaks off what it uploads.
    ``refused``: texts of ours that a relay did not take. Nodes of one cluster (``tests.coordination.memory``) share the
    ``clock`` and what is ``held``.
    """

    def __init__(self, name: str = "alpha", clock: Clock | None = None, **figures: float) -> None:
        self.name = name
        self.clock = clock or Clock()
        self.consensus, self.microdescriptors = consensus_and_microdescriptors(40)
        self.master = MasterKey.from_seed(Secret.copy_of(b"s" * 32))
        self.plan = self.planned()
        self.tor = FakeTor(relays={relay.fingerprint for relay in parse_consensus(self.consensus).relays})
        self.tor.info |= {CONSENSUS: self.consensus, MICRODESCRIPTORS: self.microdescriptors}
        self.instance = MemoryTor(self.tor, self.clock)
        self.pair = TorPair(self.instance, None, self.clock)
        self.answered: dict[int, int] = {}
        self.directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.held: dict[tuple[str, bytes], bytes] = {}
        self.deaf: set[str] = set()
        self.cut: set[str] = set()
        self.streams = 0
        self.node_key = NodeKey(Secret.copy_of(name.encode().ljust(32)))
        self.settings = CoordinationSettings(node=name, directory=self.directory)
        self.publish_settings = PublishSettings(**figures)  # type: ignore[arg-type]
        self.refused = 0
        self.make()

    def add_standby(self) -> None:
        """Give it a second Tor, which knows the same network; before the start."""
        self.second = FakeTor(relays=self.tor.relays)
        self.second.info |= {CONSENSUS: self.consensus, MICRODESCRIPTORS: self.microdescriptors}
        self.standby = MemoryTor(self.second, self.clock, "standby")
        self.pair = TorPair(self.instance, self.standby, self.clock)
        self.publish_settings = replace(self.publish_settings, expected_points=6)
        self.make()

    def make(self) -> None:
        """Make its services, as at each start of the process."""
        self.publisher = Publisher(
            self.pair,
            self.master,
            self.publish_settings,
            RevisionStore(self.directory / "counters.json"),
            self.clock,
            os.urandom,
            self.name,
            testing=False,
            clocks=self.now,
            in_thread=self.at_once,
        )
        self.coordination = Coordination(
            self.settings, self.node_key, self.publisher, self.conversation(), self.clock, os.urandom, self.now
        )

    def conversation(self) -> Conversation | None:
        """Return what it speaks with others by."""
        return None

    async def at_once(self, function: Callable[[], T]) -> T:
        """Run it here."""
        return function()

    def now(self) -> Moment:
        """Return the simulated time: ten minutes after the consensus became valid, at the start."""
        return Moment(self.clock.seconds(), VALID_AFTER + 600 + self.clock.seconds())

    def planned(self) -> PublicationPlan:
        """Return what has to be published where."""
        known = parse_microdescriptors(self.microdescriptors)
        return plan_publication(parse_consensus(self.consensus), known, self.master.public, testing=False)

    def start(self) -> None:
        """Start the services and let everything settle."""
        self.pair.startService()
        self.publisher.startService()
        self.coordination.startService()
        self.settle()

    def stop(self) -> None:
        """Stop what publishes; Tor goes on."""
        self.coordination.stopService()
        self.publisher.stopService()

    def restart(self) -> None:
        """Stop what publishes and start it again, with what is on disk."""
        self.stop()
        self.make()
        self.publisher.startService()
        self.coordination.startService()

    def settle(self, rounds: int = 12) -> None:
        """Move all bytes, let relays answer what was posted, until nothing moves any more."""
        for _ in range(rounds):
            for instance in self.pair.instances:
                if isinstance(instance, MemoryTor) and instance.endpoint.pump is not None:
                    instance.endpoint.pump.flush()
            self.clock.advance(0)
            self._answer()

    def later(self, seconds: float, step: float = 0.25) -> None:
        """Let time pass, in steps."""
        for _ in range(round(seconds / step)):
            self.clock.advance(step)
            self.settle()

    def rotate(self) -> None:
        """Let the first consensus with a new shared random value come."""
        text = self.consensus
        for hour, later in ((15, b"24 00"), (16, b"24 01"), (18, b"24 03")):
            text = text.replace(b" 2026-11-23 %d:00:00" % hour, b" 2026-11-%s:00:00" % later)
        lines = text.split(b"\n")
        place = next(i for i, line in enumerate(lines) if line.startswith(b"shared-rand-previous-value"))
        lines[place] = lines[place + 1].replace(b"current", b"previous")
        lines[place + 1] = b"shared-rand-current-value 9 " + b64encode(b"n" * 32)
        self.consensus = self.tor.info[CONSENSUS] = b"\n".join(lines)
        self.plan = self.planned()
        self.tor.emit("STATUS_CLIENT NOTICE CONSENSUS_ARRIVED")
        self.settle()

    def have_points(self, *numbers: int, seat: SeatPlan | None = None, tor: FakeTor | None = None) -> None:
        """Let Tor have introduction points with these numbers, in its descriptor for the period of ``seat``."""
        plan = seat or self.plan.first
        blinded = self.master.blind(plan.period)
        (tor or self.tor).info[f"hs/service/desc/id/{self.master.address.label}"] = encode(
            inner(*numbers, hours=HOURS),
            blinded,
            subcredential(self.master.public, blinded.public),
            revision=1,
            now=int(self.now().wall),
            signing_key=DescriptorSigningKey(Secret.copy_of(b"d" * 32)),
            random_bytes=os.urandom,
        )

    def plant(self, relay: str, seat: SeatPlan, ahead: int) -> int:
        """Let a relay hold a descriptor whose counter is ``ahead`` of what we would use now; return the counter."""
        revision = int(self.revision(relay, seat)) + ahead
        blinded = self.master.blind(seat.period)
        self.held[relay, blinded.public] = encode(
            inner(9, hours=HOURS),
            blinded,
            subcredential(self.master.public, blinded.public),
            revision=revision,
            now=int(self.now().wall),
            signing_key=DescriptorSigningKey(Secret.copy_of(b"d" * 32)),
            random_bytes=os.urandom,
        )
        return revision

    def revision(self, relay: str, seat: SeatPlan) -> int:
        """Return the counter of what a relay holds, 0 when it holds nothing."""
        text = self.held.get((relay, seat.blinded_public))
        return 0 if text is None else decode_outer(text).revision

    def descriptor(self, relay: str, seat: SeatPlan) -> Descriptor:
        """Return what a relay holds, as a client would read it."""
        text = self.held[relay, seat.blinded_public]
        return decode(text, subcredential(self.master.public, seat.blinded_public))

    def points(self, relay: str, seat: SeatPlan) -> set[int]:
        """Return the numbers of the introduction points that clients would find there."""
        return {point.auth_key[0] for point in self.descriptor(relay, seat).inner.points}

    def _answer(self) -> None:
        for instance in self.pair.instances:
            if isinstance(instance, MemoryTor):
                self._answer_through(instance.tor)

    def _answer_through(self, tor: FakeTor) -> None:
        posted, self.answered[id(tor)] = tor.posted[self.answered.get(id(tor), 0) :], len(tor.posted)
        for post in posted:
            for relay in post.directories:
                self.streams += 1
                target = f"127.0.0.1.${relay}.exit:9001"
                tor.emit(f"STREAM {self.streams} NEW 0 {target} PURPOSE=DIR_UPLOAD")
                if relay in self.deaf:
                    continue
                tor.emit(f"STREAM {self.streams} CLOSED 4 {target} REASON=DONE")
                if relay not in self.cut:
                    self._take(relay, post.text, post.address, tor)

    def _take(self, relay: str, text: bytes, address: str, tor: FakeTor) -> None:
        outer = decode_outer(text)
        held = self.held.get((relay, outer.blinded_public))
        if held is None or decode_outer(held).revision < outer.revision:
            self.held[relay, outer.blinded_public] = text
            tor.emit(f"HS_DESC UPLOADED {address} UNKNOWN ${relay}~relay")
            return
        self.refused += 1
        key = b64encode(outer.blinded_public).decode().rstrip("=")
        tor.emit(f"HS_DESC FAILED {address} NO_AUTH ${relay}~relay {key} REASON=UPLOAD_REJECTED")
