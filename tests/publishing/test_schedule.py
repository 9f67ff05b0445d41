"""Tests for L{rustbalance.publishing.schedule}."""

from collections.abc import Callable
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.moment import Moment
from rustbalance.onion.inner import InnerLayer
from rustbalance.publishing.offers import Outline
from rustbalance.publishing.schedule import Answer, Command, Publish, Read, Redirect, Schedule, Warn
from rustbalance.publishing.settings import PublishSettings
from tests.publishing.samples import START, A, B, D, at, plan

FOREVER = START.wall + 1e9


def outline(*numbers: int) -> Outline:
    """Return what introduction points with these numbers look like."""
    return Outline(frozenset(bytes([number]) for number in numbers))


def reasons(commands: list[Command]) -> list[str]:
    """Return why something is published."""
    return [command.reason for command in commands if isinstance(command, Publish)]


class ScheduleTestCase(SynchronousTestCase):
    """A schedule whose backoff is 5, 10, 15… seconds."""

    def setUp(self) -> None:
        self.schedule = Schedule(PublishSettings(), lambda failures: 5.0 * failures)

    def serve(self, now: Moment = START) -> None:
        """Bring it to where both descriptors are out."""
        self.schedule.connected(now)
        self.schedule.plan(plan(), now)
        self.assertEqual(reasons(self.schedule.points(outline(1, 2, 3), now)), ["first publish"])
        self.done(now)

    def done(self, now: Moment) -> None:
        """Let what is being published be built and confirmed at once."""
        self.schedule.built(FOREVER, now)
        for seat in plan():
            self.schedule.urgency.confirmed(seat.blinded_public, now)

    def run_until(self, seconds: float, start: float = 0.0) -> list[tuple[float, str]]:
        """Wake it as it asks, answer each read with what it knows, and return when it published and why."""
        published: list[tuple[float, str]] = []
        now = at(start)
        while (due := self.schedule.due()) is not None and due <= at(seconds).mono:
            now = START.later(max(due, now.mono) - START.mono)
            for command in self.schedule.wake(now):
                if isinstance(command, Publish):
                    published.append((now.mono - START.mono, command.reason))
                    self.done(now)
        return published


class FirstPublishTests(ScheduleTestCase):
    """The first publish comes as soon as it is worth it."""

    def test_at_once_with_all_points(self) -> None:
        """When Tor has all the points that it was told to have, nothing is waited for."""
        self.schedule.connected(START)
        self.schedule.plan(plan(), at(1))
        self.assertEqual(reasons(self.schedule.points(outline(1, 2, 3), at(2))), ["first publish"])

    def test_at_once_when_the_plan_comes_last(self) -> None:
        """The points may be there before the consensus has been read."""
        self.schedule.connected(START)
        self.schedule.points(outline(1, 2, 3), at(1))
        self.assertEqual(reasons(self.schedule.plan(plan(), at(2))), ["first publish"])

    def test_fewer_points_wait_a_moment(self) -> None:
        """With fewer points than configured the rest gets a second to come up, from the last change on."""
        self.schedule.connected(START)
        self.schedule.plan(plan(), START)
        self.assertEqual(reasons(self.schedule.points(outline(1), at(1))), [])
        self.assertEqual(self.schedule.answer(at(1)), Answer.UNCERTAIN)
        self.assertEqual(reasons(self.schedule.points(outline(1, 2), at(1.5))), [])
        self.assertEqual(reasons(self.schedule.wake(at(2.4))), [])
        self.assertEqual(reasons(self.schedule.wake(at(2.5))), ["first publish"])

    def test_not_long_after_the_first(self) -> None:
        """When points come one after the other, what there is is published five seconds after the first."""
        self.schedule = Schedule(PublishSettings(expected_points=12), lambda failures: 5.0)
        self.schedule.connected(START)
        self.schedule.plan(plan(), START)
        found = []
        for step in range(11):
            found += reasons(self.schedule.points(outline(*range(step + 1)), at(10 + 0.9 * step)))
            found += [why for _, why in self.run_until(10 + 0.9 * step + 0.8, 10 + 0.9 * step)]
            if found:
                break
        self.assertEqual((step, found), (5, ["first publish"]))

    def test_begins(self) -> None:
        """Points are urgent until something is out, for a follower as long as there is nothing to publish."""
        self.assertTrue(self.schedule.begins())
        self.serve()
        self.assertFalse(self.schedule.begins())
        self.schedule.follow(at(1))
        self.assertFalse(self.schedule.begins())
        self.schedule.points(outline(), at(2))
        self.assertTrue(self.schedule.begins())


