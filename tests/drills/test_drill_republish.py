"""
What the directories hold is of no use to visitors: it is published again, and no more often than it takes.

Somebody else has published points that nobody stands behind; or all directories have forgotten everything.
"""

import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet import reactor as global_reactor  # noqa: TID251  (real processes)
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, UNIXClientEndpoint
from twisted.internet.threads import deferToThread

from rustbalance.key_files import load_master_key
from rustbalance.lab.child import PID_FILE
from rustbalance.life import deferred, pause
from rustbalance.life import now as clocks
from rustbalance.onion.consensus import parse_consensus, parse_microdescriptors
from rustbalance.onion.descriptor import MalformedDescriptor, decode
from rustbalance.onion.inner import InnerLayer
from rustbalance.onion.keys import DescriptorSigningKey, MasterKey, subcredential
from rustbalance.onion.plan import PublicationPlan, plan_publication
from rustbalance.ops.status import NodeStatus
from rustbalance.publishing.builder import Builder
from rustbalance.publishing.counters import RevisionStore
from rustbalance.publishing.settings import VerifySettings
from rustbalance.secrets import Secret
from rustbalance.tor.control import TorControl, connect
from rustbalance.tor.events import DescriptorUploaded
from tests.drills.drill import Drill
from tests.drills.test_drill_repairs import CANARY, TOR, LoneNodeTestCase, counters, higher
from tests.live.test_publishing import OwnNetworkTestCase, until
from tests.live.test_verification import INTERVAL, WatchedNode, WatchedTestCase, ended_by_us

reactor: Any = global_reactor
#: Seconds by which the counters of the other publisher run ahead.
LEAD = 600.0
#: Seconds between two relays that are killed.
BETWEEN = 2.0
FOREIGN = Drill(
    32,
    "somebody else's descriptor lies at all directories, with dead points and a counter far ahead (a visit every 2 s)",
    "three visits fail: the descriptors are published again, once, with counters above those",
    120.0,
)
SCOUTLESS = Drill(
    34,
    "somebody else's descriptor with dead points, on a node with one Tor and no scout (tor.scout = false)",
    "three visits fail: the descriptors are published again, once, with counters above those",
    120.0,
)
OVERDUE = Drill(
    35,
    "no directory confirms anything, for longer than health.descriptor_max_age_secs (60 s here; by default 900 s)",
    "with a warning both are published at once; then directories confirm again, and all do",
    60.0,
)
#: Seconds between two publishes here, and age from which a publish is overdue.
REFRESH, MAX_AGE = 30.0, 60.0
WARNING = "Too few directories have confirmed a publish"
FORGOTTEN = Drill(
    33,
    "all relays are killed and start again with nothing in their memory",
    "both descriptors are at all of them",
    120.0,
)


def dead(inner: InnerLayer) -> InnerLayer:
    """Return the same points under keys that no relay knows of."""
    return replace(inner, points=tuple(replace(point, auth_key=unknown()) for point in inner.points))


def unknown() -> bytes:
    """Return a public key of nobody's."""
    with Secret.random(32) as seed:
        key = DescriptorSigningKey(seed)
    try:
        return bytes(key.public)
    finally:
        key.wipe()


class ForeignDrill(LoneNodeTestCase):
    """The other publisher has the key of the address, as a copy of this node that was forgotten somewhere would."""

    lines: tuple[str, ...] = (TOR, CANARY)
    drill = FOREIGN

    async def test_dead_points(self) -> None:
        """Visits find it out; one repair is called for, no storm, and visitors get through again."""
        await self.begin()
        await self.passing()
        before = counters(await self.well())
        began = reactor.seconds()
        planted = await self.plant()
        self.assertTrue(higher(planted, before), f"{planted} {before}")
        await self.node.until(failing, 60.0)

        def mended(status: NodeStatus) -> bool:
            return passes(status) and status.published and higher(counters(status), planted)

        await self.node.until(mended, self.drill.bound + 30)
        self.drill.mended(self, began)
        await self.node.until(lambda status: not status.problems, 90.0)  # the check after the publish says so as well
        self.assertEqual(self.said("Canary self-test FAILED"), 1)
        self.assertEqual(self.said("the descriptors are being published again"), 1)
        await self.page()

    async def passing(self) -> None:
        """Wait until a visit has passed."""
        await self.node.until(passes, 60.0)

    async def plant(self) -> dict[int, int]:
        """Do what the other publisher does, at the directories of both descriptors; return its counters."""
        control = await connect(TCP4ClientEndpoint(reactor, "127.0.0.1", self.client_tor.control_port), reactor)
        key = load_master_key(self.directory / "node" / "master.key")
        builder = Builder(key, RevisionStore(self.directory / "other.json"), os.urandom)
        try:
            plan = await self.plan(control, key)
            inner = dead(await self.inner(key, plan))
            builder.prepare(plan)
            wall = clocks().wall
            used = {}
            for seat in plan:
                used[seat.period.number] = revision = builder.next_revision(seat, wall + LEAD)
                text = builder.build(seat, inner, revision, wall, 50_000).text
                await control.post_descriptor(text, key.address, seat.directories)
            return used
        finally:
            control.abandon("that was all")
            builder.wipe()
            key.wipe()

    async def plan(self, control: TorControl, key: MasterKey) -> PublicationPlan:
        """Return where both descriptors belong."""
        known = parse_microdescriptors(await control.microdescriptors())
        return plan_publication(parse_consensus(await control.consensus()), known, key.public, testing=True)

    async def inner(self, key: MasterKey, plan: PublicationPlan) -> InnerLayer:
        """Return what the node's Tor would publish."""
        place = UNIXClientEndpoint(reactor, str(self.state / "tor" / "primary" / "control.sock"))
        control = await connect(place, reactor)
        text = await control.own_descriptor(key.address)
        control.abandon("that was all")
        assert text is not None
        for seat in plan:
            try:
                return decode(text, subcredential(key.public, seat.blinded_public)).inner
            except MalformedDescriptor:
                continue
        raise AssertionError("its descriptor is of neither period")


