"""Tests for L{rustbalance.publishing.jobs}: what overtakes what. The rest is tested through the publisher."""

import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.life import deferred
from rustbalance.moment import Moment
from rustbalance.onion.consensus import parse_consensus
from rustbalance.onion.inner import InnerLayer
from rustbalance.onion.plan import Seat, SeatPlan
from rustbalance.publishing.builder import Built
from rustbalance.publishing.commands import Command, Post, Raise
from rustbalance.publishing.jobs import Nobody
from rustbalance.publishing.schedule import Answer
from rustbalance.tor.control import ControlLost, ControlTimeout, DescriptorRefused, TorControl
from tests.publishing.memory import HOURS, Node
from tests.publishing.samples import inner


class JobsTests(SynchronousTestCase):
    """L{Jobs} tells the cores what came of their commands."""

    def setUp(self) -> None:
        self.node = Node()
        self.addCleanup(shutil.rmtree, self.node.directory)
        self.node.have_points(1, 2, 3)
        self.node.start()
        self.node.later(1)
        self.jobs = self.node.publisher._jobs
        self.seat = self.node.plan.first
        self.key = self.seat.blinded_public

    def control(self) -> TorControl:
        """Return the connection to Tor."""
        assert self.node.instance.control is not None
        return self.node.instance.control

    def test_a_raise_that_was_overtaken(self) -> None:
        """A text with a raised counter is dropped when a newer one was published while it was built."""
        gate: Deferred[None] = Deferred()
        at_once = self.jobs.in_thread

        async def slow(function: object) -> object:
            self.jobs.in_thread = at_once
            await gate
            return function()  # type: ignore[operator]

        self.jobs.in_thread = slow  # type: ignore[assignment]
        raising = deferred(self.jobs.raise_counter(Raise(self.seat.seat, self.key, 60.0)))
        newer = self.jobs.texts[self.key] = self.jobs.texts[self.node.plan.second.blinded_public]
        gate.callback(None)
        self.successResultOf(raising)
        self.assertIs(self.jobs.texts[self.key], newer)

    def test_a_raise_for_a_period_that_is_over(self) -> None:
        """What is not published any more is not built again, and the tracker is told so."""
        told: list[bytes] = []

        def note(blinded: bytes, now: Moment) -> list[Command]:
            told.append(blinded)
            return []

        self.patch(self.jobs.uploads, "not_raised", note)
        self.successResultOf(deferred(self.jobs.raise_counter(Raise(self.seat.seat, b"x" * 32, 0.0))))
        self.assertEqual(told, [b"x" * 32])

    def test_a_ring_that_changes_between_the_two_builds(self) -> None:
        """The second descriptor goes to the directories that are responsible once it is made."""
        gates: list[Deferred[None]] = []

        async def slow(function: Callable[[], object]) -> object:
            gates.append(Deferred())
            await gates[-1]
            return function()

        self.jobs.in_thread = slow  # type: ignore[assignment]
        publishing = deferred(self.jobs.publish("refresh"))
        gates[0].callback(None)
        plan, second = self.node.plan, self.node.plan.second
        relays = parse_consensus(self.node.consensus).relays
        new = next(each.fingerprint for each in relays if each.fingerprint not in second.directories)
        moved = replace(second, directories=(new, *second.directories[1:]))
        self.jobs.ring.plan = replace(plan, second=moved)
        self.jobs.redirect()
        gates[1].callback(None)
        self.successResultOf(publishing)
        self.node.settle()
        revision = self.node.revision(new, second)
        self.assertEqual(revision, self.jobs.texts[second.blinded_public].revision)
        self.assertLess(self.node.revision(second.directories[0], second), revision)

    def post(self, error: Exception) -> list[tuple[tuple[str, ...], str]]:
        """Return what the tracker is told when Tor answers a post with ``error``."""
        told: list[tuple[tuple[str, ...], str]] = []

        async def fail(*_: object) -> tuple[str, ...]:
            raise error

        def note(post: Post, who: Iterable[str], why: str, now: Moment) -> list[Command]:
            told.append((tuple(who), why))
            return []

        self.patch(self.jobs.uploads, "not_posted", note)
        control = self.control()
        self.patch(control, "post_descriptor", fail)
        command = Post(self.seat.seat, self.key, 1, self.seat.directories[:2])
        self.successResultOf(deferred(self.jobs.post(control, command)))
        return told

    def test_one_that_cannot_be_built(self) -> None:
        """What is wrong with one descriptor keeps the other one from nobody, and the publish is tried again."""
        build = self.jobs.builder.build

        def broken(plan: SeatPlan, *rest: Any) -> Built:
            if plan.seat is Seat.FIRST:
                raise OSError("no")
            return build(plan, *rest)

        self.patch(self.jobs.builder, "build", broken)
        before = [each.revision or 0 for each in self.node.publisher.status()]
        self.node.publisher.publish_now()
        self.node.later(2)
        first, second = self.node.publisher.status()
        self.assertEqual(first.revision, before[0])
        self.assertGreater(second.revision or 0, before[1])
        self.assertIn("cannot be built: no", " ".join(self.node.publisher.problems()))
        self.patch(self.jobs.builder, "build", build)
        self.node.later(10)
        self.assertGreater(self.node.publisher.status()[0].revision or 0, before[0])
        self.assertEqual(self.node.publisher.problems(), ())

    def test_post_refused(self) -> None:
        """A descriptor that Tor itself refuses, or a connection that is gone, fails all directories of the post."""
        for error in (DescriptorRefused("Tor finds the descriptor faulty"), ControlLost("gone")):
            self.assertEqual(self.post(error), [(self.seat.directories[:2], str(error))])

    def test_post_unanswered(self) -> None:
        """When Tor does not answer it may have posted all the same: the deadline decides."""
        self.assertEqual(self.post(ControlTimeout("no answer")), [])


