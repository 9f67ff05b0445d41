"""Tests for L{rustbalance.publishing.outlook}."""

from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.onion.plan import Seat
from rustbalance.publishing.commands import Command, Post
from rustbalance.publishing.outlook import Outlook
from rustbalance.publishing.settings import PublishSettings
from rustbalance.publishing.track import Standing
from rustbalance.publishing.uploads import Uploads
from tests.publishing.looking import planned
from tests.publishing.samples import START, A, B, C, at, plan


class Witness:
    """A watcher that counts."""

    published = followed = 0

    def on_published(self) -> None:
        """Count."""
        self.published += 1

    def on_follow(self) -> None:
        """Count."""
        self.followed += 1


class OutlookTests(SynchronousTestCase):
    """L{Outlook} knows what directories should hold, on a node that publishes and on one that does not."""

    def test_directories(self) -> None:
        """Those that visitors ask come first, in either half of the day; without a plan there are none."""
        for visited, wanted in ((Seat.FIRST, ((A, B), (C,))), (Seat.SECOND, ((C,), (A, B)))):
            self.ring.plan = planned(visited, (A, B), (C,))
            self.assertEqual(self.outlook.directories(), wanted)
        self.ring.plan = None
        self.assertEqual(self.outlook.directories(), ((), ()))

    def setUp(self) -> None:
        self.seconds = 0.0
        self.done: list[Command] = []
        self.uploads = Uploads(PublishSettings(), lambda failures: 5.0)
        ring: Any = SimpleNamespace(plan=plan())
        self.ring = ring
        self.outlook = Outlook(ring, self.uploads, self.done.extend, lambda: at(self.seconds))
        self.first = plan().first
        self.key = self.first.blinded_public
        self.uploads.connected(START)
        self.uploads.publish(Seat.FIRST, self.key, 7, (A, B, C), START)
        self.uploads.uploaded(A, START)

    def test_own(self) -> None:
        """While it publishes itself, it knows who has confirmed what."""
        self.outlook.lead()
        self.outlook.learn({self.key.hex(): 9})
        self.assertEqual(self.outlook.standing(self.first), Standing(7, 7, frozenset((A,))))
        self.assertIsNone(self.outlook.standing(plan().second))
        self.assertEqual(self.outlook.plan, plan())

    def test_others(self) -> None:
        """While another one does, it is the counters that it has told of, expected of all its directories."""
        self.assertIsNone(self.outlook.standing(self.first))
        self.outlook.learn({self.key.hex(): 9})
        self.assertEqual(self.outlook.standing(self.first), Standing(9, 9, frozenset((A, B, C))))
        self.seconds = 1_000.0
        self.outlook.learn({self.key.hex(): 12})
        self.assertEqual(self.outlook.standing(self.first), Standing(12, 12, frozenset((A, B, C))))

    def test_old_keys_are_forgotten(self) -> None:
        """What was used for periods that are over is of no use."""
        for number in range(100):
            self.outlook.learn({f"{number:064x}": 1})
        self.assertLessEqual(len(self.outlook._heard), 3)

    def test_lost(self) -> None:
        """Only who publishes has anything posted again."""
        self.outlook.lost(self.first, 7, (A,))
        self.assertEqual(self.done, [])
        self.outlook.lead()
        self.outlook.lost(self.first, 7, (A,))
        self.assertEqual(self.done, [Post(Seat.FIRST, self.key, 7, (A,))])

    def test_watchers(self) -> None:
        """Who watches is told when something was published, and when it is another node's."""
        witness = Witness()
        self.outlook.watch(witness)
        self.outlook.lead()
        self.outlook.published()
        self.outlook.follow()
        self.assertEqual((witness.published, witness.followed, self.outlook.leading), (1, 1, False))
