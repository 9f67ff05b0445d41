"""Stated weather: how long it takes until the cluster is right again, with the default settings."""

from collections.abc import Callable

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.commands import Send
from rustbalance.cluster.election import SPARE, latest_round
from rustbalance.cluster.messages import Heartbeat, LeaseClaim, State
from tests.sim.directories import PLAN, Text, scheme
from tests.sim.node import SimulatedNode
from tests.sim.scale import chain, seconds_until
from tests.sim.weather import Weather
from tests.sim.world import World

SEEDS = range(12)


def running(seed: int, nodes: int) -> World:
    """Return a cluster that has been up for a while, at some moment between two heartbeats."""
    world = World(seed, nodes)
    world.boot_all()
    world.agenda.run_until(40 + seed / 6)
    assert not world.settled(), world.settled()
    return world


def until_settled(world: World) -> float:
    """Let time pass until all is as it ought to be; return how long it took."""
    return seconds_until(world, lambda: not world.settled())


def until_back(world: World, node: SimulatedNode) -> float:
    """The same for a node that has just started, its points included."""
    return seconds_until(world, lambda: bool(node.keys) and not world.settled())


def publisher(world: World) -> SimulatedNode:
    """Return the node that publishes."""
    (name,) = world.publishers()
    return next(node for node in world.nodes if node.name == name)


class FigureTests(SynchronousTestCase):
    """The figures that are promised with the defaults, in good weather."""

    def longest(self, measure: Callable[[World], float], nodes: int = 3) -> float:
        """Return the longest time over a few seeds."""
        return max(measure(running(seed, nodes)) for seed in SEEDS)

    def test_kill(self) -> None:
        """The publisher is killed: another within 12 s, and its points out of all directories within 15 s."""
        published = 0.0

        def measure(world: World) -> float:
            nonlocal published
            publisher(world).crash()
            taken = seconds_until(world, lambda: bool(world.publishers()))
            published = max(published, taken + seconds_until(world, lambda: not world.settled()))
            return taken

        self.assertLess(self.longest(measure), 12.0)
        self.assertLess(published, 15.0)

    def test_graceful_stop(self) -> None:
        """The publisher is stopped: another within 3 s."""

        def measure(world: World) -> float:
            publisher(world).stop()
            return seconds_until(world, lambda: bool(world.publishers()))

        self.assertLess(self.longest(measure), 3.0)
        self.assertLess(self.longest(measure, nodes=7), 3.0)

    def test_tor_restarts(self) -> None:
        """
        The publisher's Tor is away for a second: somebody publishes 3 s after it went, and where nobody else can, it is
        the same node within 8 s.
        """

        def measure(world: World) -> float:
            leads = publisher(world)
            leads.lose_tor()
            world.agenda.after(1.0, leads.regain_tor)
            return seconds_until(world, lambda: bool(world.publishers()))

        def measure_alone(world: World) -> float:
            for node in world.nodes:
                if node.name not in world.publishers():
                    node.lose_tor()
            return measure(world)

        self.assertLess(self.longest(measure), 3.0)
        self.assertLess(self.longest(measure_alone), 8.0)

    def test_hang(self) -> None:
        """A node hangs, the publisher or another: its points are out of all directories within 15 s."""

        def measure(world: World) -> float:
            leads = publisher(world)
            other = next(node for node in world.nodes if node is not leads)
            (leads if world.seed % 2 else other).hang()
            return seconds_until(world, lambda: not world.unpublished())

        self.assertLess(self.longest(measure), 15.0)

    def test_partition_heals(self) -> None:
        """One node and the others are apart for 60 s: one publisher within 5 s of healing, the union within 15 s."""
        settled = 0.0

        def measure(world: World) -> float:
            nonlocal settled
            world.network.cut({world.nodes[world.seed % 3].name})
            world.agenda.run_until(world.agenda.now + 60)
            world.network.fair()
            healed = seconds_until(world, lambda: not world.leaderless())
            settled = max(settled, healed + seconds_until(world, lambda: not world.settled()))
            return healed

        self.assertLess(self.longest(measure), 5.0)
        self.assertLess(settled, 15.0)


