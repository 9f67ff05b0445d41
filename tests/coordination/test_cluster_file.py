"""Tests for L{rustbalance.coordination.cluster_file}."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.commands import PersistedState
from rustbalance.cluster.messages import Forgotten, NodeRecord
from rustbalance.coordination.cluster_file import ClusterFile

T = TypeVar("T")
RECORD = NodeRecord("beta", b"k" * 32, 7, 100, ("direct:10.0.0.2:7",), b"s" * 64, b"b" * 16)
STATE = PersistedState(3, 1 << 40, 9, (RECORD,), ("beta",), {"ab" * 32: 123}, (Forgotten(RECORD, 1_700_000_000),))


class ClusterFileTests(SynchronousTestCase):
    """L{ClusterFile} brings a state over a restart."""

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.path = self.directory / "cluster.json"
        self.file = ClusterFile(self.path)

    def test_first_start(self) -> None:
        """There is nothing yet."""
        self.assertIsNone(self.file.load())

    def test_kept(self) -> None:
        """All of it is there again, records byte by byte; others cannot read it."""
        self.successResultOf(self.file.keep(STATE))
        self.assertEqual(ClusterFile(self.path).load(), STATE)
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)

    def test_damaged(self) -> None:
        """What cannot be read is set aside, said once, and the node begins anew."""
        for data in (b"", b"{", b"[]", b'{"term":"x"}', b"\xff\xfe", b'{"records":[["no"]]}'):
            self.path.write_bytes(data)
            with capturedLogs() as events:
                self.assertIsNone(self.file.load())
            self.assertEqual(len(events), 1)
            self.assertEqual(self.path.with_name("cluster.json.corrupt").read_bytes(), data)
            self.assertFalse(self.path.exists())

    def test_as_before(self) -> None:
        """A state that an earlier version has written is read."""
        self.path.write_bytes(b'{"incarnation":3,"term":7,"records":[]}')
        self.assertEqual(self.file.load(), PersistedState(3, 7))

    def test_slow_disk(self) -> None:
        """The caller goes on while the file is being written."""
        work: list[Callable[[], object]] = []
        done: Deferred[None] = Deferred()

        async def in_thread(function: Callable[[], T], /) -> T:
            work.append(function)
            await done
            return function()

        writing = ClusterFile(self.path, in_thread).keep(STATE)
        self.assertNoResult(writing)
        self.assertFalse(self.path.exists())
        self.assertEqual(len(work), 1)
        done.callback(None)
        self.successResultOf(writing)
        self.assertEqual(self.file.load(), STATE)

    def test_full_disk(self) -> None:
        """A disk that takes nothing is a problem until it does, and one line in the log."""
        self.directory.rename(self.directory.with_suffix(".away"))
        with capturedLogs() as events:
            self.file.keep(STATE)
            self.file.keep(STATE)
        self.assertEqual(len(events), 1)
        self.assertIn("cannot be kept", self.file.problem or "")
        self.directory.with_suffix(".away").rename(self.directory)
        self.file.keep(STATE)
        self.assertIsNone(self.file.problem)
