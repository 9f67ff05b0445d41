"""Tests for L{rustbalance.coordination.report}."""

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.commands import Certainty, ClusterView, MemberView
from rustbalance.cluster.messages import State
from rustbalance.coordination.report import cluster_status
from rustbalance.mesh.carrier import CarrierStatus

CARRIER = CarrierStatus(
    name="direct", listening="direct:10.0.0.2:7", links_up=1, links_down=1, frames_dropped=0, problem=None
)
MISSED = "alpha is not heard (if it is gone for good: rustbalance forget alpha)"
VIEW = ClusterView(
    me="beta",
    state=State.HEALTHY,
    members=(
        MemberView("alpha", State.HEALTHY, 100, 3, 0.5),
        MemberView("gamma", State.JOINING, 102, 0, None),
    ),
    publisher="alpha",
    term=5 << 40,
    round=5,
    lease_left=7.5,
    phase="standby",
    certainty=Certainty.CERTAIN,
    isolated=False,
    sources=("beta/primary", "alpha/primary"),
)


class ReportTests(SynchronousTestCase):
    """L{cluster_status} says what an operator wants to know."""

    def test_all_is_well(self) -> None:
        """We are one of the members, the number of the takeover is one for people, nothing is a problem."""
        status = cluster_status(VIEW, 101, CARRIER, {"replay": 2}, None)
        self.assertEqual([member.id for member in status.members], ["alpha", "beta", "gamma"])
        self.assertEqual([member.silent_secs for member in status.members], [0.5, 0.0, None])
        self.assertEqual([member.priority for member in status.members], [100, 101, 102])
        self.assertEqual((status.me, status.publisher, status.term, status.lease_left_secs), ("beta", "alpha", 5, 7.5))
        self.assertEqual(status.sources, ("alpha/primary", "beta/primary"))
        self.assertEqual((status.carrier, status.links_up, status.links_down), ("direct", 1, 1))
        self.assertEqual((status.messages_rejected, status.problems), ({"replay": 2}, ()))
        self.assertTrue(status.serves_us)

    def test_problems(self) -> None:
        """Who is not heard, that we are cut off, that nobody publishes, and what is wrong with carrier and disk."""
        dead = MemberView("alpha", State.DEAD, 100, 3, 60.0)
        view = replace(VIEW, members=(dead, VIEW.members[1]), publisher=None, isolated=True)
        carrier = replace_problem("no link to alpha")
        problems = cluster_status(view, 100, carrier, {}, "the disk is full").problems
        self.assertEqual(len(problems), 5)
        for part in (
            MISSED,
            "cut off",
            "no node publishes",
            "no link to alpha",
            "the disk is full",
        ):
            self.assertIn(part, " / ".join(problems))

    def test_expelled(self) -> None:
        """A node whose bundle another one has used learns what to do."""
        problems = cluster_status(replace(VIEW, expelled_by="alpha"), 100, CARRIER, {}, None).problems
        self.assertEqual(
            problems, ("alpha joined with the same bundle, so this node is out: join again with a new bundle",)
        )


def replace_problem(problem: str) -> CarrierStatus:
    """Return a carrier with a problem."""
    return CarrierStatus(name="tor", listening=None, links_up=0, links_down=2, frames_dropped=1, problem=problem)
