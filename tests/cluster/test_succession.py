"""Tests for L{rustbalance.cluster.succession}."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.commands import BecomePublisher, Command, Send, StepDown
from rustbalance.cluster.election import ROUND, SPARE, Claim, latest_round, next_term
from rustbalance.cluster.messages import LeaseClaim, LeaseRelease
from rustbalance.cluster.settings import ClusterSettings
from rustbalance.cluster.succession import Succession
from rustbalance.moment import Moment
from tests.cluster.group import WALL, heartbeat

BEFORE = [(100, "a")]
A_TERM = next_term(0, 100, "a")


def kinds(commands: list[Command]) -> list[type]:
    """Return what the commands are, messages by their own kind, without log lines."""
    found = [type(each.message) if isinstance(each, Send) else type(each) for each in commands]
    return [kind for kind in found if kind.__name__ != "Log"]


class SuccessionTests(SynchronousTestCase):
    """Node m, with the default settings and no jitter."""

    def build(self, rivals: list[tuple[int, str]], term: int = 0) -> Succession:
        """Return the succession of a node that takes part."""
        succession = Succession("m", 100, ClusterSettings(), lambda: rivals, lambda: 0.0, term)
        succession.start()
        return succession

    def steer(self, succession: Succession, now: float, *, eligible: bool = True, ready: bool = True) -> list[type]:
        """Let it look for as long as it wants to, and return what it does."""
        moment = Moment(now, WALL + now)
        commands = succession.steer(eligible=eligible, ready=ready, moment=moment)
        while succession.due() <= now:
            commands += succession.steer(eligible=eligible, ready=ready, moment=moment)
        return kinds(commands)

    def leading(self, rivals: list[tuple[int, str]]) -> Succession:
        """Return one that publishes since second 4."""
        succession = self.build(rivals)
        for now in (0.0, 2.0, 4.0):
            self.steer(succession, now)
        self.assertTrue(succession.publishing)
        return succession

    def test_alone(self) -> None:
        """A node that is alone publishes at once."""
        succession = self.build([])
        self.assertEqual(self.steer(succession, 0.0), [LeaseClaim, BecomePublisher])

    def test_listens_first(self) -> None:
        """Nothing is claimed before we have listened."""
        succession = self.build(BEFORE)
        self.assertEqual(self.steer(succession, 0.0, ready=False), [])
        self.assertEqual(succession.phase(), "standby")

    def test_better_candidate_first(self) -> None:
        """A node waits its turn, claims, and publishes when nobody has contradicted for two seconds."""
        succession = self.build(BEFORE)
        self.assertEqual(self.steer(succession, 0.0), [])
        self.assertEqual((succession.due(), succession.phase()), (1.0, "suspect"))
        self.assertEqual(self.steer(succession, 1.0), [LeaseClaim])
        self.assertEqual(succession.due(), 3.0)
        self.assertEqual(self.steer(succession, 3.0), [BecomePublisher])

    def test_follows(self) -> None:
        """While a lease runs we stand by; when it has lapsed, its holder counts as no candidate any more."""
        succession = self.build(BEFORE)
        succession.heartbeat("a", heartbeat(1, term=A_TERM, publisher="a", lease_left=8.0), True, 0.0)
        self.steer(succession, 0.0)
        self.assertEqual(succession.due(), 8.0)
        succession.heartbeat("a", heartbeat(2, term=A_TERM, publisher="a", lease_left=8.0), True, 2.0)
        self.steer(succession, 8.0)
        self.assertEqual((succession.phase(), succession.due()), ("standby", 10.0))
        self.assertEqual(self.steer(succession, 10.0), [LeaseClaim])
        self.assertGreater(succession.lease.term, A_TERM)

    def test_word_of_others_is_no_renewal(self) -> None:
        """That others still believe in a lease does not extend it, unless they bring a later beat of its holder."""
        succession = self.build([*BEFORE, (100, "b")])
        said = heartbeat(1, term=A_TERM, publisher="a", lease_left=8.0)
        succession.heartbeat("b", said, False, 0.0)
        self.assertEqual(succession.lease.expires, 8.0)
        succession.heartbeat("b", said, False, 4.0)
        self.assertEqual(succession.lease.expires, 8.0)
        succession.heartbeat("b", said, True, 5.0)
        self.assertEqual(succession.lease.expires, 13.0)

    def test_no_lease_longer_than_ours(self) -> None:
        """Nobody holds the seat for longer than the settings allow, whatever it says."""
        succession = self.build(BEFORE)
        succession.heartbeat("a", heartbeat(1, term=A_TERM, publisher="a", lease_left=1e6), True, 0.0)
        self.assertEqual(succession.lease.expires, 8.0)

    def test_yields_to_the_stronger(self) -> None:
        """A publisher that hears of a higher term ceases at once, and follows."""
        succession = self.leading(BEFORE)
        higher = next_term(succession.lease.term, 100, "a")
        self.assertFalse(succession.claimed("a", LeaseClaim(term=higher, priority=100), 5.0))
        self.assertEqual(self.steer(succession, 5.0), [StepDown])
        self.assertEqual((succession.phase(), succession.claims), ("standby", False))

    def test_contradicts_the_weaker(self) -> None:
        """A claim below ours changes nothing, and who made it is to be told."""
        succession = self.leading(BEFORE)
        self.assertTrue(succession.claimed("a", LeaseClaim(term=1, priority=1), 5.0))
        self.assertEqual(self.steer(succession, 5.0), [])
        self.assertTrue(succession.publishing)

    def test_what_others_say_of_us(self) -> None:
        """That we publish we know better ourselves."""
        succession = self.build(BEFORE)
        succession.heartbeat("a", heartbeat(1, term=99, publisher="m", lease_left=8.0), True, 0.0)
        self.assertIsNone(succession.lease.publisher(1.0))
        self.assertEqual(succession.lease.term, 99)

    def test_hands_over(self) -> None:
        """A publisher that cannot publish any more ceases, says so, and leaves the seat to others for a while."""
        succession = self.leading(BEFORE)
        self.assertEqual(self.steer(succession, 5.0, eligible=False), [StepDown, LeaseRelease])
        self.assertEqual(self.steer(succession, 6.0), [])
        self.assertEqual(succession.phase(), "stepping down")
        self.steer(succession, 13.0)
        self.assertEqual(succession.phase(), "suspect")

    def test_overslept(self) -> None:
        """A publisher that was not running for a whole lease is none any more; after a shorter while it is."""
        succession = self.leading(BEFORE)
        self.assertEqual(kinds(succession.overslept(7.9, 12.0)), [])
        self.assertEqual(kinds(succession.overslept(8.0, 20.0)), [StepDown, LeaseRelease])

    def test_sleep_is_no_silence_of_the_publisher(self) -> None:
        """When we were not running, somebody else's lease is not over for it."""
        succession = self.build(BEFORE)
        succession.heartbeat("a", heartbeat(1, term=A_TERM, publisher="a", lease_left=8.0), True, 0.0)
        succession.overslept(60.0, 61.0)
        self.assertEqual(succession.lease.publisher(61.0), "a")

    def test_claim_interrupted_by_sleep(self) -> None:
        """Who cannot publish after all does not become publisher because a wait has passed meanwhile."""
        succession = self.build([(200, "z")])
        self.assertEqual(self.steer(succession, 0.0), [LeaseClaim])
        self.assertEqual(self.steer(succession, 3.0, eligible=False), [LeaseRelease])
        self.assertEqual(succession.phase(), "standby")

    def test_renewal(self) -> None:
        """Our lease runs from our last heartbeat; nobody else's is renewed by it."""
        succession = self.leading(BEFORE)
        succession.renew(50.0)
        self.assertEqual(succession.lease.expires, 58.0)
        follower = self.build(BEFORE)
        follower.renew(50.0)
        self.assertIsNone(follower.lease.publisher(50.0))

    def test_stop(self) -> None:
        """A publisher that stops ceases and releases; others just end."""
        self.assertEqual(kinds(self.leading(BEFORE).stop(5.0)), [StepDown, LeaseRelease])
        self.assertEqual(kinds(self.build(BEFORE).stop(5.0)), [])

    def test_ahead_of_time(self) -> None:
        """When all rounds up to now are used up the next one is waited for, without spending time on trying."""
        succession = self.build([])
        succession.lease.take(Claim(next_term(latest_round(WALL) - 1 << 36, 0, "x"), 0, "x"), 1.0)
        for now in (2.0, 2.0, 2.0):
            self.assertEqual(self.steer(succession, now), [])
            self.assertEqual((succession.phase(), succession.due()), ("standby", float("inf")))
        self.assertEqual(self.steer(succession, 2.0 + ROUND), [LeaseClaim, BecomePublisher])

    def test_overtaken_while_waiting(self) -> None:
        """A node whose turn comes when the rounds are used up meanwhile claims nothing, and goes on waiting."""
        succession = self.build(BEFORE)
        self.steer(succession, 0.0)
        self.assertEqual(succession.phase(), "suspect")
        succession.lease.note(next_term(latest_round(WALL) - 1 << 36, 0, "x"))
        self.assertEqual(self.steer(succession, 1.0), [])
        self.assertEqual(succession.phase(), "standby")

    def test_publishes_on(self) -> None:
        """Who has claimed the last round that there is so far keeps it."""
        succession = self.build([], term=latest_round(WALL) - 1 << 36)
        self.assertEqual(self.steer(succession, 0.0), [LeaseClaim, BecomePublisher])
        self.assertEqual(self.steer(succession, 1.0), [])
        self.assertTrue(succession.publishing)

    def test_impossible_past(self) -> None:
        """A term of long after now, from the disk or of a clock that was set back, is forgotten, ours too."""
        succession = self.build([], term=2**63 - 1)
        self.assertEqual(self.steer(succession, 0.0), [])
        self.assertEqual(self.steer(succession, SPARE + ROUND), [LeaseClaim, BecomePublisher])
        moment = Moment(30.0, WALL - 1e6)
        self.assertEqual(kinds(succession.steer(eligible=True, ready=True, moment=moment)), [StepDown])
        self.assertIsNone(succession.lease.claim)
