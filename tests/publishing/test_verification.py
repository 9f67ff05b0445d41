"""Tests for L{rustbalance.publishing.verification}."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.onion.address import OnionAddress
from rustbalance.onion.plan import Seat, SeatPlan
from rustbalance.ops.directories import DirectoryRow, Finding
from rustbalance.publishing.delivery import REJECTED
from rustbalance.publishing.track import Standing
from rustbalance.publishing.verification import (
    OTHER_PERIOD,
    Answer,
    Deafness,
    Hearsay,
    Round,
    Timetable,
    judge,
    lost,
)
from rustbalance.tor.events import DescriptorFetched, DescriptorFetchFailed
from tests.publishing.looking import key, planned, text
from tests.publishing.samples import START, A, B, C, D, E, at

ADDRESS = OnionAddress(bytes(range(32)))
ALL = (A, B, C, D)


PLAN = planned(first=ALL, second=ALL)


def gave(directory: str, revision: int, seat: SeatPlan = PLAN.first) -> Answer:
    """Return that a directory gave a descriptor."""
    return DescriptorFetched(ADDRESS, directory, key(seat), text(seat, revision))


def failed(directory: str, reason: str = "NOT_FOUND", seat: SeatPlan | None = PLAN.first) -> Answer:
    """Return that a directory gave none."""
    return DescriptorFetchFailed(ADDRESS, directory, "" if seat is None else key(seat), reason)


def standing(floor: int = 7, highest: int = 7, confirmed: tuple[str, ...] = ALL, **reasons: str) -> Standing:
    """Return what directories should hold."""
    return Standing(floor, highest, frozenset(confirmed), {name * 40: why for name, why in reasons.items()})


def findings(rows: tuple[DirectoryRow, ...], seat: Seat = Seat.FIRST) -> dict[str, Finding]:
    """Return what was found of one descriptor, by the directory's first letter."""
    return {row.directory[0]: row.finding for row in rows if row.seat == seat}


class JudgeTests(SynchronousTestCase):
    """L{judge} says what an answer means."""

    def judged(self, answer: Answer | None, expected: Standing | None = None) -> Finding:
        """Judge directory A's answer."""
        return judge(PLAN.first, A, expected or standing(), answer).finding

    def test_revisions(self) -> None:
        """As good as the latest, newer than anything of ours, older, none."""
        between = standing(7, 9)
        self.assertEqual([self.judged(gave(A, revision), between) for revision in (6, 7, 8, 9, 10)], [
            Finding.STALE, Finding.VERIFIED, Finding.VERIFIED, Finding.VERIFIED, Finding.NEWER,
        ])  # fmt: skip
        self.assertEqual(self.judged(failed(A)), Finding.MISSING)

    def test_not_confirmed_yet(self) -> None:
        """Who has not taken the latest has not lost it; why it has not is said."""
        waiting = standing(confirmed=(B,), A=REJECTED)
        for answer in (gave(A, 6), failed(A)):
            row = judge(PLAN.first, A, waiting, answer)
            self.assertEqual((row.finding, row.reason), (Finding.UNCONFIRMED, REJECTED))
        self.assertEqual(self.judged(gave(A, 7), waiting), Finding.VERIFIED)

    def test_no_answer(self) -> None:
        """Who cannot be asked is neither good nor bad, and it is said why."""
        self.assertEqual(self.judged(None), Finding.SILENT)
        row = judge(PLAN.first, A, standing(), failed(A, "no answer", None))
        self.assertEqual((row.finding, row.reason), (Finding.SILENT, "no answer"))
        self.assertEqual(self.judged(failed(A, "QUERY_REJECTED")), Finding.SILENT)

    def test_another_period(self) -> None:
        """An answer about another descriptor says nothing about this one."""
        for answer in (gave(A, 7, PLAN.second), failed(A, seat=PLAN.second)):
            row = judge(PLAN.first, A, standing(), answer)
            self.assertEqual((row.finding, row.reason), (Finding.SILENT, OTHER_PERIOD))

    def test_unreadable(self) -> None:
        """What is no descriptor, or one of another key, or nothing that a client can use, is not ours."""
        for content in (b"", b"junk", text(PLAN.first, 7)[:-5], text(PLAN.second, 7)):
            answer = DescriptorFetched(ADDRESS, A, key(PLAN.first), content)
            self.assertEqual(self.judged(answer), Finding.UNREADABLE)
        self.assertEqual(self.judged(failed(A, "BAD_DESC")), Finding.UNREADABLE)

    def test_nothing_known(self) -> None:
        """Where it is not known what to expect, any descriptor will do, and none is no loss."""
        self.assertEqual(judge(PLAN.first, A, None, gave(A, 1)).finding, Finding.VERIFIED)
        self.assertEqual(judge(PLAN.first, A, None, failed(A)).finding, Finding.UNCONFIRMED)


