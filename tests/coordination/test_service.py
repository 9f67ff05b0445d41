"""Tests for L{rustbalance.coordination.service}: whole nodes with their Tors and directories, in simulated time."""

import shutil

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.keys import NodeKey
from rustbalance.cluster.records import sign_record
from rustbalance.coordination.conversation import is_genuine
from rustbalance.coordination.write_ahead import LAST_WRITE
from rustbalance.ops.verbs import NotDone
from rustbalance.secrets import Secret
from tests.coordination.memory import ClusterTestCase, MemoryCarrier
from tests.publishing.memory import Node


class MergingTests(ClusterTestCase):
    """Three nodes that have only each other's places find together and publish everybody's points."""

    def test_one_publisher_and_all_points(self) -> None:
        """One of the three publishes nine points, and all agree on who it is."""
        self.serve()
        self.assertEqual(len(self.cluster.publishers()), 1)
        [publisher] = self.cluster.publishers()
        for node in self.cluster.nodes.values():
            self.assertEqual(node.status.publisher, publisher)
            self.assertEqual([member.state for member in node.status.members], ["healthy"] * 3)
            self.assertEqual(node.status.sources, ("alpha/primary", "beta/primary", "gamma/primary"))
            self.assertEqual(node.status.messages_rejected, {})

    def test_changed_points_of_another(self) -> None:
        """New points of a node that does not publish are out within two seconds of its noticing them."""
        self.serve()
        self.cluster.later(20)
        other = next(node for node in self.cluster.nodes.values() if not node.publishes)
        place = self.names.index(other.name)
        other.have_points(101, 102, 103)
        other.tor.emit(f"HS_DESC CREATED {other.master.address.label} UNKNOWN UNKNOWN x")
        self.cluster.later(2)
        rest = self.cluster.points(*({0, 1, 2} - {place}))
        self.assertEqual(self.cluster.published(), {frozenset(rest | {101, 102, 103})})

    def test_only_the_publisher_uploads(self) -> None:
        """In a quiet hour nobody else posts anything, and the publisher refreshes."""
        self.serve()
        before = {name: len(node.tor.posted) for name, node in self.cluster.nodes.items()}
        self.cluster.later(700, 1.0)
        grown = [name for name, node in self.cluster.nodes.items() if len(node.tor.posted) > before[name]]
        self.assertEqual(grown, self.cluster.publishers())


