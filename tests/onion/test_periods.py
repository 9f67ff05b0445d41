"""Tests for L{rustbalance.onion.periods}."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.onion.periods import (
    TimePeriod,
    between_period_and_srv,
    disaster_srv,
    period_length,
    reasonably_live,
    shared_random_for,
    srv_run_length,
    srv_run_start,
    time_period,
)
from tests.vectors import load

HOUR, DAY = 3600, 24 * 3600
#: Voting intervals whose periods are whole minutes, as of every network that ran so far.
INTERVALS = st.sampled_from([10, 20, 30, 300, 600, 1800, 3600])
TIMES = st.integers(10**9, 4 * 10**9)


class PeriodTests(SynchronousTestCase):
    """Periods begin and end when Tor's do."""

    def test_vectors(self) -> None:
        """Number, start and next start of a period are those of Tor's own tests, on either kind of network."""
        for vector in load("time_period")["vectors"]:
            interval = vector["voting_interval_s"]
            length = period_length(interval, 1440, testing=vector["testing"])
            period = time_period(vector["t"], interval, length)
            self.assertEqual(period.number, vector.get("period_num", period.number))
            self.assertEqual(period.start(interval), vector.get("period_start", period.start(interval)))
            following = period.shifted(1).start(interval)
            self.assertEqual(following, vector.get("next_period_start", following))

    def test_length(self) -> None:
        """The consensus parameter counts, except with TestingTorNetwork, where a period is a shared random run."""
        self.assertEqual(period_length(HOUR, 60, testing=False), 60)
        self.assertEqual(period_length(20, 60, testing=True), 8)
        self.assertEqual(period_length(HOUR, 60, testing=True), 1440)

    def test_length_is_never_zero(self) -> None:
        """A test network that votes every second or two does not divide by zero."""
        self.assertEqual(period_length(1, 1440, testing=True), 1)

    @settings(deadline=None)
    @given(TIMES, INTERVALS)
    def test_instant_lies_in_its_period(self, at: int, interval: int) -> None:
        """A period begins at or before each of its instants and the next one after it."""
        period = time_period(at, interval, period_length(interval, 1440, testing=True))
        self.assertLessEqual(period.start(interval), at)
        self.assertGreater(period.shifted(1).start(interval), at)

    @settings(deadline=None)
    @given(TIMES, INTERVALS)
    def test_first_instant(self, at: int, interval: int) -> None:
        """The instant at which a period starts is in that period, the one before is not."""
        length = period_length(interval, 1440, testing=True)
        period = time_period(at, interval, length)
        start = period.start(interval)
        self.assertEqual(time_period(start, interval, length), period)
        self.assertEqual(time_period(start - 1, interval, length), period.shifted(-1))


class RunTests(SynchronousTestCase):
    """Runs of the shared random protocol, and where in them a consensus is."""

    def test_run_vectors(self) -> None:
        """The run that a consensus belongs to began when C tor and arti say."""
        for vector in load("srv_run_start")["vectors"]:
            interval = vector["fresh_until"] - vector["valid_after"]
            self.assertEqual(srv_run_start(vector["valid_after"], interval), vector["run_start"])
            self.assertEqual(srv_run_length(interval), vector["run_length_s"])

    def test_segment_vectors(self) -> None:
        """On the real network the second segment lasts from noon to midnight."""
        for vector in load("segment_of_day")["vectors"]:
            found = between_period_and_srv(vector["valid_after"], HOUR, 1440)
            self.assertEqual(found, vector["between_tp_and_srv"])

    @settings(deadline=None)
    @given(TIMES, INTERVALS)
    def test_segments_are_halves(self, at: int, interval: int) -> None:
        """Twelve consensuses of every run lie in one segment, the next twelve in the other."""
        start = srv_run_start(at - at % interval, interval)
        length = period_length(interval, 1440, testing=True)
        found = [between_period_and_srv(start + number * interval, interval, length) for number in range(24)]
        self.assertEqual(found, [False] * 12 + [True] * 12)


class SharedRandomTests(SynchronousTestCase):
    """The value that goes with a period."""

    def test_disaster_vectors(self) -> None:
        """Disaster values are those of Onionbalance, C tor and arti."""
        for vector in load("disaster_srv")["vectors"]:
            period = TimePeriod(vector["period_num"], vector["period_length"])
            self.assertEqual(disaster_srv(period).hex(), vector["srv"])

    def test_disaster_only_without_value(self) -> None:
        """The value of the consensus is used whenever there is one."""
        period = TimePeriod(1, 1440)
        self.assertEqual(shared_random_for(period, bytes(32)), bytes(32))
        self.assertEqual(shared_random_for(period, None), disaster_srv(period))


class LivenessTests(SynchronousTestCase):
    """Which consensus may still be used."""

    def test_a_day_either_way(self) -> None:
        """A day before and a day after its validity are allowed, not a second more."""
        valid_after, valid_until = 10 * DAY, 10 * DAY + 3 * HOUR
        for now, live in (
            (9 * DAY - 1, False),
            (9 * DAY, True),
            (valid_until, True),
            (valid_until + DAY, True),
            (valid_until + DAY + 1, False),
        ):
            self.assertEqual(reasonably_live(valid_after, valid_until, now), live)