class RoundTests(SynchronousTestCase):
    """L{Round} asks everybody, then those who were not good again."""

    def setUp(self) -> None:
        self.standings = {PLAN.first.blinded_public: standing(), PLAN.second.blinded_public: standing()}
        self.round = Round(PLAN, self.standings, publishes=True)

    def rows(self) -> tuple[DirectoryRow, ...]:
        """Return the rows."""
        return self.round.rows(self.standings)

    def test_all_good(self) -> None:
        """Each directory of the descriptor that clients fetch is asked once; the other is known by confirmations."""
        self.assertEqual(self.round.unasked(), ALL)
        self.round.take(gave(each, 7) for each in ALL)
        self.assertEqual((self.round.unasked(), self.round.bad(), self.round.mute()), ((), (), ()))
        self.assertEqual(set(findings(self.rows()).values()), {Finding.VERIFIED})
        self.assertEqual(set(findings(self.rows(), Seat.SECOND).values()), {Finding.CONFIRMED})
        self.assertEqual(lost(self.rows(), PLAN.first), ())

    def test_visited(self) -> None:
        """In the other half of the day it is the other descriptor's directories that are asked."""
        visited = Round(planned(Seat.SECOND, ALL, (D, E)), self.standings, publishes=True)
        self.assertEqual(visited.unasked(), (D, E))

    def test_second_look(self) -> None:
        """Whoever was silent, stale or missing is asked again, and its last answer counts."""
        self.round.take([gave(A, 7), gave(B, 6), failed(C), failed(D, "no answer", None)])
        self.assertEqual((self.round.unasked(), self.round.bad(), self.round.mute()), ((), (B, C), (D,)))
        self.round.take([gave(B, 7), failed(C), gave(D, 8)])
        self.assertEqual(findings(self.rows()), {
            "A": Finding.VERIFIED, "B": Finding.VERIFIED, "C": Finding.MISSING, "D": Finding.NEWER,
        })  # fmt: skip
        self.assertEqual(lost(self.rows(), PLAN.first), (C,))

    def test_emptied(self) -> None:
        """Who has lost one descriptor altogether has lost the other as well; who has an old one has not."""
        self.round.take([gave(A, 7), gave(B, 6), failed(C), gave(D, 7)])
        self.assertEqual(lost(self.rows(), PLAN.second), (C,))

    def test_the_other_period(self) -> None:
        """The answers decide which descriptor was asked for: those still unasked of its directories come next."""
        ahead = Round(planned(first=(A, B, C), second=(B, C, D)), self.standings, publishes=True)
        ahead.take(gave(each, 7, PLAN.second) if each != A else failed(A, seat=PLAN.second) for each in (A, B, C))
        self.assertEqual(ahead.unasked(), (D,))
        ahead.take([gave(D, 7, PLAN.second)])
        self.assertEqual((ahead.unasked(), ahead.bad(), ahead.mute()), ((), (), ()))
        rows = ahead.rows(self.standings)
        self.assertEqual(set(findings(rows, Seat.SECOND).values()), {Finding.VERIFIED})
        self.assertEqual(set(findings(rows, Seat.FIRST).values()), {Finding.CONFIRMED})

    def test_period_changes_meanwhile(self) -> None:
        """Who was asked for the other descriptor, as the Tor that asks went on to it, was not asked for this."""
        self.round.take([*(gave(each, 7) for each in (A, B, C)), gave(D, 7, PLAN.second)])
        self.assertEqual(findings(self.rows())["D"], Finding.CONFIRMED)
        self.assertEqual((self.round.bad(), self.round.mute(), lost(self.rows(), PLAN.first)), ((), (), ()))

    def test_no_period_of_ours(self) -> None:
        """A Tor that is in none of our periods tells nothing."""
        self.round.take(DescriptorFetchFailed(ADDRESS, each, "x" * 43, "NOT_FOUND") for each in ALL)
        self.assertIn(OTHER_PERIOD, self.round.silence() or "")
        self.assertEqual({row.reason for row in self.rows() if row.seat == "first"}, {OTHER_PERIOD})
        self.assertEqual(lost(self.rows(), PLAN.first), ())

    def test_silence(self) -> None:
        """One answer of whatever kind shows that directories can be asked."""
        self.round.take(failed(each, "no answer", None) for each in ALL)
        self.assertEqual(self.round.silence(), "none of 4 directories answered (no answer)")
        self.round.take([failed(A)])
        self.assertIsNone(self.round.silence())

    def test_nobody_asked(self) -> None:
        """Without asking there are the confirmations, for who has them."""
        self.standings[PLAN.second.blinded_public] = standing(confirmed=(A,), B=REJECTED)
        self.assertEqual(set(findings(self.round.believed()).values()), {Finding.CONFIRMED})
        second = [row for row in self.round.believed() if row.seat == "second"]
        self.assertEqual([row.finding for row in second], [Finding.CONFIRMED, *[Finding.UNCONFIRMED] * 3])
        self.assertEqual(second[1].reason, REJECTED)
        following = Round(PLAN, self.standings, publishes=False)
        self.assertEqual({row.finding for row in following.believed()}, {Finding.UNASKED})

    def test_published_meanwhile(self) -> None:
        """A counter of ours that is newer than the beginning of the check is not somebody else's."""
        self.round.take(gave(each, 9) for each in ALL)
        self.assertEqual(set(findings(self.rows()).values()), {Finding.NEWER})
        self.standings[PLAN.first.blinded_public] = standing(9, 9)
        self.assertEqual(set(findings(self.rows()).values()), {Finding.VERIFIED})

    def test_not_ours_to_publish(self) -> None:
        """A node that does not publish knows nothing of the descriptor that cannot be asked for."""
        following = Round(PLAN, self.standings, publishes=False)
        following.take([failed(A), *(gave(each, 7) for each in (B, C, D))])
        self.assertEqual(set(findings(following.rows(self.standings), Seat.SECOND).values()), {Finding.UNASKED})

    def test_never_published(self) -> None:
        """Before the first publish nothing is lost."""
        first = Round(PLAN, {}, publishes=True)
        first.take(failed(each) for each in ALL)
        self.assertEqual(set(findings(first.rows({})).values()), {Finding.UNCONFIRMED})
        self.assertEqual([lost(first.rows({}), seat) for seat in PLAN], [(), ()])


