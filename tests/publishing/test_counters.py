"""Tests for L{rustbalance.publishing.counters}."""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from threading import Event, Thread

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.publishing import counters as module
from rustbalance.publishing.counters import LARGEST, CounterExhausted, RevisionStore

KEY, OTHER = b"k" * 32, b"o" * 32

HAMMER = """
import sys
from pathlib import Path
from rustbalance.publishing.counters import RevisionStore

store = RevisionStore(Path(sys.argv[1]))
while True:
    for key in (b"k" * 32, b"o" * 32):
        print(key.hex(), store.next(key, 0), flush=True)
"""


class CountersTestCase(SynchronousTestCase):
    """A directory for the store."""

    def setUp(self) -> None:
        self.path = Path(tempfile.mkdtemp(dir="/tmp")) / "counters.json"
        self.addCleanup(shutil.rmtree, self.path.parent)


class RevisionStoreTests(CountersTestCase):
    """L{RevisionStore} hands out counters that only grow."""

    def test_follows_the_scheme(self) -> None:
        """The counter is the scheme's as long as that is ahead."""
        store = RevisionStore(self.path)
        self.assertEqual([store.next(KEY, 10), store.next(KEY, 20)], [10, 20])

    def test_never_the_same_twice(self) -> None:
        """A scheme that stands still or goes back does not take the counter with it."""
        store = RevisionStore(self.path)
        self.assertEqual([store.next(KEY, 10), store.next(KEY, 10), store.next(KEY, 3)], [10, 11, 12])

    def test_keys_are_apart(self) -> None:
        """Each blinded key counts for itself."""
        store = RevisionStore(self.path)
        self.assertEqual([store.next(KEY, 10), store.next(OTHER, 1)], [10, 1])
        self.assertEqual((store.last(KEY), store.last(OTHER), store.last(b"x" * 32)), (10, 1, None))

    def test_on_disk_before_it_is_used(self) -> None:
        """Another store on the same file goes on where this one is, without anything being closed."""
        RevisionStore(self.path).next(KEY, 10)
        self.assertEqual(RevisionStore(self.path).next(KEY, 0), 11)

    def test_old_keys_are_forgotten(self) -> None:
        """Keys of periods that are long over do not fill the file; those in use stay, also over restarts."""
        for period in range(30):
            store = RevisionStore(self.path)
            store.next(KEY, 0)
            store.next(bytes([period]) * 32, 5)
        again = RevisionStore(self.path)
        known = [period for period in range(30) if again.last(bytes([period]) * 32) is not None]
        self.assertEqual((again.last(KEY), known), (30, list(range(23, 30))))

    def test_beyond_what_others_used(self) -> None:
        """What another node has used for a key is passed, for that key only; what is lower changes nothing."""
        store = RevisionStore(self.path)
        store.learn({KEY.hex(): 500})
        store.learn({KEY.hex(): 400})
        self.assertEqual((store.next(KEY, 10), store.next(OTHER, 10)), (501, 10))
        store.learn({KEY.hex(): 300})
        self.assertEqual(store.next(KEY, 10), 502)
        self.assertEqual(store.next(KEY, 900), 900)

    def test_learning_does_not_wait_for_the_disk(self) -> None:
        """What others have used is learned at once while a thread waits for the disk: the event loop learns it."""
        store, begun, done = RevisionStore(self.path), Event(), Event()

        def hang(path: Path, data: bytes) -> None:
            begun.set()
            done.wait(10)

        self.patch(module, "write_atomically", hang)
        counting = Thread(target=lambda: store.next(KEY, 10))
        counting.start()
        self.addCleanup(counting.join)
        self.addCleanup(done.set)
        self.assertTrue(begun.wait(10))
        learning = Thread(target=lambda: store.learn({KEY.hex(): 99}))
        learning.start()
        learning.join(2)
        self.assertFalse(learning.is_alive())
        done.set()
        learning.join()
        self.assertEqual(store.next(KEY, 10), 100)

    def test_learning_is_bounded(self) -> None:
        """Others can tell of as many keys as they like; the last few are remembered."""
        store = RevisionStore(self.path)
        for number in range(100):
            store.learn({(bytes([number]) * 32).hex(): 50})
        self.assertEqual(store.next(bytes([99]) * 32, 1), 51)
        self.assertEqual(store.next(bytes([0]) * 32, 1), 1)

    def test_not_used_up_when_it_cannot_be_written(self) -> None:
        """A counter that did not reach the disk is not handed out, and the file stays as it is."""
        store = RevisionStore(self.path)
        store.next(KEY, 10)
        self.patch(RevisionStore, "_write", self.refuse)
        self.assertRaises(OSError, store.next, KEY, 20)
        self.assertEqual((store.last(KEY), RevisionStore(self.path).last(KEY)), (10, 10))

    def refuse(self, counters: dict[str, int]) -> None:
        """A disk that is full."""
        raise OSError("no space left on device")

    def test_the_end_of_the_numbers(self) -> None:
        """Beyond the largest counter there is none, and the last one is not handed out again."""
        store = RevisionStore(self.path)
        self.assertEqual(store.next(KEY, LARGEST), LARGEST)
        self.assertRaises(CounterExhausted, store.next, KEY, 0)

    @settings(deadline=None, max_examples=60)
    @given(st.lists(st.tuples(st.sampled_from([KEY, OTHER]), st.integers(0, 2**40), st.booleans()), max_size=12))
    def test_never_back_over_restarts(self, steps: list[tuple[bytes, int, bool]]) -> None:
        """Whatever the scheme says and whenever the store is opened anew, a key's counters strictly grow."""
        self.path.unlink(missing_ok=True)
        store = RevisionStore(self.path)
        last: dict[bytes, int] = {}
        for key, scheme, restart in steps:
            store = RevisionStore(self.path) if restart else store
            counter = store.next(key, scheme)
            self.assertGreaterEqual(counter, scheme)
            self.assertGreater(counter, last.get(key, 0) if key in last else -1)
            last[key] = counter