class LossTests(ClusterTestCase):
    """Whatever happens to a node, the rest goes on."""

    def test_killed_publisher(self) -> None:
        """Its points are withdrawn within 15 seconds by another, with higher counters."""
        self.serve()
        [dead] = self.cluster.publishers()
        before = self.cluster.revisions()
        self.cluster[dead].kill()
        rest = "".join(str(place) for place, name in enumerate(self.names) if name != dead)
        self.until(rest, 15)
        self.assertEqual(len(set(self.cluster.publishers()) - {dead}), 1)
        higher = zip(self.cluster.revisions(), before, strict=True)
        self.assertTrue(all(counter > earlier for counter, earlier in higher))

    def test_killed_standby(self) -> None:
        """Its points are withdrawn within 15 seconds by the publisher, which stays the same."""
        self.serve()
        [publisher] = self.cluster.publishers()
        dead = next(name for name in self.names if name != publisher)
        self.cluster[dead].kill()
        self.until("".join(str(place) for place, name in enumerate(self.names) if name != dead), 15)
        self.assertEqual([name for name in self.cluster.publishers() if name != dead], [publisher])

    def test_stopped_publisher(self) -> None:
        """One that is stopped releases the lease, and its points are out of the descriptor three seconds later."""
        self.serve()
        [leaving] = self.cluster.publishers()
        with capturedLogs() as events:
            self.cluster[leaving].stop()
        self.assertIn("Released lease", [formatEvent(event) for event in events])
        self.assertEqual(self.cluster.publishers(), [])
        rest = "".join(str(place) for place, name in enumerate(self.names) if name != leaving)
        self.assertLessEqual(self.until(rest, 4), 3.05)

    def test_back_again(self) -> None:
        """A node that was killed and starts again with other points is one of three again, as a new incarnation."""
        self.serve()
        self.cluster["gamma"].kill()
        self.until("01", 15)
        self.cluster["gamma"].make()
        self.cluster["gamma"].start()
        self.until("012", 30)
        self.assertEqual(len(self.cluster.publishers()), 1)
        self.assertEqual(self.cluster["alpha"].status.messages_rejected, {})

    def test_tor_of_the_publisher(self) -> None:
        """A publisher whose Tor dies hands over at once, and the others' points stay out there."""
        self.serve()
        [publisher] = self.cluster.publishers()
        node = self.cluster[publisher]
        node.instance.obstacle = OSError("no Tor")
        node.tor.drop()
        rest = "".join(str(place) for place, name in enumerate(self.names) if name != publisher)
        self.until(rest, 5)
        self.assertNotIn(publisher, self.cluster.publishers())
        self.assertEqual(len(self.cluster.publishers()), 1)

    def test_partition(self) -> None:
        """
        The publisher is cut off for a minute: the larger side publishes its own points, and five seconds after healing
        there is one publisher again and everybody's points.
        """
        self.serve()
        [alone] = self.cluster.publishers()
        others = "".join(str(place) for place, name in enumerate(self.names) if name != alone)
        self.cluster.cut(alone)
        self.until(others, 15)
        self.cluster.later(45)
        self.assertEqual(self.cluster.published(), {frozenset(self.cluster.points(*map(int, others)))})
        self.cluster.heal()
        self.cluster.later(5)
        self.assertEqual(len(self.cluster.publishers()), 1)
        self.until("012", 10)

    def test_counters_of_two_publishers(self) -> None:
        """Through a partition and its end no directory ever goes back to a lower counter."""
        self.serve()
        self.cluster.cut("alpha")
        lowest = self.cluster.revisions()
        for second in range(80):
            if second == 40:
                self.cluster.heal()
            self.cluster.later(1)
            now = self.cluster.revisions()
            self.assertTrue(all(one >= before for one, before in zip(now, lowest, strict=True)))
            lowest = now
        self.assertEqual(self.cluster.published(), {frozenset(self.cluster.points(0, 1, 2))})

    def test_counter_beyond_the_clock(self) -> None:
        """A publisher that had to raise its counter far ahead is outbid at once by the next, which has heard of it."""
        self.serve()
        [first] = self.cluster.publishers()
        seat = self.cluster[first].plan.first
        self.cluster[first].plant(seat.directories[2], seat, 20_000_000)
        self.cluster[first].publisher.publish_now()
        self.cluster.later(5)
        raised = self.cluster[first].revision(seat.directories[2], seat)
        self.cluster[first].kill()
        self.until("".join(str(place) for place, name in enumerate(self.names) if name != first), 15)
        [second] = set(self.cluster.publishers()) - {first}
        self.assertGreater(self.cluster[second].revision(seat.directories[0], seat), raised)
        self.assertEqual(self.cluster[second].refused, 0)


