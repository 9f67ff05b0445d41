"""Simulated clusters in any weather: a sample of what C{make sim-all} runs."""

import os
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster import succession
from rustbalance.cluster.election import Claim
from rustbalance.cluster.gossip import PeerTable
from rustbalance.cluster.hearing import Hearing
from rustbalance.cluster.membership import NEVER, Census, Member, Membership
from rustbalance.cluster.messages import State
from rustbalance.cluster.sources import Sources
from rustbalance.cluster.speech import Speech
from tests.sim.events import Agenda, Restless
from tests.sim.many import complaint
from tests.sim.weather import live_through
from tests.sim.world import World

SAMPLE = range(150)
SEARCHED = 150
"""Seeds within which a planted bug must show."""


class WeatherTests(SynchronousTestCase):
    """The real decisions, in bad weather and in the good weather after it."""

    def test_sample(self) -> None:
        """Nothing happens that must not, and everything comes right."""
        self.assertEqual([line for seed in SAMPLE if (line := complaint(seed, 7))], [])

    def test_other_sizes(self) -> None:
        """Small clusters and a larger one are no different."""
        for nodes, seeds in ((2, 60), (3, 60), (30, 1)):
            self.assertEqual([line for seed in range(seeds) if (line := complaint(seed, nodes))], [], f"{nodes} nodes")

    def test_liars(self) -> None:
        """Members that use up all terms they can, again and again, break nothing, and do no harm that lasts."""
        for nodes, seeds in ((3, 60), (7, 30)):
            wrong = [line for seed in range(seeds) if (line := complaint(seed, nodes, lies=0.3))]
            self.assertEqual(wrong, [], f"{nodes} nodes")

    def test_same_seed_same_trace(self) -> None:
        """A seed that goes wrong can be looked at again, event by event; another seed is another story."""
        one, two = list[str](), list[str]()
        first = live_through(4, story=one)
        second = live_through(4, story=two)
        self.assertEqual(one, two)
        self.assertEqual(first.agenda.digest, second.agenda.digest)
        self.assertNotEqual(first.agenda.digest, live_through(5).agenda.digest)

    def test_same_seed_in_another_process(self) -> None:
        """What C{make sim} tells does not depend on the order of sets, which differs from process to process."""
        stories = [
            subprocess.run(
                [sys.executable, "-m", "tests.sim.run", "--seed", "8", "--nodes", "5"],
                cwd=Path(__file__).parents[2],
                env={**os.environ, "PYTHONHASHSEED": seed},
                capture_output=True,
                timeout=60,
                check=False,
            )
            for seed in ("1", "2")
        ]
        self.assertEqual([story.returncode for story in stories], [0, 0])
        self.assertEqual(stories[0].stdout, stories[1].stdout)
        self.assertIn(b"becomes publisher", stories[0].stdout)

    def test_time_that_does_not_pass(self) -> None:
        """A timer that sets itself for now is found out."""
        agenda = Agenda()

        def again() -> None:
            agenda.after(0.0, again)

        again()
        self.assertRaises(Restless, agenda.run_until, 1.0)


class PlantedBugTests(SynchronousTestCase):
    """The simulator finds what is wrong, and says what."""

    def finds(self, planted: AbstractContextManager[object], *sentences: str) -> None:
        """Let the sample run with a bug until something goes wrong."""
        with planted:
            found = next((line for seed in range(SEARCHED) if (line := complaint(seed, 7))), "nothing found")
        self.assertTrue(any(sentence in found for sentence in sentences), found)

    def test_old_news_kills(self) -> None:
        """A verdict of death is believed whatever it rests on."""

        def accuse(self: Membership, member: Member, incarnation: int, beat: int, now: float) -> bool:
            if member.state is State.DEAD:
                return False
            member.incarnation, member.beat, member.state, member.dead_since = incarnation, beat, State.DEAD, now
            return True

        self.finds(patch.object(Membership, "accuse", accuse), "after a sign of life", "dead by evidence older")

    def test_repeated_news_is_life(self) -> None:
        """A beat that was heard before counts as a sign of life."""

        def hear(
            self: Membership, member: Member, incarnation: int, beat: int, now: float, *, relayed: bool = False
        ) -> bool:
            if (incarnation, beat) < member.evidence:
                return False
            member.incarnation, member.beat, member.heard, member.left = incarnation, beat, now, False
            return True

        self.finds(patch.object(Membership, "hear", hear), "publishes though it hears only", "sees")

    def test_sleeper_buries_the_living(self) -> None:
        """A node that hung takes the silence of that time for everybody's death."""
        self.finds(patch.object(Membership, "excuse", lambda *_: None), "after a sign of life")

    def test_terms_that_two_can_claim(self) -> None:
        """A term is just a number."""
        plain = patch.object(succession, "next_term", lambda seen, *_: seen + 1)
        self.finds(plain, "published in one term")

    def test_order_that_ignores_terms(self) -> None:
        """Claims are ordered by name."""
        by_name = patch.object(Claim, "outranks", lambda self, other: other is None or self.holder < other.holder)
        self.finds(by_name, "believed are", "publishers", "took over")

    def test_few_overwrite_many(self) -> None:
        """A node that has lost most of the others goes on as if nothing were."""
        self.finds(patch.multiple(Census, isolated=False, doubtful=False), "publishes though it hears only")

    def test_points_never_asked_for(self) -> None:
        """Points that were lost on the way are not sent again."""
        self.finds(patch.object(Speech, "points", lambda *_: iter(())), "not of the right union")

    def test_records_never_compared(self) -> None:
        """Nodes that know different peers do not exchange them."""
        self.finds(patch.object(PeerTable, "digest", lambda *_: b""), "sees", "not of the right union")

    def test_the_forgotten_come_back(self) -> None:
        """Gossip brings back who was forgotten."""
        with patch.object(World, "unpublished", lambda self: ""):
            self.finds(patch.object(PeerTable, "verdict", lambda *_: None), "knows")

    def test_old_points(self) -> None:
        """Points are published for as long as their node lives, whether it still offers them or not."""

        def unlimited(self: Sources, holding: object, now: float) -> object:
            return (points for points in holding.sets.values() if points.inner)  # type: ignore[attr-defined]

        self.finds(patch.object(Sources, "_sets", unlimited), "nobody offered")

    def test_points_of_the_unhealthy(self) -> None:
        """What a node says of its own health is not heard."""
        original = Hearing._declared

        def deaf(self: Hearing, member: Member, heartbeat: object, now: float) -> None:
            original(self, member, heartbeat, now)  # type: ignore[arg-type]
            member.declared = State.HEALTHY if member.declared is State.UNHEALTHY else member.declared

        self.finds(patch.object(Hearing, "_declared", deaf), "say that they are unhealthy")

    def test_the_dead_live_on(self) -> None:
        """Silence is not noticed."""
        self.finds(patch.object(Member, "missed_since", lambda self: float("inf")), "publishes though", "sees", "publ")
        self.assertEqual(NEVER, float("-inf"))
