"""What joining remembers: it comes back whole, or it is said that it does not."""

import shutil
import stat
from collections.abc import Callable
from typing import TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.joining.records import Change, Heard, JoinFile, Joining, Ledger, Promise, StateDamaged, Used
from tests.cluster.samples import NOW, PUBLIC, record
from tests.joining.samples import folder, ticket

T = TypeVar("T")
LEDGER = Ledger(
    used=(Used(b"t" * 32, PUBLIC["a"], NOW.wall),),
    heard=(Heard(b"n" * 16, NOW.wall + 0.5),),
    promises=(Promise("10.200.200.7", PUBLIC["b"], NOW.wall),),
    changes=(Change(PUBLIC["c"], NOW.wall, True),),
)
JOINING = Joining(
    ticket=ticket(), binding=b"b" * 64, records=(record("a"),), tunnel_ip="fd00::1", joined_at=NOW.wall, members=()
)


class JoinFileTests(SynchronousTestCase):
    """Both kinds of files."""

    def setUp(self) -> None:
        """Make a directory."""
        self.directory = folder()
        self.addCleanup(shutil.rmtree, self.directory)
        self.ledger = JoinFile(self.directory / "a", Ledger)
        self.joining = JoinFile(self.directory / "b", Joining)

    def test_round_trip(self) -> None:
        """What was written last is read, signatures and all; the file is private."""
        self.ledger.write(Ledger())
        self.ledger.write(LEDGER)
        self.joining.write(JOINING)
        self.assertEqual((self.ledger.read(), self.joining.read()), (LEDGER, JOINING))
        self.assertEqual(stat.S_IMODE((self.directory / "a").stat().st_mode), 0o600)

    def test_kept_in_turn(self) -> None:
        """What is kept is written after what was to be kept before, also when nobody waits for that any more."""
        holds: list[Deferred[None]] = []

        async def slow(work: Callable[[], T], /) -> T:
            holds.append(Deferred())
            await holds[-1]
            return work()

        file = JoinFile(self.directory / "a", Ledger, slow)
        first, second = file.keep(Ledger()), file.keep(LEDGER)
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertEqual(len(holds), 1)
        holds[0].callback(None)
        self.assertEqual(file.read(), Ledger())
        self.assertNoResult(second)
        holds[1].callback(None)
        self.successResultOf(second)
        self.assertEqual(file.read(), LEDGER)

    def test_not_kept(self) -> None:
        """A disk that takes nothing is told to whoever waits."""
        self.failureResultOf(JoinFile(self.directory / "gone" / "a", Ledger).keep(LEDGER), OSError)

    def test_nothing_there(self) -> None:
        """No file is no value, and no error."""
        self.assertIsNone(self.ledger.read())

    def test_damaged(self) -> None:
        """Half a file, the other kind, a directory: one error that names the file."""
        self.ledger.write(LEDGER)
        whole = (self.directory / "a").read_bytes()
        for data in (b"", whole[:-1], b"[1]", b"\xff", b"[" * 100_000, b'{"used": [1]}'):
            (self.directory / "a").write_bytes(data)
            self.assertIn(str(self.directory / "a"), str(self.assertRaises(StateDamaged, self.ledger.read)))
        self.ledger.write(LEDGER)
        self.assertRaises(StateDamaged, JoinFile(self.directory / "a", Joining).read)
        self.assertRaises(StateDamaged, JoinFile(self.directory, Ledger).read)

    @settings(deadline=None, max_examples=50)
    @given(st.binary(max_size=200))
    def test_any_bytes(self, data: bytes) -> None:
        """Whatever is in the file, a value or that one error."""
        (self.directory / "a").write_bytes(data)
        try:
            self.assertIsInstance(self.ledger.read(), Ledger)
        except StateDamaged:
            return
