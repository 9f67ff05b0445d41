"""Tests for L{rustbalance.publishing.builder}."""

import os
import shutil
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.onion.descriptor import DescriptorTooLarge, decode
from rustbalance.onion.keys import MasterKey, blind_public, subcredential
from rustbalance.onion.periods import TimePeriod
from rustbalance.onion.plan import Seat, SeatPlan
from rustbalance.onion.revision import revision_at
from rustbalance.publishing.builder import Builder
from rustbalance.publishing.counters import RevisionStore
from rustbalance.secrets import Secret
from tests.publishing.samples import START, A, inner

NOW = START.wall


class BuilderTests(SynchronousTestCase):
    """L{Builder} makes the texts, with the right keys and counters."""

    def setUp(self) -> None:
        directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, directory)
        self.master = MasterKey.from_seed(Secret.copy_of(b"s" * 32))
        self.builder = Builder(self.master, RevisionStore(directory / "counters.json"), os.urandom)
        self.first, self.second, self.third = (self.seat(number) for number in (100, 101, 102))
        self.builder.prepare([self.first, self.second])

    def seat(self, number: int) -> SeatPlan:
        """Return what is to be published for a period."""
        period = TimePeriod(number, 1440)
        return SeatPlan(
            Seat.FIRST, period, blind_public(self.master.public, period), bytes(32), int(NOW) - 50_000, (A,)
        )

    def test_readable_by_clients(self) -> None:
        """A client of the address finds our points and counter in the text."""
        built = self.builder.build(self.second, inner(1, 2, 3), 77, NOW, 50_000)
        credential = subcredential(self.master.public, self.second.blinded_public)
        found = decode(built.text, credential, now=int(NOW))
        self.assertEqual((found.revision, found.blinded_public), (77, self.second.blinded_public))
        self.assertEqual([point.auth_key[0] for point in found.inner.points], [1, 2, 3])

    def test_same_signing_key_for_a_period(self) -> None:
        """As with Tor, the descriptors of a period are signed with one key, and those of another with another."""
        keys = []
        for seat in (self.first, self.first, self.second):
            text = self.builder.build(seat, inner(1), 1, NOW, 50_000).text
            keys.append(decode(text, subcredential(self.master.public, seat.blinded_public)).signing_key)
        self.assertEqual(keys[0], keys[1])
        self.assertNotEqual(keys[0], keys[2])

    def test_counter_is_tors(self) -> None:
        """The counter is the one that Tor would use, until that was used; with a lead it is ahead."""
        key = self.master.blind(self.first.period).revision_key()
        scheme = revision_at(key, self.first, NOW)
        self.assertEqual(self.builder.next_revision(self.first, NOW), scheme)
        self.assertEqual(self.builder.next_revision(self.first, NOW), scheme + 1)
        self.assertEqual(self.builder.next_revision(self.first, NOW + 60), revision_at(key, self.first, NOW + 60))

    def test_keys_of_other_periods_are_wiped(self) -> None:
        """When a period is over its keys are wiped; those that go on stay the same."""
        old, kept = (self.builder._keys[seat.blinded_public] for seat in (self.first, self.second))
        self.builder.prepare([self.second, self.third])
        self.assertEqual((old.blinded.secret.alive, old.signing._secret.alive), (False, False))
        self.assertIs(self.builder._keys[self.second.blinded_public], kept)
        self.assertTrue(kept.blinded.secret.alive)
        self.assertRaises(KeyError, self.builder.build, self.first, inner(1), 1, NOW, 50_000)

    def test_wiped(self) -> None:
        """After the wipe no key of any period is left; the master key is the caller's."""
        keys = list(self.builder._keys.values())
        self.builder.wipe()
        self.assertEqual([each.blinded.secret.alive for each in keys], [False, False])
        self.assertTrue(self.master.secret.alive)

    def test_size_of_the_network(self) -> None:
        """What the consensus allows is the limit, not a constant."""
        self.assertRaises(DescriptorTooLarge, self.builder.build, self.first, inner(1), 1, NOW, 10_000)
