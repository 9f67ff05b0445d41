"""
How long it takes from the text of a consensus to the directories of both descriptors, and who waits for it.

Beside it, in the same run, Onionbalance's way: stem parses consensus and microdescriptors, and every lookup hashes
every relay anew. Targets: under 150 ms, at least 10 times as fast, no block of the event loop over 10 ms.

The event loop is kept free by a thread: nothing in the parser is one long call of the interpreter (relays are matched
one by one; the longest single call sorts 9,000 hashes), so that the interpreter lock can change hands. Two settings of
the interpreter bound the rest, here as in the daemon: a switch interval of 1 ms (a loop that wakes up waits that long
for the lock, two or three times per turn; Python's 5 ms leave nothing of the 10), and ``gc.freeze()`` once everything
is imported (a full collection of what the imports leave behind stops all threads for 15 ms and more).

A block is counted in processor time: on a busy machine the thread that has the lock also waits for its core, and that
says nothing about us. The same in wall time is printed beside it.
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
from time import perf_counter, process_time
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
HEARTBEAT = 0.001
SWITCH_INTERVAL = 0.001


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
    """Beats every millisecond, and remembers the longest gap between two beats in wall and in processor time."""

    def __init__(self) -> None:
        self.longest = (0.0, 0.0)
        self._loop = task.LoopingCall(self._beat)
        self._last = (perf_counter(), process_time())

    def start(self) -> None:
        """Begin, at once."""
        self._last = (perf_counter(), process_time())
        self._loop.start(HEARTBEAT)

    def stop(self) -> None:
        """End; the time since the last beat counts too."""
        self._loop.stop()
        self._beat()

    def _beat(self) -> None:
        now = (perf_counter(), process_time())
        gaps = (now[0] - self._last[0], now[1] - self._last[1])
        self.longest = (max(self.longest[0], gaps[0]), max(self.longest[1], gaps[1]))
        self._last = now


def longest_block(work: Callable[[], object]) -> tuple[float, float]:
    """Return for how long, in wall and in processor time, a reactor stood still while a thread did ``work``."""
    heartbeat = Heartbeat()

    async def measure() -> None:
        try:
            heartbeat.start()
            for _ in range(3 * ROUNDS):
                await threads.deferToThread(work)
            heartbeat.stop()
        finally:
            reactor.stop()

    reactor.callWhenRunning(lambda: deferred(measure()))
    reactor.run()
    return heartbeat.longest


def main() -> int:
    """Print the figures; return 1 when a target is missed."""
    texts = consensus_and_microdescriptors(RELAYS)
    times, plans = zip(*(timed(lambda: ours(*texts)) for _ in range(ROUNDS)), strict=True)
    their_times, lookups = zip(*(timed(lambda: theirs(*texts, plans[0])) for _ in range(ROUNDS // 2)), strict=True)
    if lookups[0] != [seat.directories for seat in plans[0]]:
        raise AssertionError("both sides must find the same directories")
    mine, other = statistics.median(times), statistics.median(their_times)
    kept, peak = kept_by(lambda: ours(*texts))
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.freeze()
    wall, own = longest_block(lambda: ours(*texts))
    print(f"{RELAYS} relays, consensus {len(texts[0]) / 1e6:.1f} MB, microdescriptors {len(texts[1]) / 1e6:.1f} MB")
    print(f"both rings, from text to directories: {mine * 1e3:.0f} ms (worst {max(times) * 1e3:.0f} ms; target 150 ms)")
    print(f"Onionbalance's way (stem): {other * 1e3:.0f} ms")
    print(f"ratio: {other / mine:.1f} (target {LEAST_RATIO:.0f})")
    print(f"longest block of the event loop: {own * 1e3:.1f} ms (wall {wall * 1e3:.1f} ms; target 10 ms)")
    print(f"memory: {peak / 1e6:.1f} MB at most on the way, {kept / 1e3:.0f} kB kept in the plan")
    good = mine < LONGEST and other / mine >= LEAST_RATIO and own <= LONGEST_BLOCK
    print("targets met" if good else "TARGET MISSED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