class KnowsLessTests(SynchronousTestCase):
    """A publisher that knows less does not overwrite."""

    def test_the_smaller_side_publishes_nothing(self) -> None:
        """In a partition of 60 s only the larger side publishes, whoever published before."""
        for seed in SEEDS:
            world = running(seed, 3)
            lonely, since = world.nodes[seed % 3], world.agenda.now
            world.network.cut({lonely.name})
            world.agenda.run_until(since + 60)
            self.assertNotIn(lonely.name, [text.publisher for at, text in world.oracle.texts if at > since])
            sizes = {0 if text is None else len(text.keys) for text in world.directories.texts()}
            self.assertEqual(sizes, {6})

    def test_alone_for_good(self) -> None:
        """Who has lost most of the others takes them for dead after two minutes, and then publishes."""
        world = running(1, 3)
        survivor, *others = world.nodes
        for node in others:
            node.crash()
        since = world.agenda.now
        world.agenda.run_until(since + 100)
        self.assertEqual([text for at, text in world.oracle.texts if at > since], [])
        self.assertLess(seconds_until(world, lambda: not world.unpublished()), 50.0)
        self.assertEqual(world.publishers(), [survivor.name])

    def test_reboot_without_contact(self) -> None:
        """A node that comes back and hears nobody does not replace what the others have published."""
        world = running(2, 3)
        node, since = world.nodes[2], world.agenda.now
        node.crash()
        world.network.cut({node.name})
        world.agenda.run_until(since + 20)
        node.boot()
        world.agenda.run_until(since + 80)
        self.assertNotIn(node.name, [text.publisher for at, text in world.oracle.texts if at > since])

    def test_smaller_union_is_replaced(self) -> None:
        """When somebody has published less for a moment, the publisher that stays publishes again."""
        world = running(3, 3)
        leads = publisher(world)
        other = next(node for node in world.nodes if node is not leads)
        revisions = {}
        for seat in PLAN:
            text = Text(seat.blinded_public, scheme(other.clock().wall) + 10**6, other.name, frozenset(other.keys))
            revisions[text.blinded.hex()] = text.revision
            for directory in seat.directories:
                self.assertTrue(world.directories.store(directory, text))
        other.do(other.core.used_revisions(revisions, other.clock()))
        self.assertLess(until_settled(world), 15.0)


class CounterTests(SynchronousTestCase):
    """Takeover never goes back behind a counter that was used."""

    def test_clock_behind(self) -> None:
        """Who takes over with a clock that is behind is refused by no directory: it knows what was used."""
        for seed in SEEDS:
            world = running(seed, 3)
            leads = publisher(world)
            leads.skew = 4.0
            leads.rotate()
            world.agenda.run_until(world.agenda.now + 1)
            leads.stop()
            until_settled(world)
            self.assertEqual([node.publishing.refused for node in world.nodes], [0, 0, 0])


