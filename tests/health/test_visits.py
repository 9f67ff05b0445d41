"""What visits to our own address add up to."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.health.visits import PATIENCE, End, Outcome, Verdict, Visits
from rustbalance.moment import Moment

FAILED = Outcome(End.LATE, "x")
ALONE = frozenset({"alpha"})


def passed(node: str | None = "alpha", instance: str = "primary") -> Outcome:
    """Return a visit that was answered."""
    return Outcome(End.PASSED, "ok", 1.0, node, instance if node else None)


class VisitsTests(SynchronousTestCase):
    """Rows of failures, and who answers."""

    def test_row(self) -> None:
        """The third failure in a row is the alarm, once; a visit that passes ends the row and the alarm."""
        visits = Visits(3)
        verdicts = [
            visits.record(outcome, ALONE, Moment(float(at), 0.0))
            for at, outcome in enumerate([FAILED, FAILED, passed(), *[FAILED] * 5, passed(), passed(), FAILED])
        ]
        row = [Verdict.FAILED, Verdict.FAILED, Verdict.ALARM, Verdict.STILL, Verdict.STILL]
        end = [Verdict.RECOVERED, Verdict.PASSED, Verdict.FAILED]
        self.assertEqual(verdicts, [Verdict.FAILED, Verdict.FAILED, Verdict.PASSED, *row, *end])
        self.assertEqual((visits.count, visits.failures, visits.passed_at), (11, 1, 9.0))

    def test_ends(self) -> None:
        """The ends that are kept are those of the row, and no more than matter."""
        visits = Visits(2)
        for end in (End.LATE, End.BROKEN, End.LOOKUP):
            visits.record(Outcome(end, ""), ALONE, Moment(0.0, 0.0))
        self.assertEqual(visits.ends, (End.BROKEN, End.LOOKUP))
        visits.record(passed(), ALONE, Moment(0.0, 0.0))
        self.assertEqual(visits.ends, ())

    def test_seen(self) -> None:
        """The table has a row for each Tor of each node that has answered, with how long ago and how often."""
        visits = Visits(3)
        for at, outcome in enumerate(
            [passed("beta"), passed("alpha", "standby"), passed("beta"), passed(None), passed("beta", "standby")]
        ):
            visits.record(outcome, ALONE, Moment(float(at), 0.0))
        table = [(one.node, one.instance, one.age_secs, one.count) for one in visits.seen(Moment(10.0, 0.0))]
        self.assertEqual(
            table, [("alpha", "standby", 9.0, 1), ("beta", "primary", 8.0, 2), ("beta", "standby", 6.0, 1)]
        )

    def test_overlooked(self) -> None:
        """A node that has points and never answers is noticed, though every visit passes; one without points is not."""
        visits, sources = Visits(3), frozenset({"alpha", "beta"})
        for _ in range(2 * PATIENCE - 1):
            visits.record(passed(), sources, Moment(0.0, 0.0))
            visits.record(passed(None), sources, Moment(0.0, 0.0))
            visits.record(FAILED, sources, Moment(0.0, 0.0))
        self.assertEqual(visits.overlooked(), ())
        visits.record(passed(), sources, Moment(0.0, 0.0))
        self.assertEqual(visits.overlooked(), ("beta",))
        visits.record(passed("beta"), sources, Moment(0.0, 0.0))
        self.assertEqual(visits.overlooked(), ())
        for _ in range(2 * PATIENCE):
            visits.record(passed(), sources, Moment(0.0, 0.0))
        self.assertEqual(visits.overlooked(), ("beta",))
        visits.record(passed(), ALONE, Moment(0.0, 0.0))
        self.assertEqual(visits.overlooked(), ())

    def test_new_node(self) -> None:
        """The count begins when a node's points are published."""
        visits = Visits(3)
        for _ in range(100):
            visits.record(passed(), ALONE, Moment(0.0, 0.0))
        visits.record(passed(), frozenset({"alpha", "beta"}), Moment(0.0, 0.0))
        self.assertEqual(visits.overlooked(), ())
