"""
Bad weather, and what comes after it.

Owns: which misfortunes befall a cluster when, by chance. In: a world; out: a world that has had a hard time and then a
quiet one, or ``Violation``.
"""

from random import Random

from msgspec.structs import replace

from rustbalance.cluster.commands import Send
from rustbalance.cluster.election import SPARE, latest_round
from rustbalance.cluster.messages import Heartbeat, LeaseClaim
from rustbalance.cluster.settings import ClusterSettings
from tests.sim.node import SimulatedNode
from tests.sim.oracle import Violation
from tests.sim.world import World

STORM = 60.0
"""Seconds of bad weather."""
CALM = 60.0
"""Seconds of good weather after it, in which everything must come right."""
SETTLING = 25.0
"""Seconds of good weather after which nobody dies or takes over any more."""
STORM_SETTINGS = ClusterSettings(points_lifetime=10.0)
"""An hour is too long for a short story."""
TRUTH = 32.0
"""Seconds at the end of the bad weather in which nobody lies any more, so that its effects are over with it."""
REFRESH = 40.0
"""
So are ten minutes: what a publisher that died at once has put over the union is replaced with the next refresh, since
nobody else knows of it. (Real nodes ask the directories a minute after each publish, ``publishing/verification.py``;
these do not.)
"""