class DamagedFileTests(CountersTestCase):
    """A file that is not ours any more is set aside."""

    def damaged(self, data: bytes) -> RevisionStore:
        """Return the store that starts on ``data``, which it must complain about."""
        self.path.write_bytes(data)
        store = RevisionStore(self.path)
        self.assertEqual(self.path.with_name("counters.json.corrupt").read_bytes(), data)
        return store

    def test_set_aside_and_begun_anew(self) -> None:
        """Nonsense of any kind is kept beside for people, and the store works."""
        wrong = [
            b"",
            b"{",
            b"\xff\xfe",
            b"[1]",
            b'{"a": 1}',
            b'{"%s": -1}' % (b"0" * 64),
            b'{"%s": "x"}' % (b"0" * 64),
            b'{"%s": 1e30}' % (b"0" * 64),
        ]
        for data in wrong:
            self.assertEqual(self.damaged(data).next(KEY, 5), 5, data)
            self.assertEqual(RevisionStore(self.path).next(KEY, 0), 6, data)

    @settings(deadline=None, max_examples=100)
    @given(st.binary(max_size=80))
    def test_any_bytes(self, data: bytes) -> None:
        """No bytes at all make the store fail."""
        self.path.write_bytes(data)
        self.assertGreaterEqual(RevisionStore(self.path).next(KEY, 5), 5)


class KillTests(CountersTestCase):
    """The store under kill -9."""

    def test_killed_at_any_moment(self) -> None:
        """After each of twenty kills of a process that does nothing but count, no counter that it gave is unknown."""
        draw = Random(7)
        last: dict[str, int] = {}
        for _ in range(20):
            for key, counter in self.hammer(draw.uniform(0.0, 0.06)):
                self.assertGreater(counter, last.get(key, 0))
                last[key] = counter
            store = RevisionStore(self.path)
            for key, counter in last.items():
                self.assertGreaterEqual(store.last(bytes.fromhex(key)) or 0, counter)
        self.assertFalse(self.path.with_name("counters.json.corrupt").exists())
        self.assertGreater(sum(last.values()), 40)

    def hammer(self, seconds: float) -> list[tuple[str, int]]:
        """Return what a child counted until it was killed, so many seconds after its first counter."""
        child = subprocess.Popen(
            [sys.executable, "-c", HAMMER, str(self.path)], stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert child.stdout is not None
        first = child.stdout.readline()
        time.sleep(seconds)
        child.kill()
        said, _ = child.communicate(timeout=20)
        # A line may have been cut off by the kill; its counter was on disk before it was printed.
        whole = [line.split(" ") for line in (first + said).splitlines(keepends=True) if line.endswith("\n")]
        return [(key, int(counter)) for key, counter in whole]