class MishapTests(ClusterTestCase):
    """What goes wrong in one place stays there."""

    def test_command_that_fails(self) -> None:
        """A carrier that raises does not keep the node from publishing what it heard last."""
        self.serve()
        [publisher] = self.cluster.publishers()
        node = self.cluster[publisher]
        self.patch(node.carrier, "send", self.fail_at)
        place = self.names.index(publisher)
        node.have_points(101, 102, 103)
        node.tor.emit(f"HS_DESC CREATED {node.master.address.label} UNKNOWN UNKNOWN x")
        self.cluster.later(3)
        rest = self.cluster.points(*({0, 1, 2} - {place}))
        self.assertEqual(self.cluster.published(), {frozenset(rest | {101, 102, 103})})
        self.assertGreater(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def fail_at(self, *_: object) -> None:
        """Fail."""
        raise ZeroDivisionError

    def test_core_that_fails(self) -> None:
        """After an error in the core it is asked again a second later, or when something arrives."""
        self.serve()
        core = self.cluster["beta"].coordination._core
        assert core is not None
        wake = core.wake
        self.patch(core, "wake", self.fail_at)
        self.cluster.later(4)
        self.patch(core, "wake", wake)
        failures = len(self.flushLoggedErrors(ZeroDivisionError))
        self.assertTrue(1 <= failures <= 12, failures)
        self.cluster.later(10)
        self.assertEqual([member.state for member in self.cluster["alpha"].status.members], ["healthy"] * 3)


class MemberTests(ClusterTestCase):
    """Who is heard."""

    def test_kept_from_start_to_start(self) -> None:
        """A node that has lost its seeds finds the others by what it has kept."""
        self.serve()
        node = self.cluster["beta"]
        node.settings = type(node.settings)(node="beta", directory=node.directory, priority=101)
        node.restart()
        self.cluster.later(12)
        self.assertEqual({record.id for record in node.coordination.records}, {"alpha", "gamma"})
        self.assertEqual([member.state for member in node.status.members], ["healthy"] * 3)

    def test_learned_from_a_join(self) -> None:
        """Records that a join brought make a node a member, without any seed."""
        for node in self.cluster.nodes.values():
            node.settings = type(node.settings)(
                node=node.name, directory=node.directory, priority=node.settings.priority
            )
            node.make()
        self.cluster.start()
        self.cluster.later(1)
        self.assertEqual(len(self.cluster.publishers()), 3)
        records = self.records()
        for node in self.cluster.nodes.values():
            node.coordination.learn([record for record in records if record.id != node.name])
        self.cluster.later(12)
        self.assertEqual(len(self.cluster.publishers()), 1)
        self.assertEqual(self.cluster.published(), {frozenset(self.cluster.points(0, 1, 2))})

    def test_moved(self) -> None:
        """An address that the carrier is about to take is in our record at once, not with the next heartbeat."""
        self.serve()
        node = self.cluster["alpha"]
        self.patch(MemoryCarrier, "address", property(lambda carrier: f"memory:{carrier.node}-2"))
        node.carrier.moved("memory:alpha-2")
        record = node.coordination.record
        assert record is not None
        self.assertEqual(record.addresses, ("memory:alpha-2",))

    def test_forget(self) -> None:
        """
        A node that is gone for good is forgotten by all and by their disks; one that is there, or unknown, is not. When
        it comes back after all, it is a member again.
        """
        self.serve()
        alpha, beta = (self.cluster[name].coordination for name in ("alpha", "beta"))
        for name in ("gamma", "alpha", "delta"):
            self.assertRaises(NotDone, alpha.forget, name)
        self.cluster["gamma"].kill()
        self.cluster.later(12)
        self.assertIn("rustbalance forget gamma", " ".join(self.cluster["beta"].status.problems))
        self.assertIn("gamma is forgotten", alpha.forget("gamma").sentence)
        self.cluster.later(3)
        for name, service in (("alpha", alpha), ("beta", beta)):
            self.assertEqual({member.id for member in self.cluster[name].status.members}, {"alpha", "beta"})
            self.assertNotIn("not heard", " ".join(self.cluster[name].status.problems))
            self.assertEqual([record.id for record in service.former], ["gamma"])
        self.cluster["beta"].restart()
        self.cluster.later(8)
        self.assertEqual([record.id for record in self.cluster["beta"].coordination.records], ["alpha"])
        self.cluster["gamma"].make()
        self.cluster["gamma"].start()
        self.until("012", 30)
        self.assertEqual(self.cluster["alpha"].coordination.former, ())

    def test_forget_alone(self) -> None:
        """A node without others has nobody to forget, nor has one that does not run."""
        self.assertRaises(NotDone, self.cluster["alpha"].coordination.forget, "beta")

    def test_slow_disk(self) -> None:
        """While the disk takes its time nothing is said and nobody publishes; the node that stops waits for it."""
        node, done = self.cluster["alpha"], Deferred[None]()
        self.patch(node.coordination._file, "_in_thread", lambda work: done.addCallback(lambda _: work()))
        self.cluster.start()
        self.cluster.later(6)
        self.assertEqual([frame for sender, _, frame in self.cluster.wires.frames if sender == "alpha"], [])
        self.assertFalse(node.publishes)
        stopped = node.coordination.stopService()
        self.assertNoResult(stopped)
        done.callback(None)
        self.successResultOf(stopped)

    def test_disk_that_hangs(self) -> None:
        """A disk that never answers keeps a node that stops from removing what it has made for a few seconds only."""
        self.serve()
        node = self.cluster["alpha"]
        self.patch(node.coordination._file, "_in_thread", lambda work: Deferred())
        node.coordination.used_revision(b"k" * 32, 8)
        stopped = node.coordination.stopService()
        self.cluster.later(LAST_WRITE - 1)
        self.assertNoResult(stopped)
        self.cluster.later(2)
        self.successResultOf(stopped)
        self.assertFalse(node.carrier.running)

    def test_outside_its_life(self) -> None:
        """Before the start and after the stop there is no record and no status, and nothing that comes does harm."""
        service = self.cluster["alpha"].coordination
        service.learn([])
        service.used_revision(b"k" * 32, 1)
        service.able(True)
        self.assertIsNone(service.record)
        self.assertIsNone(service.status())
        self.serve()
        records = self.records()
        self.assertTrue(all(map(is_genuine, records)))
        self.assertEqual([record.addresses for record in records], [(f"memory:{name}",) for name in self.names])
        self.cluster["alpha"].stop()
        self.cluster["alpha"].coordination.able(False)
        self.assertIsNone(self.cluster["alpha"].coordination.record)

    def test_forged_records(self) -> None:
        """A record that another key has signed is nobody's."""
        self.serve()
        record = self.records()[0]
        with Secret.copy_of(b"f" * 32) as seed:
            forged = sign_record(record, NodeKey(seed))
        self.assertTrue(is_genuine(forged))
        self.assertFalse(is_genuine(msgspec.structs.replace(record, incarnation=99)))
        self.cluster["beta"].coordination.learn([forged])
        self.assertIn(record, self.cluster["beta"].coordination.records)


class AloneTests(SynchronousTestCase):
    """A cluster of one."""

    def node(self) -> Node:
        """Return a node that has just been made."""
        node = Node()
        self.addCleanup(shutil.rmtree, node.directory)
        return node

    def test_no_delay(self) -> None:
        """It publishes at the moment at which its points are known, not a tick later; there is nothing to show."""
        node = self.node()
        node.have_points(1, 2, 3)
        node.start()
        self.assertEqual(node.clock.seconds(), 0)
        self.assertTrue(node.held)
        self.assertIsNone(node.coordination.status())
        node.later(1)
        seat = node.plan.first
        self.assertEqual(node.points(seat.directories[0], seat), {1, 2, 3})

    def test_keeps_the_seat_without_a_tor(self) -> None:
        """It has nobody to hand over to, so it publishes again as soon as its Tor is back."""
        node = self.node()
        node.have_points(1, 2, 3)
        node.start()
        node.later(5)
        node.tor.drop()
        node.settle()
        self.assertTrue(node.publisher._leading)
        node.have_points(4, 5, 6)
        node.later(3)
        seat = node.plan.first
        self.assertEqual(node.points(seat.directories[0], seat), {4, 5, 6})

    def test_points_before_the_start(self) -> None:
        """What its Tor had before it took part is published when it does."""
        node = self.node()
        node.have_points(1, 2, 3)
        node.pair.startService()
        node.publisher.startService()
        node.later(2)
        self.assertEqual(node.held, {})
        node.coordination.startService()
        node.settle()
        seat = node.plan.first
        self.assertEqual(node.points(seat.directories[0], seat), {1, 2, 3})

    def test_not_joined_yet(self) -> None:
        """A node that has not been let in publishes nothing, and does as soon as it is."""
        node = self.node()
        node.coordination.outside = lambda: True
        node.have_points(1, 2, 3)
        node.start()
        node.later(30)
        self.assertEqual(node.held, {})
        node.coordination.outside = lambda: False
        node.later(3)
        self.assertTrue(node.held)