class AnswerTests(ScheduleTestCase):
    """Directories are left alone unless we know better than what they hold."""

    def test_nothing_without_points(self) -> None:
        """Zero points are never published, not even on request."""
        self.serve()
        self.assertEqual(reasons(self.schedule.points(outline(), at(10))), [])
        self.assertEqual(self.schedule.answer(at(10)), Answer.UNKNOWN)
        self.assertEqual(reasons(self.schedule.request(at(11))), [])
        self.assertEqual(self.run_until(20_000, 11), [])

    def test_nothing_without_tor(self) -> None:
        """While Tor is gone nothing is published, and its points are not believed in any more when it is back."""
        self.serve()
        self.schedule.lost(at(10))
        self.assertEqual(reasons(self.schedule.request(at(11))), [])
        self.assertIsNone(self.schedule.due())
        self.assertEqual(reasons(self.schedule.connected(at(20))), [])
        self.assertEqual(reasons(self.schedule.points(outline(4, 5, 6), at(21))), ["the introduction points changed"])

    def test_same_points_after_a_reconnect(self) -> None:
        """A control connection that came back to the same points changes nothing."""
        self.serve()
        self.schedule.lost(at(10))
        self.schedule.connected(at(11))
        self.assertEqual(reasons(self.schedule.points(outline(1, 2, 3), at(12))), [])

    def test_nothing_by_a_consensus_that_is_too_old(self) -> None:
        """A consensus more than a day past its end says nothing about today's directories."""
        self.schedule.connected(START)
        old = replace(plan(), valid_until=int(START.wall) - 25 * 3600)
        self.schedule.plan(old, START)
        self.assertEqual(reasons(self.schedule.points(outline(1, 2, 3), START)), [])
        self.assertEqual(self.schedule.answer(START), Answer.UNKNOWN)
        self.assertIn("too old", str(self.schedule.obstacle(START)))
        self.assertEqual(reasons(self.schedule.plan(plan(), at(5))), ["first publish"])

    def test_uncertain_when_what_is_out_expires(self) -> None:
        """Fewer points than there should be replace what is out there at once only when that is about to expire."""
        self.serve()
        self.assertEqual(reasons(self.schedule.points(outline(1, 2), at(100))), [])
        self.assertEqual(reasons(self.schedule.points(outline(1, 3), at(9_000))), ["the introduction points changed"])


class ClusterTests(ScheduleTestCase):
    """Who publishes is for the cluster to say, and how sure it is of what."""

    def test_others_know_more(self) -> None:
        """What is unknown is left alone whatever changes, and published once it is certain."""
        self.serve()
        self.assertEqual(reasons(self.schedule.told(outline(1, 2, 3, 4), Answer.UNKNOWN, at(100))), [])
        self.assertEqual(self.run_until(9_000, 100), [])
        self.assertIn("may know more", str(self.schedule.obstacle(at(9_000))))
        found = reasons(self.schedule.told(outline(1, 2, 3, 4), Answer.CERTAIN, at(9_001)))
        self.assertEqual(found, ["the introduction points changed"])
        self.assertIsNone(self.schedule.obstacle(at(9_001)))

    def test_uncertain(self) -> None:
        """What is uncertain replaces what is out there when that is about to expire."""
        self.serve()
        self.assertEqual(reasons(self.schedule.told(outline(1, 2, 3, 4), Answer.UNCERTAIN, at(100))), [])
        [(when, why)] = self.run_until(9_000, 100)
        self.assertEqual(when, 8_100)
        self.assertEqual(why, "the introduction points changed")

    def test_follower(self) -> None:
        """Who follows publishes nothing, whatever happens."""
        self.serve()
        self.schedule.follow(at(100))
        self.schedule.request(at(101))
        self.assertEqual(reasons(self.schedule.told(outline(7, 8, 9), Answer.CERTAIN, at(102))), [])
        self.assertEqual(self.run_until(9_000, 103), [])

    def test_takeover(self) -> None:
        """Who leads again publishes at once what is known, even if it is what it published last."""
        self.serve()
        self.schedule.follow(at(1))
        self.assertEqual(reasons(self.schedule.lead(at(1.1))), ["first publish"])
        self.schedule.built(FOREVER, at(1.1))
        self.assertEqual(reasons(self.schedule.lead(at(2))), [])