class ScoutlessDrill(ForeignDrill):
    """
    The same where visits go out through the very Tor that serves the address, for want of another.

    What that Tor remembers still works; it is by looking the descriptor up anew that it finds what a visitor would.
    """

    lines = (f"{TOR}\nscout = false", CANARY)
    drill = SCOUTLESS


def passes(status: NodeStatus) -> bool:
    """Did the last visit pass?"""
    return status.canary is not None and status.canary.passed_age_secs is not None and status.canary.failures == 0


def failing(status: NodeStatus) -> bool:
    """Have so many visits failed that it matters?"""
    return status.canary is not None and status.canary.failures >= 3


class OverdueDrill(WatchedTestCase):
    """No directory confirms anything; what it does with it nobody knows."""

    def test_overdue(self) -> Deferred[None]:
        """What was last confirmed gets older than it may: both are published at once, with a warning."""
        return deferred(self.check_overdue())

    async def check_overdue(self) -> None:
        """Let no confirmation through until the warning is there, then all."""
        node = self.watched(VerifySettings(mode="off"), refresh_interval_secs=REFRESH, max_age_secs=MAX_AGE)
        await node.ready()
        await until("both descriptors are confirmed by all directories", node.complete)
        confirmed, before = reactor.seconds(), node.revisions()
        hear = node.publisher.on_event
        self.patch(node.publisher, "on_event", lambda event: isinstance(event, DescriptorUploaded) or hear(event))
        dues: list[float] = []

        def warned() -> bool:
            """Note when it is due, as long as it has not come."""
            said = bool(node.lines(WARNING))
            if not said:
                dues.append(node.publisher._schedule.urgency.due() or 0.0)
            return said

        await until("the warning", warned, 300)
        age, late = reactor.seconds() - confirmed, clocks().mono - dues[-1]
        self.assertGreaterEqual(age, MAX_AGE)
        self.assertLess(late, 2.0)
        self.assertTrue(node.lines("Could not publish"), node.said)
        self.patch(node.publisher, "on_event", hear)
        began = reactor.seconds()
        await until("both are there", lambda: node.complete() and node.revisions() > before, OVERDUE.bound + 30)
        OVERDUE.mended(self, began)
        self.assertTrue(node.lines("(overdue)"), node.said)
        self.assertEqual(len(node.lines(WARNING)), 1)
        print(f"published at the age of {age:.0f} s, {late:.1f} s after that was due; it may be {MAX_AGE:g} s old")


class ForgottenDrill(OwnNetworkTestCase):
    """The relays of this test's own network end, one soon after the other."""

    def test_all_forget(self) -> Deferred[None]:
        """Points died with the relays: those that live are published, and every directory has both again."""
        return deferred(self.check())

    async def check(self) -> None:
        """Kill all relays, start them, and wait until everything is at every directory."""
        node = WatchedNode(self.network, VerifySettings(delay=2.0, interval=INTERVAL))
        self.addCleanup(lambda: deferred(node.stop()))
        node.start()
        await node.ready()
        await until("a check that finds all well", lambda: node.verifier.report().good, 60)
        began = reactor.seconds()
        await self.restart_all()
        number = node.verifier.report().number + 1

        def mended() -> bool:
            """A check that began after the last restart found all well."""
            report = node.verifier.report()
            return node.complete() and report.number > number and report.good

        await until("all is everywhere again", mended, FORGOTTEN.bound + 30)
        FORGOTTEN.mended(self, began)
        publishes = len(node.lines("Published the first descriptor")) + len(node.lines("Could not publish the first"))
        self.assertLessEqual(publishes, 6, node.said)

    async def restart_all(self) -> None:
        """Kill one relay after the other, and start it when whoever ran it has seen it end: its port is free then."""
        places = sorted(Path(self.network.directory).glob("r[0-9]*"))
        self.assertTrue(places)
        for place in places:
            os.kill(int((place / PID_FILE).read_text().split()[0]), signal.SIGKILL)
            await until("the relay has ended", lambda place=place: not (place / PID_FILE).exists())  # type: ignore[misc]
            argv = ["tor", "-f", str(place / "torrc"), "--hush"]
            child = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            self.addCleanup(lambda child=child: deferToThread(ended_by_us, child))  # type: ignore[misc]
            await pause(reactor, BETWEEN)