class MeshTests(SynchronousTestCase):
    """Whoever is connected at all gets to know everybody."""

    def test_chain_becomes_full_mesh(self) -> None:
        """Each knows its neighbour only: 20 s later everybody hears everybody."""
        for seed in SEEDS:
            world = World(seed, 7, acquainted=chain(7))
            world.boot_all()
            world.agenda.run_until(20)
            self.assertEqual(world.unmeshed(), "")

    def test_first_node_reboots(self) -> None:
        """The others learned each other from the first node; it comes back without anybody touching them."""
        world = World(5, 5, acquainted=[(number, 0) for number in range(1, 5)])
        world.boot_all()
        world.agenda.run_until(40)
        first = world.nodes[0]
        first.crash()
        first.seeds = ()
        world.agenda.run_until(80)
        first.boot()
        self.assertLess(seconds_until(world, lambda: bool(first.keys) and not world.settled()), 20.0)

    def test_newcomer_during_a_partition(self) -> None:
        """Who joined on one side of a partition is known on the other when that heals."""
        for seed in SEEDS:
            world = World(seed, 5, acquainted=[(one, other) for one in range(4) for other in range(one)])
            world.boot_all(4)
            world.agenda.run_until(30)
            world.network.cut({"node-00", "node-01", "node-04"})
            for node in world.nodes[:2]:
                node.hang()
                node.resume()
            world.nodes[2].hang()
            world.nodes[3].hang()
            world.rejoin(world.nodes[4])
            world.nodes[2].resume()
            world.nodes[3].resume()
            world.agenda.run_until(70)
            world.network.fair()
            self.assertLess(until_settled(world), 20.0)

    def test_points_by_a_lossy_way(self) -> None:
        """With a third of everything lost, everybody's points are published all the same."""
        for seed in SEEDS:
            world = running(seed, 5)
            world.network.loss = 0.33
            for node in world.nodes:
                node.rotate()
            self.assertLess(until_settled(world), 30.0)


class ForgetTests(SynchronousTestCase):
    """Nodes that are gone for good, and one that was only thought to be."""

    def test_gone(self) -> None:
        """All forget it within 5 s, also one that was down meanwhile and has it on its disk; its name is free then."""
        for seed in SEEDS:
            world = running(seed, 5)
            gone, away = world.nodes[3:]
            gone.crash()
            away.crash()
            world.agenda.run_until(world.agenda.now + 20)
            self.assertEqual(world.nodes[0].core.status(world.nodes[0].clock()).members[2].state, State.DEAD)
            world.forget(world.nodes[0], gone)
            world.agenda.run_until(world.agenda.now + 5)
            self.assertEqual(world.unforgotten(), "")
            away.boot()
            self.assertLess(until_back(world, away), 20.0)

    def test_cut_off(self) -> None:
        """One that was forgotten while it was cut off is a member again 10 s after the way is open."""
        for seed in SEEDS:
            world = running(seed, 5)
            node, *others = world.nodes
            world.network.cut({node.name})
            world.agenda.run_until(world.agenda.now + 20)
            self.assertTrue(others[0].forget(node))
            world.agenda.run_until(world.agenda.now + 20)
            self.assertEqual([other for other in others if node.name in other.known], [])
            world.network.fair()
            self.assertLess(until_settled(world), 10.0)

    def test_starts_again(self) -> None:
        """A machine that was repaired after all comes back by starting, with or without what was on its disk."""
        for seed in SEEDS:
            world = running(seed, 3)
            node, other = world.nodes[2], world.nodes[0]
            node.crash()
            world.agenda.run_until(world.agenda.now + 15)
            world.forget(other, node)
            world.agenda.run_until(world.agenda.now + 5)
            if seed % 2:
                node.wipe()
                world.rejoin(node)
            else:
                node.boot()
            self.assertLess(until_back(world, node), 20.0)


class OneBundleTests(SynchronousTestCase):
    """Two newcomers with one bundle, let in by two members at the same moment."""

    def test_one_stays(self) -> None:
        """15 s later, or after the partition in which it happened, the lower key is a member and the other is out."""
        for seed in SEEDS:
            world = World(seed, 6, acquainted=[(one, other) for one in range(4) for other in range(one)])
            stays, leaves = world.nodes[4:]
            stays.bundle = leaves.bundle = b"one bundle, used"
            world.boot_all(4)
            world.agenda.run_until(30)
            if seed % 2:
                world.network.cut({"node-00", "node-01", "node-04"})
            for node, host in ((stays, world.nodes[0]), (leaves, world.nodes[2])):
                node.outside, node.seeds = True, ()
                node.boot()
                node.join(host)
            world.agenda.run_until(60)
            world.network.fair()
            world.agenda.run_until(75)
            self.assertEqual(leaves.core.status(leaves.clock()).expelled_by, stays.name)
            self.assertFalse(leaves.publishing.active)
            leaves.crash()
            self.assertEqual(world.settled(), "")
            self.assertEqual([node for node in world.up() if leaves.name in node.known], [])