class RoundProperties(SynchronousTestCase):
    """Whatever directories answer."""

    def test_only_what_was_confirmed_and_is_gone_is_posted_again(self) -> None:
        """A directory gets it again exactly if it had confirmed it and now gives an older one or none."""
        answers = st.one_of(
            st.none(),
            st.integers(5, 10),
            st.sampled_from(["NOT_FOUND", "BAD_DESC", "UNEXPECTED", "no answer"]),
        )

        @settings(deadline=None)
        @given(st.tuples(*[answers] * 4), st.sets(st.sampled_from(ALL)), st.integers(7, 9))
        def check(given_answers: tuple[int | str | None, ...], confirmed: set[str], highest: int) -> None:
            expected = standing(7, highest, tuple(confirmed))
            standings = {seat.blinded_public: expected for seat in PLAN}
            found = Round(PLAN, standings, publishes=True)
            by_name = dict(zip(ALL, given_answers, strict=True))
            found.take(
                failed(name, answer) if isinstance(answer, str) else gave(name, answer)
                for name, answer in by_name.items()
                if answer is not None
            )
            rows = found.rows(standings)
            gone = {
                name
                for name, answer in by_name.items()
                if name in confirmed and (answer == "NOT_FOUND" or (isinstance(answer, int) and answer < 7))
            }
            self.assertEqual(set(lost(rows, PLAN.first)), gone)
            emptied = {name for name in gone if by_name[name] == "NOT_FOUND"}
            self.assertEqual(set(lost(rows, PLAN.second)), emptied)
            self.assertEqual(len(rows), 8)
            good = {row.directory for row in rows if row.seat == "first" and row.finding.good}
            self.assertEqual(good, {name for name, answer in by_name.items() if isinstance(answer, int) and answer > 6})
            asked = [name for name in ALL if by_name[name] is not None]
            mute = {name for name in asked if by_name[name] in ("UNEXPECTED", "no answer")}
            self.assertEqual(set(found.mute()), mute)
            self.assertEqual(set(found.bad()), set(asked) - good - mute)
            found.take(failed(name) for name in asked)
            self.assertEqual((found.bad(), found.mute()), ((), ()))

        check()


