"""What joining remembers: it comes back whole, or it is said that it does not."""

import shutil
import stat

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.joining.records import Change, Heard, Joining, Ledger, Promise, StateDamaged, StateFile, Used
from tests.cluster.samples import NOW, PUBLIC, record
from tests.joining.samples import folder, ticket

LEDGER = Ledger(
    used=(Used(b"t" * 32, PUBLIC["a"], NOW.wall),),
    heard=(Heard(b"n" * 16, NOW.wall + 0.5),),
    promises=(Promise("10.200.200.7", PUBLIC["b"], NOW.wall),),
    changes=(Change(PUBLIC["c"], NOW.wall, True),),
)
JOINING = Joining(
    ticket=ticket(), binding=b"b" * 64, records=(record("a"),), tunnel_ip="fd00::1", joined_at=NOW.wall, members=()
)


class StateFileTests(SynchronousTestCase):
    """Both kinds of files."""

    def setUp(self) -> None:
        """Make a directory."""
        self.directory = folder()
        self.addCleanup(shutil.rmtree, self.directory)
        self.ledger = StateFile(self.directory / "a", Ledger)
        self.joining = StateFile(self.directory / "b", Joining)

    def test_round_trip(self) -> None:
        """What was written last is read, signatures and all; the file is private."""
        self.ledger.write(Ledger())
        self.ledger.write(LEDGER)
        self.joining.write(JOINING)
        self.assertEqual((self.ledger.read(), self.joining.read()), (LEDGER, JOINING))
        self.assertEqual(stat.S_IMODE((self.directory / "a").stat().st_mode), 0o600)

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
        self.assertRaises(StateDamaged, StateFile(self.directory / "a", Joining).read)
        self.assertRaises(StateDamaged, StateFile(self.directory, Ledger).read)

    @settings(deadline=None, max_examples=50)
    @given(st.binary(max_size=200))
    def test_any_bytes(self, data: bytes) -> None:
        """Whatever is in the file, a value or that one error."""
        (self.directory / "a").write_bytes(data)
        try:
            self.assertIsInstance(self.ledger.read(), Ledger)
        except StateDamaged:
            return