class ChangeTests(ScheduleTestCase):
    """What has changed is published again, and nothing else is."""

    def test_other_points_at_once(self) -> None:
        """A new set of points is published without delay when it has been quiet."""
        self.serve()
        self.assertEqual(reasons(self.schedule.points(outline(1, 2, 4), at(100))), ["the introduction points changed"])

    def test_same_points_are_no_change(self) -> None:
        """The same auth keys need no publish, however often Tor is asked."""
        self.serve()
        for second in range(10, 500, 10):
            self.assertEqual(reasons(self.schedule.points(outline(3, 2, 1), at(second))), [])

    def test_flags_are_a_change(self) -> None:
        """The same points with other flags are published again."""
        self.serve()
        other = replace(outline(1, 2, 3), flags=frozenset([InnerLayer((), single_onion_service=True)]))
        self.assertEqual(reasons(self.schedule.points(other, at(100))), ["the introduction points changed"])

    def test_bursts_are_gathered(self) -> None:
        """Changes in a row lead to few publishes; the last one is among them."""
        self.serve()
        published = []
        for step in range(100):
            published += reasons(self.schedule.points(outline(step, step + 1, step + 2), at(100 + step / 10)))
            if self.schedule._building is not None:
                self.schedule.built(FOREVER, at(100 + step / 10))
        self.assertLessEqual(len(published), 5)
        self.assertEqual([why for _, why in self.run_until(150, 110)], ["the introduction points changed"])

    def test_quiet_again(self) -> None:
        """After a burst a single change is published at once again."""
        self.serve()
        for step in range(50):
            self.schedule.points(outline(step, 100, 101), at(100 + step))
            self.schedule.built(FOREVER, at(100 + step))
        self.assertEqual(reasons(self.schedule.points(outline(7, 8, 9), at(600))), ["the introduction points changed"])
        self.schedule.built(FOREVER, at(600))
        self.assertEqual(reasons(self.schedule.points(outline(7, 8, 10), at(601))), ["the introduction points changed"])

    def test_change_while_building(self) -> None:
        """What changes while the descriptors are built is published after them."""
        self.serve()
        self.schedule.points(outline(4, 5, 6), at(100))
        self.assertEqual(reasons(self.schedule.points(outline(7, 8, 9), at(105))), [])
        self.assertEqual(reasons(self.schedule.built(FOREVER, at(106))), ["the introduction points changed"])

    def test_new_period(self) -> None:
        """New keys are published at once with the points that came with them, and Tor is asked for those at once."""
        self.serve()
        self.assertEqual(self.schedule.plan(plan(101), at(100)), [Read()])
        self.assertEqual(
            reasons(self.schedule.points(outline(4, 5, 6), at(100.2))), ["the introduction points changed"]
        )
        self.schedule.built(FOREVER, at(100.3))
        self.assertEqual(self.run_until(110, 100.3), [])

    def test_dead_points_do_not_wait_long(self) -> None:
        """However often points have changed of late, those that are gone are taken back within five seconds."""
        self.serve()
        second = 100.0
        for step in range(6):
            self.schedule.points(outline(10 * step, 10 * step + 1, 10 * step + 2), at(second))
            [(second, _)] = self.run_until(second + 40, second)[:1] or [(second, "")]
            self.schedule.built(FOREVER, at(second))
        self.schedule.points(outline(50, 51), at(second + 1))
        [(when, why)] = self.run_until(second + 20, second + 1)
        self.assertLessEqual(when - second, 5.0)
        self.assertEqual(why, "the introduction points changed")

    def test_all_points_dead(self) -> None:
        """The same when others have come, but not one of those that are out is alive: nobody can come in."""
        self.serve()
        second = 100.0
        for step in range(6):
            self.schedule.points(outline(10 * step, 10 * step + 1, 200), at(second))
            [(second, _)] = self.run_until(second + 40, second)[:1] or [(second, "")]
            self.schedule.built(FOREVER, at(second))
        self.assertEqual(reasons(self.schedule.points(outline(51, 61, 200), at(second + 6))), [], "one is alive")
        dead = self.schedule.points(outline(71, 72, 73), at(second + 6.1))
        self.assertEqual(reasons(dead), ["the introduction points changed"])

    def test_new_period_with_the_old_points(self) -> None:
        """When the points stay as they are the new keys are published with them after a short wait."""
        self.serve()
        self.schedule.plan(plan(101), at(100))
        self.schedule.points(outline(1, 2, 3), at(100.1))
        self.assertEqual(self.run_until(110, 100.1), [(101.5, "the time period changed")])

    def test_new_directories_only(self) -> None:
        """When only the ring has changed no new text is made."""
        self.serve()
        self.assertEqual(self.schedule.plan(plan(directories=(A, B, D)), at(5)), [Redirect()])
        self.assertEqual(self.schedule.plan(plan(directories=(A, B, D)), at(6)), [])

    def test_new_keys_bring_new_points(self) -> None:
        """When the keys change so do the points, in a moment: Tor is asked for them."""
        self.serve()
        self.assertIn(Read(), self.schedule.plan(plan(101), at(100)))