class TimetableTests(SynchronousTestCase):
    """L{Timetable}: a while after a publish, then regularly."""

    def setUp(self) -> None:
        self.table = Timetable(60.0, 300.0)

    def due(self) -> float | None:
        """Return when, in seconds after the start."""
        due = self.table.due()
        return None if due is None else due - START.mono

    def test_after_a_publish(self) -> None:
        """The first check is the delay after a publish; there is none before."""
        self.table.checked(at(0), again=False)
        self.assertIsNone(self.due())
        self.table.published(at(0))
        self.assertEqual(self.due(), 60)

    def test_regularly(self) -> None:
        """Then one comes every interval, earlier after another publish, never later because of one."""
        self.table.published(at(0))
        self.table.begun(at(60))
        self.table.checked(at(60), again=False)
        self.assertEqual(self.due(), 360)
        self.table.published(at(100))
        self.assertEqual(self.due(), 160)
        for second in range(101, 150):
            self.table.published(at(second))
        self.assertEqual(self.due(), 160)

    def test_published_meanwhile(self) -> None:
        """What is published while a check is under way is looked at as soon as after any publish."""
        self.table.published(at(0))
        self.table.begun(at(60))
        self.table.published(at(70))
        self.table.checked(at(80), again=False)
        self.assertEqual(self.due(), 130)
        self.table.begun(at(130))
        self.table.checked(at(130), again=False)
        self.assertEqual(self.due(), 430)

    def test_over_in_time(self) -> None:
        """A check that takes long begins earlier the next time, up to half an interval, so that it ends in time."""
        for took, due in ((0, 360), (20, 320), (200, 210), (400, 210)):
            self.table.published(at(0))
            self.table.begun(at(60))
            self.table.checked(at(60 + took), again=False)
            self.assertEqual(self.due(), due, took)

    def test_after_a_repair(self) -> None:
        """What was posted again is looked at as soon as a publish is, or with the next check."""
        self.table.published(at(0))
        self.table.begun(at(60))
        self.table.checked(at(60), again=True)
        self.assertEqual(self.due(), 120)
        short = Timetable(60.0, 10.0)
        short.published(at(0))
        short.begun(at(0))
        short.checked(at(0), again=True)
        self.assertEqual(short.due(), at(10).mono)

    def test_stop(self) -> None:
        """Another node publishes: it looks after it."""
        self.table.published(at(0))
        self.table.stop()
        self.table.checked(at(1), again=False)
        self.assertIsNone(self.due())


class DeafnessTests(SynchronousTestCase):
    """L{Deafness}: once may be chance."""

    def test_twice_in_a_row(self) -> None:
        """The second check without an answer is told, each further one, and once that it is over."""
        deaf = Deafness()
        told = [deaf.checked("scout", answered=answered) for answered in (False, False, False, True, True, False, True)]
        self.assertEqual(told, [[], [("scout", True)], [("scout", True)], [("scout", False)], [], [], []])

    def test_another(self) -> None:
        """What was asked through one Tor says nothing of another, and that the one is not asked any more ends it."""
        deaf = Deafness()
        self.assertEqual([deaf.checked(tor, answered=False) for tor in ("scout", "standby", "scout")], [[], [], []])
        self.assertEqual(deaf.checked("scout", answered=False), [("scout", True)])
        self.assertEqual(deaf.checked("standby", answered=False), [("scout", False)])
        self.assertEqual(deaf.checked("standby", answered=False), [("standby", True)])
        self.assertEqual(deaf.checked("primary", answered=True), [("standby", False)])


class HearsayTests(SynchronousTestCase):
    """L{Hearsay}: what followers expect."""

    def test_nothing(self) -> None:
        """Without a word there is nothing to expect."""
        self.assertIsNone(Hearsay().standing(ALL))

    def test_the_last_counter(self) -> None:
        """The last counter is expected of everybody; what came long before it is too old, what is lower no news."""
        heard = Hearsay().learned(7, at(0)).learned(9, at(600)).learned(8, at(601))
        self.assertEqual(heard.standing(ALL), standing(9, 9))

    def test_a_raise(self) -> None:
        """A counter that was raised right after a publish leaves what was published good enough."""
        heard = Hearsay().learned(7, at(0)).learned(8, at(2)).learned(9, at(3))
        self.assertEqual(heard.standing(ALL), standing(7, 9))

    def test_bounded(self) -> None:
        """However many counters come, only those of the last minutes are kept."""
        heard = Hearsay()
        for second in range(0, 10_000, 30):
            heard = heard.learned(second, at(second))
        self.assertLessEqual(len(heard.heard), 6)
