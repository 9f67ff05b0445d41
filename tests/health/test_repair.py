"""Failures and repairs: what is done, how often, and when a person is asked."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.health.repair import LIMITS, PLANS, REST, Act, Action, Escalated, Failure, Repairs
from rustbalance.moment import Moment

BEGIN = Moment(1000.0, 1_700_000_000.0)
HUNG = (Failure.TOR_HUNG, "primary")


def at(seconds: float) -> Moment:
    """Return the moment so many seconds after the beginning."""
    return BEGIN.later(seconds)


def story(repairs: Repairs, failure: Failure, subject: str, until: int) -> list[tuple[int, Act | Escalated]]:
    """Report the failure every second and return what came of it, with the second."""
    return [(second, done) for second in range(until) for done in repairs.report(failure, subject, at(second))]


class RepairsTests(SynchronousTestCase):
    """One failure, then several."""

    def test_the_first_report_is_acted_upon_at_once(self) -> None:
        """A failure is repaired when it is noticed, with the subject that it has."""
        (act,) = Repairs().report(*HUNG, at(0))
        self.assertEqual(act, Act(Action.RESTART_INSTANCE, Failure.TOR_HUNG, "primary", 1))

    def test_a_repair_is_given_time(self) -> None:
        """Reports that follow are waited out, each wait twice as long as the one before."""
        acts = [second for second, done in story(Repairs(), *HUNG, 60) if isinstance(done, Act)]
        self.assertEqual(acts, [0, 15, 45])

    def test_what_does_not_help_is_escalated_once(self) -> None:
        """After three restarts the operator is told, once, and with what to do."""
        found = [done for _, done in story(Repairs(), *HUNG, 1000) if isinstance(done, Escalated)]
        self.assertEqual([escalated.attempts for escalated in found], [3])
        self.assertIn("Tor (primary) does not answer after 3 repairs: ", found[0].sentence)
        self.assertIn("by hand", found[0].sentence)

    def test_after_a_rest_it_is_tried_again(self) -> None:
        """Nobody may be there to read the error: the ladder begins anew."""
        happened = story(Repairs(), *HUNG, 700)
        told = next(second for second, done in happened if isinstance(done, Escalated))
        self.assertEqual(next(second for second, _ in happened if second > told), told + REST)

    def test_a_ladder_has_several_repairs(self) -> None:
        """When publishing again does not make the address reachable, somebody else shall publish."""
        actions = [done.action for _, done in story(Repairs(), Failure.UNREACHABLE, "", 500) if isinstance(done, Act)]
        self.assertEqual(actions, [Action.REPUBLISH, Action.STEP_DOWN])

    def test_what_is_done_after_the_rest_is_said(self) -> None:
        """The advice stands while there is only that; when something is done again, that is what the status says."""
        repairs = Repairs()
        story(repairs, *HUNG, 400)
        self.assertIn("after 3 repairs", repairs.sentences(at(400))[0])
        (act,) = repairs.report(*HUNG, at(500))
        self.assertEqual(repairs.sentences(at(501)), (act.sentence,))

    def test_no_restart_where_none_would_help(self) -> None:
        """A wrong password is told at once, with what to do, and nothing is restarted for it."""
        (escalated,) = Repairs().report(Failure.TOR_UNUSABLE, "primary", at(0))
        self.assertIsInstance(escalated, Escalated)
        self.assertIn("Tor (primary) cannot be used as it is: change what is said about it", escalated.sentence)

    def test_what_is_impossible_is_passed_over(self) -> None:
        """A node alone cannot give the lease away, so nobody is told that it is; one that follows does not publish."""
        repairs, alone = Repairs(), [Action.STEP_DOWN]
        done = [act for second in range(400) for act in repairs.report(Failure.UNREACHABLE, "", at(second), alone)]
        self.assertEqual([each.action for each in done if isinstance(each, Act)], [Action.REPUBLISH])
        self.assertEqual(sum(isinstance(each, Escalated) for each in done), 1)
        (escalated,) = Repairs().report(Failure.UNREACHABLE, "", at(0), [Action.STEP_DOWN, Action.REPUBLISH])
        self.assertIsInstance(escalated, Escalated)

    def test_what_no_repair_helps_is_told_at_once(self) -> None:
        """The target is not ours to mend."""
        (escalated,) = Repairs().report(Failure.TARGET_DOWN, "", at(0))
        self.assertIsInstance(escalated, Escalated)
        self.assertIn("the target does not answer: see to the target", escalated.sentence)

    def test_recovery_begins_a_new_case(self) -> None:
        """What has recovered and fails again is told again."""
        repairs = Repairs()
        repairs.report(Failure.TARGET_DOWN, "", at(0))
        self.assertTrue(repairs.recovered(Failure.TARGET_DOWN, "", at(1)))
        self.assertFalse(repairs.recovered(Failure.TARGET_DOWN, "", at(2)))
        self.assertEqual(len(repairs.report(Failure.TARGET_DOWN, "", at(3))), 1)

    def test_coming_and_going_does_not_get_round_the_limit(self) -> None:
        """An instance that fails every second is restarted three times in five minutes, not three hundred times."""
        repairs, restarts = Repairs(), 0
        for second in range(299):
            restarts += sum(isinstance(done, Act) for done in repairs.report(*HUNG, at(second)))
            repairs.recovered(*HUNG, at(second))
        self.assertEqual(restarts, 3)

    def test_one_cause_with_many_failures_publishes_no_storm(self) -> None:
        """What several failures call for counts together where it is the same thing."""
        repairs, published = Repairs(), 0
        for second in range(299):
            for failure in (Failure.UNREACHABLE, Failure.DESCRIPTOR_STALE, Failure.PUBLISHER_UNABLE):
                done = repairs.report(failure, "", at(second))
                published += sum(isinstance(act, Act) and act.action is Action.REPUBLISH for act in done)
        self.assertLessEqual(published, LIMITS[Action.REPUBLISH].times)

    def test_subjects_do_not_share_their_restarts(self) -> None:
        """The standby is restarted though the primary has used up its restarts."""
        repairs = Repairs()
        story(repairs, *HUNG, 200)
        (act,) = repairs.report(Failure.TOR_HUNG, "standby", at(200))
        self.assertEqual(act.sentence, "Tor (standby) does not answer: it is being restarted (attempt 1)")

    def test_status_says_what_is_wrong_and_what_is_done(self) -> None:
        """One sentence for each failure that lasts; the advice takes its place when nothing has helped."""
        repairs = Repairs()
        repairs.report(*HUNG, at(0))
        repairs.report(Failure.PEER_SILENT, "berlin", at(0))
        self.assertEqual(
            repairs.sentences(at(1)),
            (
                "Tor (primary) does not answer: it is being restarted (attempt 1)",
                "node berlin is not heard: the way to it is being looked for anew (attempt 1)",
            ),
        )
        story(repairs, *HUNG, 200)
        self.assertIn("after 3 repairs", repairs.sentences(at(200))[0])
        repairs.recovered(*HUNG, at(201))
        self.assertEqual(len(repairs.sentences(at(201))), 1)

    def test_a_failure_that_nobody_reports_is_forgotten(self) -> None:
        """Who found it may be gone."""
        repairs = Repairs()
        repairs.report(*HUNG, at(0))
        self.assertEqual(len(repairs.sentences(at(3600))), 1)
        self.assertEqual(repairs.sentences(at(3601)), ())

    def test_every_failure_has_a_plan(self) -> None:
        """Each kind can be named, repaired or not, and explained."""
        self.assertEqual(set(PLANS), set(Failure))
        self.assertEqual(set(LIMITS), set(Action))
        self.assertEqual({step.action for plan in PLANS.values() for step in plan.steps}, set(Action))
        for failure in Failure:
            self.assertGreater(len(Escalated(failure, "x", 0).sentence), 40)

    @given(
        st.lists(
            st.tuples(st.sampled_from(Failure), st.sampled_from(["a", "b"]), st.floats(0, 200), st.booleans()),
            max_size=120,
        )
    )
    @settings(deadline=None)
    def test_no_limit_is_ever_passed(self, happened: list[tuple[Failure, str, float, bool]]) -> None:
        """Whatever fails and recovers, and when: no action is done more often than its limit allows."""
        repairs, now, done = Repairs(), 0.0, list[tuple[Action, str, float]]()
        for failure, subject, later, over in happened:
            now += later
            if over:
                repairs.recovered(failure, subject, at(now))
            for act in repairs.report(failure, subject, at(now)):
                if isinstance(act, Act):
                    done.append((act.action, "" if LIMITS[act.action].shared else subject, now))
        for action, subject, then in done:
            limit = LIMITS[action]
            same = [when for what, whose, when in done if (what, whose) == (action, subject)]
            self.assertLessEqual(sum(0 <= when - then < limit.seconds for when in same), limit.times)