class RefreshTests(ScheduleTestCase):
    """What does not change is published again before it is forgotten."""

    def test_every_interval(self) -> None:
        """The descriptors are refreshed every ``refresh_interval_secs``."""
        self.serve()
        self.assertEqual(self.run_until(1_900), [(600.0, "refresh"), (1_200.0, "refresh"), (1_800.0, "refresh")])

    def test_long_intervals_are_cut(self) -> None:
        """Directories forget after three hours, so no interval is longer than half of that."""
        self.schedule = Schedule(PublishSettings(refresh_interval_secs=86_400, max_age_secs=1e6), lambda failures: 5.0)
        self.serve()
        self.assertEqual(self.run_until(6_000), [(5_400.0, "refresh")])

    def test_overdue(self) -> None:
        """What is not confirmed for too long is published at once, with a warning, and again until it is."""
        self.serve()
        self.schedule.wake(at(600))
        self.schedule.built(FOREVER, at(600))
        self.assertEqual(self.schedule.wake(at(899)), [])
        self.assertEqual(self.schedule.due(), at(900).mono)
        warning, publish = self.schedule.wake(at(900))
        self.assertEqual(publish, Publish("overdue"))
        self.assertEqual(warning, Warn("Too few directories have confirmed a publish for 900 s: publishing now"))
        self.schedule.built(FOREVER, at(900))
        self.assertEqual(reasons(self.schedule.wake(at(1_019))), [])
        self.assertEqual(reasons(self.schedule.wake(at(1_020))), ["overdue"])

    def test_overdue_and_not_ours(self) -> None:
        """Ages of before another node published are forgotten."""
        self.serve()
        self.schedule.follow(at(10))
        self.assertEqual(reasons(self.schedule.lead(at(2_000))), ["first publish"])
        self.schedule.built(FOREVER, at(2_000))
        self.assertEqual(self.run_until(2_590, 2_000), [])

    def test_overdue_and_not_ours_to_say(self) -> None:
        """Also then the directories are left alone as long as it is not certain what to publish."""
        self.serve()
        self.schedule.wake(at(600))
        self.schedule.built(FOREVER, at(600))
        self.schedule.told(outline(1, 2), Answer.UNCERTAIN, at(700))
        self.assertEqual(reasons(self.schedule.wake(at(1_000))), [])
        self.assertEqual(reasons(self.schedule.told(outline(1, 2, 3), Answer.CERTAIN, at(1_100))), ["overdue"])

    def test_failed(self) -> None:
        """A first publish that retries have not brought to enough directories is done again in half a minute."""
        self.schedule.connected(START)
        self.schedule.plan(plan(), START)
        self.schedule.points(outline(1, 2, 3), START)
        self.schedule.built(FOREVER, START)
        self.schedule.urgency.failed(plan().first.blinded_public)
        self.assertEqual(reasons(self.schedule.wake(at(29))), [])
        self.assertEqual(self.schedule.due(), at(30).mono)
        self.assertEqual(reasons(self.schedule.wake(at(30))), ["another attempt"])

    def test_too_few_points(self) -> None:
        """After two minutes with fewer points than there should be the operator is told, not before, and once."""
        self.schedule.connected(START)
        self.schedule.plan(plan(), START)
        self.schedule.points(outline(1, 2), START)
        commands = [command for second in range(1, 300) for command in self.schedule.wake(at(second))]
        self.assertEqual(commands[0], Publish("first publish"))
        [warning] = [command for command in commands if isinstance(command, Warn)]
        self.assertIn("only 2 of 3 introduction points", warning.text)

    def test_before_a_certificate_expires(self) -> None:
        """A certificate that expires soon brings the refresh forward."""
        self.schedule = Schedule(PublishSettings(refresh_interval_secs=5_000, max_age_secs=1e6), lambda failures: 5.0)
        self.serve()
        self.schedule.request(at(10))
        self.schedule.built(at(3 * 3600 + 3_010).wall, at(10))
        self.assertEqual(self.run_until(3_011, 10), [(3_010.0, "refresh")])

    def test_failed_build_is_tried_again(self) -> None:
        """A build that fails is tried again with growing waits, sooner when something changes."""
        self.schedule.connected(START)
        self.schedule.plan(plan(), START)
        self.schedule.points(outline(1, 2, 3), START)
        self.assertEqual(self.schedule.not_built(START), [])
        self.assertEqual(reasons(self.schedule.wake(at(4.9))), [])
        self.assertEqual(reasons(self.schedule.wake(at(5))), ["another attempt"])
        self.schedule.not_built(at(5))
        self.assertEqual(reasons(self.schedule.wake(at(14.9))), [])
        self.assertEqual(reasons(self.schedule.points(outline(4, 5, 6), at(14.9))), ["first publish"])

    def test_on_request(self) -> None:
        """A request publishes what has not changed, once."""
        self.serve()
        self.assertEqual(reasons(self.schedule.request(at(100))), ["on request"])
        self.schedule.built(FOREVER, at(100))
        self.assertEqual(self.run_until(500, 100), [])

    def test_request_that_was_cut_off(self) -> None:
        """What Tor's end interrupts is done when Tor is back with the same points, and not twice."""
        self.serve()
        self.assertEqual(reasons(self.schedule.request(at(100))), ["on request"])
        self.schedule.lost(at(100.1))
        self.schedule.connected(at(102))
        self.assertEqual(reasons(self.schedule.points(outline(1, 2, 3), at(103))), ["another attempt"])
        self.schedule.built(FOREVER, at(103))
        self.assertEqual(self.run_until(500, 103), [])

    def test_request_whose_tor_went(self) -> None:
        """What is interrupted is done at once when another Tor can be asked."""
        self.serve()
        self.assertEqual(reasons(self.schedule.request(at(100))), ["on request"])
        self.assertEqual(reasons(self.schedule.interrupted(at(102))), ["another attempt"])
        self.schedule.built(FOREVER, at(102))
        self.assertEqual(reasons(self.schedule.interrupted(at(110))), [])

    def test_request_whose_build_failed(self) -> None:
        """A request is not forgotten when its build fails and then the points change to and fro."""
        self.serve()
        self.schedule.request(at(100))
        self.schedule.not_built(at(100.1))
        self.assertEqual(reasons(self.schedule.points(outline(1, 2, 4), at(100.2))), [])
        self.assertEqual(reasons(self.schedule.points(outline(1, 2, 3), at(100.3))), [])
        self.assertEqual([why for _, why in self.run_until(500, 100.3)], ["another attempt"])


