"""
How long it takes from the text of a consensus to the directories of both descriptors, and who waits for it.

Beside it, in the same run, Onionbalance's way: stem parses consensus and microdescriptors, and every lookup hashes
every relay anew. Targets: under 150 ms, at least 10 times as fast, no block of the event loop over 10 ms.

The event loop is kept free by a thread: nothing in the parser is one long call of the interpreter (relays are matched
one by one; the longest single call sorts 9,000 hashes), so that the interpreter lock changes hands every switch
interval, which is left at Python's 5 ms. What else would stop the loop is a full garbage collection, 15 ms and more for
the objects that imports leave behind; ``gc.freeze()`` at the start takes those out of it, here as in the daemon.

Another process that takes the core away looks like a block. Blocks of our own come again every time, so the longest
one is taken of each of three batches, and the best batch counts.
"""

import base64
import gc
import hashlib
import io
import statistics
import sys
import tracemalloc
from bisect import bisect_left
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import TypeVar

from stem.descriptor import microdescriptor
from stem.descriptor.networkstatus import NetworkStatusDocumentV3
from stem.descriptor.router_status_entry import RouterStatusEntryMicroV3
from twisted.internet import reactor, task, threads

from rustbalance.life import deferred
from rustbalance.onion.consensus import parse_consensus, parse_microdescriptors
from rustbalance.onion.plan import PublicationPlan, SeatPlan, plan_publication
from tests.bench.network import consensus_and_microdescriptors

T = TypeVar("T")

RELAYS = 9_000
IDENTITY = bytes.fromhex("8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c")
LONGEST = 0.150
LONGEST_BLOCK = 0.010
LEAST_RATIO = 10.0
ROUNDS = 9
BATCHES = 3
HEARTBEAT = 0.001


def ours(consensus: bytes, microdescriptors: bytes) -> PublicationPlan:
    """Parse and plan, as the daemon does at each new consensus."""
    identities = parse_microdescriptors(microdescriptors)
    return plan_publication(parse_consensus(consensus), identities, IDENTITY, testing=False)


def theirs(consensus: bytes, microdescriptors: bytes, seats: Iterable[SeatPlan]) -> list[tuple[str, ...]]:
    """Parse with stem and look the same descriptors up; the newline is put back, so that both sides see all relays."""
    statuses = list(NetworkStatusDocumentV3(consensus).routers.values())
    descriptors = {found.digest(): found for found in microdescriptor._parse_file(io.BytesIO(microdescriptors + b"\n"))}
    nodes = [
        (status, descriptors[status.microdescriptor_digest])
        for status in statuses
        if status.microdescriptor_digest in descriptors
    ]
    return [_their_lookup(nodes, seat) for seat in seats]


def _their_lookup(
    nodes: list[tuple[RouterStatusEntryMicroV3, microdescriptor.Microdescriptor]], seat: SeatPlan
) -> tuple[str, ...]:
    placed = {}
    for status, descriptor in nodes:
        if "HSDir" in status.flags:
            placed[_their_index(descriptor.identifiers["ed25519"], seat)] = status.fingerprint
    indexes = sorted(placed)
    chosen: list[str] = []
    for replica in (1, 2):
        place = bisect_left(indexes, _their_place(replica, seat))
        added = 0
        while added < 4:
            name = placed[indexes[place % len(indexes)]]
            place += 1
            if name not in chosen:
                chosen.append(name)
                added += 1
    return tuple(chosen)


def _their_index(identity: str, seat: SeatPlan) -> bytes:
    number, length = seat.period.number.to_bytes(8, "big"), seat.period.length.to_bytes(8, "big")
    return hashlib.sha3_256(b"node-idx" + base64.b64decode(identity + "=") + seat.srv + number + length).digest()


def _their_place(replica: int, seat: SeatPlan) -> bytes:
    numbers = b"".join(part.to_bytes(8, "big") for part in (replica, seat.period.length, seat.period.number))
    return hashlib.sha3_256(b"store-at-idx" + seat.blinded_public + numbers).digest()


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Return how many seconds ``work`` took, and its result."""
    gc.collect()
    start = perf_counter()
    result = work()
    return perf_counter() - start, result


def kept_by(work: Callable[[], T]) -> tuple[int, int]:
    """Return the bytes that the result of ``work`` takes, and the most that were in use on the way."""
    tracemalloc.start()
    result = work()
    gc.collect()
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del result
    return kept, peak


class Heartbeat:
    """Beats every millisecond and remembers the longest time by which one was late."""

    def __init__(self) -> None:
        self._loop = task.LoopingCall(self._beat)
        self._last = 0.0
        self._late = 0.0

    def start(self) -> None:
        """Forget what was, and begin."""
        self._last, self._late = perf_counter(), 0.0
        self._loop.start(HEARTBEAT)

    def stop(self) -> float:
        """End, and return the longest delay in seconds."""
        self._loop.stop()
        self._beat()
        return self._late

    def _beat(self) -> None:
        now = perf_counter()
        self._late = max(self._late, now - self._last - HEARTBEAT)
        self._last = now


async def longest_block(work: Callable[[], object]) -> float:
    """Return the longest time for which the event loop stood still while a thread did ``work`` several times."""
    heartbeat = Heartbeat()
    heartbeat.start()
    for _ in range(ROUNDS):
        await threads.deferToThread(work)
    return heartbeat.stop()


def blocks(work: Callable[[], object]) -> list[float]:
    """Return the longest block of each batch, measured in a running reactor."""
    found: list[float] = []

    async def measure() -> None:
        try:
            found.extend([await longest_block(work) for _ in range(BATCHES)])
        finally:
            reactor.stop()

    reactor.callWhenRunning(lambda: deferred(measure()))
    reactor.run()
    return found


def main() -> int:
    """Print the figures; return 1 when a target is missed."""
    texts = consensus_and_microdescriptors(RELAYS)
    times, plans = zip(*(timed(lambda: ours(*texts)) for _ in range(ROUNDS)), strict=True)
    their_times, lookups = zip(*(timed(lambda: theirs(*texts, plans[0])) for _ in range(ROUNDS // 2)), strict=True)
    if lookups[0] != [seat.directories for seat in plans[0]]:
        raise AssertionError("both sides must find the same directories")
    mine, other = statistics.median(times), statistics.median(their_times)
    kept, peak = kept_by(lambda: ours(*texts))
    gc.freeze()
    late = blocks(lambda: ours(*texts))
    print(f"{RELAYS} relays, consensus {len(texts[0]) / 1e6:.1f} MB, microdescriptors {len(texts[1]) / 1e6:.1f} MB")
    print(f"both rings, from text to directories: {mine * 1e3:.0f} ms (worst {max(times) * 1e3:.0f} ms; target 150 ms)")
    print(f"Onionbalance's way (stem): {other * 1e3:.0f} ms")
    print(f"ratio: {other / mine:.1f} (target {LEAST_RATIO:.0f})")
    print(f"longest block of the event loop, per batch: {_milliseconds(late)} (target 10 ms)")
    print(f"memory: {peak / 1e6:.1f} MB at most on the way, {kept / 1e3:.0f} kB kept in the plan")
    good = mine < LONGEST and other / mine >= LEAST_RATIO and min(late) <= LONGEST_BLOCK
    print("targets met" if good else "TARGET MISSED")
    return 0 if good else 1


def _milliseconds(values: Iterable[float]) -> str:
    return ", ".join(f"{value * 1e3:.1f} ms" for value in values)


if __name__ == "__main__":
    sys.exit(main())