class ClusterTests(SynchronousTestCase):
    """What the cluster is told."""

    def setUp(self) -> None:
        self.node = Node()
        self.addCleanup(shutil.rmtree, self.node.directory)
        self.told: list[object] = []
        self.node.publisher.join(self)
        self.node.pair.startService()
        self.node.publisher.startService()

    def own_points(self, instance: str, inner: InnerLayer) -> None:
        """Note how many."""
        self.told.append(len(inner.points))

    def used_revision(self, blinded_public: bytes, revision: int) -> None:
        """Note for which."""
        self.told.append(blinded_public)

    def able(self, able: bool) -> None:
        """Note it."""
        self.told.append(able)

    def test_points_and_tor(self) -> None:
        """It hears of a Tor that can post, of points when a client would see a change, and of the end of both."""
        self.node.settle()
        self.node.have_points(1, 2, 3)
        self.node.later(12)
        self.node.have_points(3, 2, 1)
        self.node.later(12)
        self.node.have_points(1, 2)
        self.node.later(12)
        self.node.tor.drop()
        self.node.settle()
        self.assertEqual(self.told[:5], [True, 3, 2, 0, False])

    def test_counters(self) -> None:
        """It hears of each counter before the text with it is posted."""
        self.node.have_points(1, 2, 3)
        self.node.later(1)
        self.node.publisher.publish_sources({"alpha/primary": inner(1, hours=HOURS)}, Answer.CERTAIN)
        self.node.publisher.lead()
        self.assertEqual(self.told[-2:], [seat.blinded_public for seat in self.node.plan])

    def test_nobody(self) -> None:
        """As long as there is no cluster, nothing is missed."""
        nobody = Nobody()
        nobody.own_points("primary", InnerLayer(()))
        nobody.used_revision(b"", 1)
        nobody.able(True)
        self.node.publisher.join(nobody)
        self.node.have_points(1, 2, 3)
        self.node.later(1)
        self.assertEqual(self.node.tor.posted, [])