class AlwaysTests(SynchronousTestCase):
    """What holds whatever happens in whatever order."""

    def take(self, schedule: Schedule, step: str, now: Moment, number: int) -> list[Command]:
        """Feed the input that ``step`` names."""
        if step == "points":
            return schedule.points(outline(number % 250, 251, 252), now)
        if step == "none":
            return schedule.points(outline(), now)
        if step in ("plan", "next"):
            return schedule.plan(plan(100 if step == "plan" else 101), now)
        feed: Callable[[Moment], list[Command]] = getattr(schedule, step)
        return feed(now)

    @settings(deadline=None, max_examples=200)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(
                    ["connected", "lost", "points", "none", "plan", "next", "request", "wake", "interrupted"]
                ),
                st.sampled_from([0.0, 0.1, 1.0, 3.0, 700.0]),
            ),
            max_size=40,
        )
    )
    def test_never_without_points_and_never_idle(self, steps: list[tuple[str, float]]) -> None:
        """Nothing is published without points or Tor, one build at a time, and no wake-up is due in the past."""
        schedule = Schedule(PublishSettings(), lambda failures: 5.0)
        seconds, serving, points = 0.0, False, 0
        for step, pause in steps:
            seconds += pause
            now = at(seconds)
            serving, points = (
                step == "connected" or (serving and step != "lost"),
                0 if step in ("lost", "none") else points,
            )
            if step == "points":
                points = 3
            commands = self.take(schedule, step, now, int(seconds))
            if reasons(commands):
                self.assertTrue(serving and points)
                self.assertEqual(len(reasons(commands)), 1)
                self.assertEqual(reasons(schedule.wake(now)), [])
                schedule.built(FOREVER, now)
            due = schedule.due()
            self.assertTrue(due is None or due > now.mono)