class GoodWeatherTests(SynchronousTestCase):
    """What good weather promises."""

    def test_somebody_remembers(self) -> None:
        """When all that are up have lost their disks, the one that knows the cluster comes back, and they join it."""
        for seed in SEEDS:
            world = running(seed, 3)
            keeper, *others = world.nodes
            for node in world.nodes:
                node.crash()
            for node in others:
                node.wipe()
                world.rejoin(node)
            Weather(world).end()
            self.assertTrue(keeper.up)
            self.assertLess(until_settled(world), 60.0)


class HungPublisherTests(SynchronousTestCase):
    """A publisher that was not running finds that it is none any more."""

    def test_steps_down_before_it_speaks(self) -> None:
        """Nothing is published on a lease that ran out meanwhile, even when nobody can be heard at first."""
        for seed in SEEDS:
            world = running(seed, 3)
            leads = publisher(world)
            leads.hang()
            world.agenda.run_until(world.agenda.now + 20)
            world.network.cut({leads.name})
            leads.resume()
            self.assertFalse(leads.publishing.active)
            leads.rotate()
            since = world.agenda.now
            world.agenda.run_until(since + 5)
            self.assertNotIn(leads.name, [text.publisher for at, text in world.oracle.texts if at >= since])

    def test_does_not_bury_the_others(self) -> None:
        """It was its own silence, so nobody is dead for it."""
        world = running(4, 3)
        node = world.nodes[1]
        node.hang()
        world.agenda.run_until(world.agenda.now + 30)
        since = world.agenda.now
        node.resume()
        world.agenda.run_until(since + 20)
        self.assertEqual([found for found in world.oracle.deaths if found[0] >= since], [])
        self.assertIn(State.HEALTHY, {member.state for member in node.core.status(node.clock()).members})


class StolenTermsTests(SynchronousTestCase):
    """A member that claims terms ahead of their time, to use them up."""

    def lie(self, world: World, liar: SimulatedNode, term: int) -> None:
        """Say to everybody that it publishes in that term, in every way in which that can be said."""
        told = Heartbeat(
            beat=10**6, incarnation=1, priority=100, state=State.HEALTHY, term=term, publisher=liar.name, lease_left=8.0
        )
        renewed = replace(told, incarnation=liar.core.record.incarnation)
        for message in (LeaseClaim(term=term, priority=0), renewed, replace(renewed, beat=10**6 + 1, publisher=None)):
            liar.do([Send(None, message)])

    def test_the_largest(self) -> None:
        """It is not believed by anybody: the publisher goes on as if nothing had been said."""
        for seed in SEEDS:
            world = running(seed, 3)
            leads = publisher(world)
            liar = next(node for node in world.nodes if node is not leads)
            self.lie(world, liar, 2**63 - 1)
            world.agenda.run_until(world.agenda.now + 30)
            self.assertEqual((world.settled(), world.publishers()), ("", [leads.name]))

    def test_the_largest_that_is_believed(self) -> None:
        """When the member is gone, one that has told the lie itself publishes within 40 s; newcomers are none worse."""
        for seed in SEEDS:
            world = running(seed, 5)
            newcomer, liar = world.nodes[3:]
            newcomer.crash()
            newcomer.wipe()
            world.agenda.run_until(world.agenda.now + 20)
            world.rejoin(newcomer)
            self.lie(world, liar, latest_round(liar.clock().wall + SPARE) << 36)
            world.agenda.run_until(world.agenda.now + 1)
            liar.crash()
            self.assertLess(until_back(world, newcomer), 40.0)