class Weather:
    """Misfortunes for ``world``; ``lies``: the probability that somebody lies about terms before one of them."""

    def __init__(self, world: World, lies: float = 0.0) -> None:
        self._world = world
        self._lies = lies
        self._random = Random(f"{world.seed}/weather")
        self._over = False

    def chance(self) -> float:
        """Return a number from 0 to 1."""
        return self._random.random()

    def bring(self, newcomer: SimulatedNode) -> None:
        """Let a node join that was never there, unless it has been brought already."""
        if newcomer.disk.state is None:
            self._world.rejoin(newcomer)

    def begin(self) -> None:
        """Let things happen from now on."""
        self._world.agenda.after(5.0 + 10.0 * self._random.random(), self._next)

    def end(self) -> None:
        """
        Mend everything; fewer than half of the nodes may stay dead, and not all that know who is in the cluster.

        Whoever has lost more than half of the others publishes nothing for ``isolation_patience``, which is longer than
        this calm lasts; ``test_scenarios.py`` waits for it. And nobody can find members whose names are on no disk that
        runs. Clocks are right to a second: beyond ``CLOCK_TOLERANCE`` nodes do not hear each other, as they should not.
        """
        world, random = self._world, self._random
        self._over = True
        world.network.fair()
        world.agenda.note("calm")
        for node in world.nodes:
            node.skew = 2.0 * random.random() - 1.0
            if node.up and node.hung:
                node.resume()
        dead = [node for node in world.nodes if not node.up]
        may_rest = random.randint(0, (len(world.nodes) - 1) // 2)
        if world.forgetful:  # whoever still knew both of two nodes that do not know each other is needed
            dead.sort(key=lambda node: node.name not in world.gone)
            may_rest = min(may_rest, len(world.gone))
        for node in dead[may_rest:]:
            self._return(node)
        if not any(map(_remembers, world.up())):
            self._return(next(filter(_remembers, dead)))
        for node in world.nodes:
            node.target_healthy, node.drained = True, False
            node.publishing.failing = 0.0
            if node.up:
                node.tell_health()
                if not node.able:
                    node.regain_tor()
            node.able = True

    def _next(self) -> None:
        if self._over:
            return
        if self._lies and self._world.agenda.now < STORM - TRUTH and self._random.random() < self._lies:
            self._lie()
        self._befall()
        self._world.agenda.after(self._random.expovariate(1 / 3.0), self._next)

    def _befall(self) -> None:
        random = self._random
        node = random.choice(self._world.nodes)
        whole = [self._partition, self._partition, self._cut_link, self._cut_link, self._heal, self._foul, self._foul]
        if not node.up:
            ills = [self._return, self._return, self._return_empty]
        elif node.hung:
            ills = [_resume]
        else:
            ills = [self._crash, self._stop, self._hang, self._step_clock, _rotate, _rotate, _switch_target]
            ills += [_switch_drain, _switch_tor, self._fail_uploads, self._forget]
        if random.random() < 0.35:
            misfortune = random.choice(whole)
            self._world.agenda.note(f"weather: {misfortune.__name__}")
            misfortune()
        else:
            ill = random.choice(ills)
            self._world.agenda.note(f"weather: {ill.__name__} {node}")
            ill(node)

    def _lie(self) -> None:
        """Let a node claim the highest term that is believed, or tell of it."""
        random, up = self._random, self._world.up()
        if not up:
            return
        liar = random.choice(up)
        term = (latest_round(liar.clock().wall + SPARE) << 36) + random.randrange(2**36)
        own = liar.core._parts.own
        own.beat += 1
        told = Heartbeat(beat=own.beat, incarnation=own.incarnation, priority=100, state=own.state(), term=term)
        publisher = random.choice(self._world.nodes).name
        messages = (LeaseClaim(term=term, priority=0), told, replace(told, publisher=publisher, lease_left=8.0))
        self._world.agenda.note(f"weather: _lie {liar}")
        liar.do([Send(None, random.choice(messages))])

    def _partition(self) -> None:
        random, names = self._random, [node.name for node in self._world.nodes]
        some = set(random.sample(names, random.randint(1, len(names) - 1)))
        self._world.network.cut(some, both_ways=random.random() < 0.6)

    def _cut_link(self) -> None:
        one, other = self._random.sample([node.name for node in self._world.nodes], 2)
        self._world.network.blocked |= {(one, other), (other, one)}

    def _heal(self) -> None:
        self._world.network.blocked.clear()

    def _foul(self) -> None:
        self._world.network.foul()

    def _crash(self, node: SimulatedNode) -> None:
        node.crash()

    def _stop(self, node: SimulatedNode) -> None:
        node.stop()

    def _hang(self, node: SimulatedNode) -> None:
        node.hang()
        self._world.agenda.after(40.0 * self._random.random(), _resume, node)

    def _return(self, node: SimulatedNode) -> None:
        if node.disk.state is None or node.outside:
            self._world.rejoin(node)
        else:
            node.boot()

    def _return_empty(self, node: SimulatedNode) -> None:
        """Come back without a disk, as long as others remember who is in the cluster."""
        if any(other is not node and _remembers(other) for other in self._world.nodes):
            node.wipe()
            self._world.rejoin(node)
        else:
            node.boot()

    def _step_clock(self, node: SimulatedNode) -> None:
        random = self._random
        node.skew = random.choice((-1.0, 1.0)) * random.choice((1.0, 3.0, 100.0)) * random.random()

    def _forget(self, node: SimulatedNode) -> None:
        """Let a node forget one that it takes for dead; whether that is so is another matter."""
        missed = [other for other in self._world.nodes if other.name in node.core._parts.absent]
        if missed and not node.outside:
            self._world.forget(node, self._random.choice(missed))

    def _fail_uploads(self, node: SimulatedNode) -> None:
        node.publishing.failing = self._random.choice((0.0, 0.3, 0.9))


def _remembers(node: SimulatedNode) -> bool:
    """Tell whether it is a member and knows it, so that others can join through it."""
    return not node.outside and node.disk.state is not None


def _resume(node: SimulatedNode) -> None:
    if node.up and node.hung:
        node.resume()


def _rotate(node: SimulatedNode) -> None:
    node.rotate()


def _switch_target(node: SimulatedNode) -> None:
    node.target_healthy = not node.target_healthy
    node.tell_health()


def _switch_drain(node: SimulatedNode) -> None:
    node.drained = not node.drained
    node.tell_health()


def _switch_tor(node: SimulatedNode) -> None:
    if node.able:
        node.lose_tor()
    else:
        node.regain_tor()


def live_through(
    seed: int, nodes: int = 7, storm: float = STORM, story: list[str] | None = None, lies: float = 0.0
) -> World:
    """
    Give a cluster ``storm`` seconds of a hard time, then see that it recovers; ``story`` is told what happens.

    ``lies``: how probable it is, before each misfortune, that a member claims what has not come to pass.

    With an odd seed the last node is new: nobody knows it until it joins.

    :raises Violation: something happened that must not, or did not happen that must.
    """
    old = nodes - 1 if seed % 2 else nodes
    pairs = [(one, other) for one in range(old) for other in range(one)]
    priorities = [100 + (seed + place) % 3 for place in range(nodes)]
    world = World(seed, nodes, STORM_SETTINGS, pairs, priorities)
    world.agenda.story, world.refresh = story, REFRESH
    weather = Weather(world, lies)
    world.boot_all(old)
    for newcomer in world.nodes[old:]:
        world.agenda.after(storm * weather.chance(), weather.bring, newcomer)
    weather.begin()
    world.agenda.run_until(storm)
    weather.end()
    world.agenda.run_until(storm + CALM)
    if wrong := world.settled() or _restless(world, storm + SETTLING):
        raise Violation(f"after {CALM:.0f} s of good weather: {wrong}")
    return world


def _restless(world: World, since: float) -> str:
    """Return what has happened since then that does not happen in good weather."""
    deaths = [f"{observer} lost {subject}" for at, observer, subject in world.oracle.deaths if at > since]
    takeovers = [f"{node} took over" for at, node in world.oracle.takeovers if at > since]
    return ", ".join(deaths + takeovers)
