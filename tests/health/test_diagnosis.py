"""Why the address cannot be reached."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.health.diagnosis import Diagnosis, Evidence, diagnose
from rustbalance.health.repair import PLANS, Action, Failure
from rustbalance.health.visits import End
from rustbalance.ops.directories import DirectoryReport, DirectoryRow, Finding
from tests.ops.statuses import cluster, descriptor, instance, node

SCOUT = replace(instance("scout"), serves_visitors=False)


def found(*ends: End, **changes: Any) -> tuple[Failure | None, str]:
    """Return the failure and its subject."""
    diagnosis = diagnosed(*ends, **changes)
    return diagnosis.failure, diagnosis.subject


def diagnosed(
    *ends: End, standing: dict[str, int] | None = None, directories: DirectoryReport | None = None, **changes: Any
) -> Diagnosis:
    """Return the diagnosis of a node that is well but for C{changes}."""
    return diagnose(Evidence(node(**changes), ends or (End.LATE,), "scout", standing or {}, directories))


def report(seat: Any, *findings: Finding) -> DirectoryReport:
    """Return what was found at the directories of the descriptor C{seat}; visitors ask for the first one."""
    rows = tuple(DirectoryRow(seat=seat, directory=str(n), finding=one) for n, one in enumerate(findings))
    return DirectoryReport(number=1, running=False, publishes=True, asked="first", rows=rows)


class DiagnosisTests(SynchronousTestCase):
    """Each question in turn."""

    def test_way_out(self) -> None:
        """Where no visit has got out, that Tor is to be mended, and nothing is known of the rest."""
        self.assertEqual(found(End.NO_SOCKS, End.NO_SOCKS, instances=()), (Failure.TOR_HUNG, "scout"))
        self.assertNotEqual(found(End.NO_SOCKS, End.LATE)[0], Failure.TOR_HUNG)

    def test_reached(self) -> None:
        """An answer that is no canary's is no failure of Tor: the target may be down, or a node has no canary."""
        self.assertEqual(found(End.LATE, End.STRANGE, End.LATE), (None, ""))
        down = replace(node().proxy, target_healthy=False)
        self.assertEqual(found(End.STRANGE, proxy=down), (Failure.TARGET_DOWN, ""))
        self.assertNotEqual(found(End.LATE, proxy=down)[0], Failure.TARGET_DOWN)

    def test_own_service(self) -> None:
        """None of our Tors that serve visitors does; the scout does not count, and one of two is enough."""
        dead = instance(phase="waiting")
        self.assertEqual(found(instances=(dead, SCOUT)), (Failure.TOR_DOWN, "primary"))
        self.assertEqual(found(instances=(dead, instance("standby"))), (Failure.UNREACHABLE, ""))
        locked = instance(phase="waiting", failure="authentication")
        self.assertEqual(found(instances=(locked, SCOUT)), (Failure.TOR_UNUSABLE, "primary"))

    def test_points(self) -> None:
        """A Tor without one introduction point that stands."""
        self.assertEqual(found(standing={"primary": 0}), (Failure.NO_POINTS, "primary"))
        self.assertEqual(found(standing={"primary": 3, "standby": 0}), (Failure.NO_POINTS, "standby"))
        self.assertEqual(found(standing={"primary": 1}), (Failure.UNREACHABLE, ""))

    def test_publisher(self) -> None:
        """The publisher's own descriptors are not confirmed; where nobody publishes there is nothing to mend here."""
        missing = (descriptor(published=False), descriptor(seat="second"))
        self.assertEqual(found(descriptors=missing), (Failure.PUBLISHER_UNABLE, ""))
        self.assertEqual(found(descriptors=(), cluster=cluster()), (Failure.PUBLISHER_UNABLE, ""))
        self.assertEqual(found(cluster=cluster(publisher=None, beta="healthy")), (None, ""))

    def test_directories(self) -> None:
        """No descriptor was found: the publisher publishes again, the others leave it to the publisher."""
        self.assertEqual(found(End.LATE, End.LOOKUP), (Failure.DESCRIPTOR_STALE, ""))
        self.assertEqual(found(End.LOOKUP, cluster=cluster(beta="healthy")), (Failure.DESCRIPTOR_STALE, ""))
        other = diagnosed(End.LOOKUP, descriptors=(), cluster=cluster(publisher="beta", beta="healthy"))
        self.assertEqual(other, Diagnosis("no directory has given a descriptor; node beta publishes"))
        self.assertEqual(found(End.LOOKUP, End.LATE), (Failure.UNREACHABLE, ""))

    def test_what_directories_hold(self) -> None:
        """What was seen at the directories counts for more than how a visit ended, if it is what visitors ask for."""
        bad = [Finding.STALE, Finding.MISSING, Finding.SILENT, Finding.UNREADABLE, Finding.UNCONFIRMED]
        good = [Finding.VERIFIED, Finding.NEWER, Finding.VERIFIED]
        few = diagnosed(End.LATE, directories=report("first", *bad, *good))
        self.assertEqual((few.failure, few.subject), (Failure.DESCRIPTOR_STALE, ""))
        self.assertIn("5 of 8 directories", few.sentence)
        enough = report("first", *bad[:4], *good, Finding.VERIFIED)
        self.assertEqual(found(End.LOOKUP, directories=enough), (Failure.UNREACHABLE, ""))
        self.assertEqual(found(End.LATE, directories=report("second", *bad)), (Failure.UNREACHABLE, ""))
        self.assertEqual(found(End.LOOKUP, directories=report("first")), (Failure.DESCRIPTOR_STALE, ""))

    def test_nobody_answers(self) -> None:
        """
        Where visits fail and no directory answers either, it is the Tor that both go through that gets nowhere: what is
        published is left alone, and the lease stays.
        """
        nobody = report("first", *[Finding.SILENT] * 8)
        found = diagnosed(End.LATE, End.LOOKUP, directories=nobody)
        self.assertEqual((found.failure, found.subject), (Failure.NO_WAY_OUT, "scout"))
        self.assertIn("reaches no directory either", found.sentence)
        others = diagnosed(End.LATE, directories=nobody, cluster=cluster(publisher="beta", beta="healthy"))
        self.assertEqual(others.failure, Failure.NO_WAY_OUT)
        actions = {step.action for step in PLANS[Failure.NO_WAY_OUT].steps}
        self.assertEqual(actions, {Action.RESTART_INSTANCE})

    def test_nothing_found(self) -> None:
        """All seems well, and yet: that is a failure of its own, for the publisher to do something about."""
        for end in (End.LATE, End.BROKEN, End.INTRODUCTION, End.RENDEZVOUS):
            self.assertEqual(found(end), (Failure.UNREACHABLE, ""))
            self.assertEqual(found(end, descriptors=(), cluster=cluster(publisher="beta", beta="healthy")), (None, ""))

    @settings(deadline=None, max_examples=200)
    @given(st.data())
    def test_always_one(self, data: st.DataObject) -> None:
        """Whatever is found, there is one diagnosis, and a plan for its failure."""
        states = st.sampled_from(["serving", "waiting", "bootstrapping"])
        healthy = data.draw(st.sampled_from([None, True, False]))
        publisher = data.draw(st.sampled_from([None, "alpha", "beta"]))
        diagnosis = diagnosed(
            *data.draw(st.lists(st.sampled_from([end for end in End if end is not End.PASSED]), max_size=4)),
            standing=data.draw(st.dictionaries(st.sampled_from(["primary", "standby"]), st.integers(0, 3))),
            instances=(instance(phase=data.draw(states)), SCOUT),
            proxy=replace(node().proxy, target_healthy=healthy),
            cluster=data.draw(st.sampled_from([None, cluster(publisher=publisher, beta="healthy")])),
            descriptors=data.draw(st.sampled_from([(), (descriptor(),), (descriptor(published=False),)])),
        )
        self.assertTrue(diagnosis.sentence)
        self.assertTrue(diagnosis.failure is None or diagnosis.failure in PLANS)
