"""Tests for L{rustbalance.publishing.uploads}."""

from base64 import b64encode
from collections.abc import Callable
from functools import partial
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.onion.address import OnionAddress
from rustbalance.onion.plan import Seat
from rustbalance.publishing.commands import Command, Outcome, Post, Raise, Reached, Silence
from rustbalance.publishing.delivery import BROKEN_OFF, HELD, State
from rustbalance.publishing.settings import PublishSettings
from rustbalance.publishing.track import Progress, Standing
from rustbalance.publishing.uploads import LEADS, Uploads, hear
from rustbalance.tor.events import (
    ConsensusArrived,
    DescriptorUploaded,
    DescriptorUploadFailed,
    DirectoryStreamEnded,
    UploadBegan,
)
from tests.publishing.samples import START, A, B, C, D, at

FIRST, SECOND = b"1" * 32, b"2" * 32
REJECTED = "UPLOAD_REJECTED"


def tracker(**figures: float) -> Uploads:
    """Return a connected tracker whose backoff is 5, 10, 15… seconds."""
    uploads = Uploads(PublishSettings(**figures), lambda failures: 5.0 * failures)  # type: ignore[arg-type]
    uploads.connected(START)
    return uploads


def posts(commands: list[Command]) -> list[tuple[bytes, int, tuple[str, ...]]]:
    """Return what is posted, as (blinded key, revision, directories)."""
    return [(each.blinded, each.revision, each.directories) for each in commands if isinstance(each, Post)]


def outcomes(commands: list[Command]) -> list[Progress]:
    """Return what is reported."""
    return [each.progress for each in commands if isinstance(each, Outcome)]


class UploadsTests(SynchronousTestCase):
    """L{Uploads} sees each descriptor to each of its directories."""

    def setUp(self) -> None:
        self.uploads = tracker()

    def progress(self, blinded: bytes) -> Progress:
        """Return how far the descriptor is, which must be known."""
        found = self.uploads.progress(blinded)
        assert found is not None
        return found

    def test_all_directories_at_once(self) -> None:
        """A publish posts to every responsible directory in one command."""
        commands = self.uploads.publish(Seat.FIRST, FIRST, 7, (A, B, C), START)
        self.assertEqual(commands, [Post(Seat.FIRST, FIRST, 7, (A, B, C))])

    def test_one_under_way_per_directory(self) -> None:
        """A directory of both descriptors gets the second one when it has answered for the first."""
        self.uploads.publish(Seat.FIRST, FIRST, 7, (A, B), START)
        self.assertEqual(posts(self.uploads.publish(Seat.SECOND, SECOND, 8, (B, C), START)), [(SECOND, 8, (C,))])
        self.assertEqual(posts(self.uploads.uploaded(B, at(1))), [(SECOND, 8, (B,))])
        self.assertEqual((self.progress(FIRST).confirmed, self.progress(SECOND).confirmed), (1, 0))
        self.uploads.uploaded(B, at(2))
        self.assertEqual((self.progress(FIRST).confirmed, self.progress(SECOND).confirmed), (1, 1))

    def test_abandoned(self) -> None:
        """
        When another node publishes nothing more is posted, also not later; an answer that is still due is waited for,
        so that it is not taken for one to the next text.
        """
        self.uploads.publish(Seat.FIRST, FIRST, 7, (A, B), START)
        self.uploads.uploaded(A, at(1))
        self.uploads.abandon()
        self.assertEqual(self.uploads.failed(C, None, "x", at(2)), [])
        self.assertIsNone(self.uploads.progress(FIRST))
        self.assertIsNone(self.uploads.due())
        self.assertEqual(self.uploads.connected(at(3)), [])
        self.assertEqual(posts(self.uploads.publish(Seat.FIRST, FIRST, 9, (A, B), at(4))), [(FIRST, 9, (A,))])
        self.assertEqual(posts(self.uploads.uploaded(B, at(5))), [(FIRST, 9, (B,))])
        self.assertEqual(self.progress(FIRST).confirmed, 0)

    def test_published_when_enough_confirmed(self) -> None:
        """So many confirmations as configured make a publish a success, before the last has answered."""
        self.uploads = tracker(min_directories=2)
        self.uploads.publish(Seat.FIRST, FIRST, 7, (A, B, C), START)
        self.uploads.uploaded(A, at(1))
        self.assertFalse(self.progress(FIRST).published)
        self.uploads.uploaded(B, at(2))
        self.assertTrue(self.progress(FIRST).published)
        self.assertEqual(self.progress(FIRST).published_at, at(2))

    def test_few_directories_must_all_confirm(self) -> None:
        """Where fewer directories are responsible than must confirm, all of them must."""
        self.uploads.publish(Seat.FIRST, FIRST, 7, (A, B), START)
        self.uploads.uploaded(A, at(1))
        self.assertFalse(self.progress(FIRST).published)
        self.uploads.uploaded(B, at(1))
        self.assertTrue(self.progress(FIRST).published)

    def test_one_report_when_all_have_answered(self) -> None:
        """The outcome is reported once, when nothing is under way any more."""
        self.uploads.publish(Seat.FIRST, FIRST, 7, (A, B), START)
        self.assertEqual(outcomes(self.uploads.uploaded(A, at(1))), [])
        [outcome] = outcomes(self.uploads.uploaded(B, at(2)))
        self.assertEqual((outcome.confirmed, outcome.directories, outcome.published), (2, 2, True))
        self.assertEqual(self.uploads.wake(at(3)), [])

    def test_silence_ends_at_the_deadline(self) -> None:
        """A directory that never answers is given up at the deadline, and its name stands among the reasons."""
        self.uploads.publish(Seat.FIRST, FIRST, 7, (A, B), START)
        self.uploads.uploaded(A, at(1))
        self.assertEqual(self.uploads.due(), at(20).mono)
        [outcome] = outcomes(self.uploads.wake(at(20)))
        self.assertEqual((outcome.confirmed, outcome.published, outcome.reasons), (1, False, ("no answer",)))

    def test_only_the_failed_are_retried(self) -> None:
        """After a backoff the same text goes to those that did not take it, and to nobody else."""
        self.uploads.publish(Seat.FIRST, FIRST, 7, (A, B, C), START)
        self.uploads.uploaded(A, at(1))
        self.uploads.failed(B, FIRST, "UNEXPECTED", at(1))
        self.assertEqual(self.uploads.due(), at(6).mono)
        self.assertEqual(posts(self.uploads.wake(at(6))), [(FIRST, 7, (B,))])
        self.assertEqual(posts(self.uploads.wake(at(20))), [])
        self.assertEqual(posts(self.uploads.wake(at(25))), [(FIRST, 7, (C,))])

    def test_backoff_grows(self) -> None:
        """Each further failure of a directory makes the wait longer."""
        self.uploads.publish(Seat.FIRST, FIRST, 7, (A,), START)
        self.uploads.failed(A, FIRST, "UNEXPECTED", START)
        self.uploads.wake(at(5))
        self.uploads.failed(A, FIRST, "UNEXPECTED", at(5))
        self.assertEqual(self.uploads.due(), at(15).mono)

    def test_recovery_is_reported(self) -> None:
        """A publish that was reported as failed and succeeds on a retry is reported again."""
        self.uploads.publish(Seat.FIRST, FIRST, 7, (A,), START)
        self.assertEqual(
            [each.published for each in outcomes(self.uploads.failed(A, FIRST, "UNEXPECTED", START))], [False]
        )
        self.uploads.wake(at(5))
        self.assertEqual([each.published for each in outcomes(self.uploads.uploaded(A, at(6)))], [True])

    def test_failure_of_another_descriptor_is_nothing_to_us(self) -> None:
        """A failure that names another blinded key than what is under way there changes nothing."""
        self.uploads.publish(Seat.FIRST, FIRST, 7, (A,), START)
        self.assertEqual(self.uploads.failed(A, SECOND, REJECTED, at(1)), [])
        self.uploads.uploaded(A, at(2))
        self.assertEqual(self.progress(FIRST).confirmed, 1)

    def test_unasked_answers_are_ignored(self) -> None:
        """An event for a directory that owes no answer changes nothing."""
        self.uploads.publish(Seat.FIRST, FIRST, 7, (A,), START)
        self.assertEqual([*self.uploads.uploaded(B, at(1)), *self.uploads.failed(C, FIRST, REJECTED, at(1))], [])
        self.assertEqual(self.progress(FIRST).confirmed, 0)

    def test_unknown_relays_are_left_out(self) -> None:
        """Directories that Tor does not know count as failed while the others go on."""
        [post] = self.uploads.publish(Seat.FIRST, FIRST, 7, (A, B), START)
        assert isinstance(post, Post)
        self.uploads.not_posted(post, (A,), "unknown to Tor", at(0.1))
        [outcome] = outcomes(self.uploads.uploaded(B, at(1)))
        self.assertEqual((outcome.confirmed, outcome.reasons), (1, ("unknown to Tor",)))


class RefusalTests(SynchronousTestCase):
    """A directory that holds a higher counter is outbid."""

    def setUp(self) -> None:
        self.uploads = tracker(min_directories=1)

    def test_refusal_asks_for_a_higher_counter(self) -> None:
        """The text is built again and goes to those who refused it; those who have it keep it."""
        self.uploads.publish(Seat.FIRST, FIRST, 7, (A, B, C), START)
        self.uploads.uploaded(A, at(1))
        self.assertEqual(self.uploads.failed(B, FIRST, REJECTED, at(1)), [Raise(Seat.FIRST, FIRST, 0.0)])
        self.assertEqual(self.uploads.failed(C, FIRST, REJECTED, at(1)), [])
        self.assertEqual(posts(self.uploads.raised(FIRST, 9, at(1.1))), [(FIRST, 9, (B, C))])

    def test_late_refusal_gets_the_raised_text(self) -> None:
        """Who refuses the old counter after the new one exists gets the new one, without a further raise."""
        self.uploads.publish(Seat.FIRST, FIRST, 7, (A, B), START)
        self.uploads.failed(A, FIRST, REJECTED, at(1))
        self.uploads.raised(FIRST, 9, at(1.1))
        self.assertEqual(self.uploads.failed(B, FIRST, REJECTED, at(2))[0], Post(Seat.FIRST, FIRST, 9, (B,)))

    def test_lead_grows_and_ends(self) -> None:
        """Each further refusal makes the counter run further ahead; then the next publish is waited for."""
        self.uploads.publish(Seat.FIRST, FIRST, 1, (A,), START)
        leads = []
        for revision in range(2, 20):
            for command in self.uploads.failed(A, FIRST, REJECTED, at(revision)):
                if isinstance(command, Raise):
                    leads.append(command.lead)
                    self.uploads.raised(FIRST, revision, at(revision))
        self.assertEqual(tuple(leads), LEADS)
        self.assertIsNone(self.uploads.due())
        self.assertEqual(posts(self.uploads.publish(Seat.FIRST, FIRST, 50, (A,), at(100))), [(FIRST, 50, (A,))])
        self.assertEqual(self.uploads.failed(A, FIRST, REJECTED, at(101))[0], Raise(Seat.FIRST, FIRST, 0.0))

    def test_leads_fit_the_scheme(self) -> None:
        """Late in the second run the largest lead is still inside what Tor's scheme is defined for."""
        self.assertLess(2 * 86_400 + LEADS[-1], 262_144)

    def test_failed_build_is_tried_again(self) -> None:
        """When no higher counter could be had, the refused text is tried again after a backoff."""
        self.uploads.publish(Seat.FIRST, FIRST, 7, (A,), START)
        self.uploads.failed(A, FIRST, REJECTED, START)
        self.uploads.not_raised(FIRST, START)
        self.assertEqual(self.uploads.due(), at(10).mono)
        self.assertEqual(posts(self.uploads.wake(at(10))), [(FIRST, 7, (A,))])

    def test_withheld(self) -> None:
        """A text that was not to outbid others is tried again and again, and may outbid them whenever that changes."""
        self.uploads.publish(Seat.FIRST, FIRST, 7, (A,), START)
        for round_ in range(3 * len(LEADS)):
            now = at(1000.0 * round_)
            self.uploads.wake(now)
            self.assertIn(Raise(Seat.FIRST, FIRST, 0.0), self.uploads.failed(A, FIRST, REJECTED, now))
            self.uploads.withheld(FIRST, now)
        self.assertGreater(self.uploads.due() or 0.0, now.mono)

    def test_not_settled_while_raising(self) -> None:
        """A refusal that is being answered is no outcome yet, as long as enough others may take the counter."""
        self.uploads.publish(Seat.FIRST, FIRST, 7, (A, B), START)
        self.assertEqual(outcomes(self.uploads.failed(A, FIRST, REJECTED, at(1))), [])
        self.assertEqual(outcomes(self.uploads.uploaded(B, at(1))), [])
        self.uploads.raised(FIRST, 8, at(1))
        self.assertEqual([each.revision for each in outcomes(self.uploads.uploaded(A, at(2)))], [8])

    def test_outbid(self) -> None:
        """When too many refuse a counter for the publish to succeed it has failed, until a higher one succeeds."""
        self.uploads = tracker(min_directories=2)
        self.uploads.publish(Seat.FIRST, FIRST, 7, (A, B, C), START)
        self.assertEqual(outcomes(self.uploads.failed(A, FIRST, REJECTED, at(1))), [])
        self.uploads.raised(FIRST, 8, at(1.1))
        [outcome] = outcomes(self.uploads.failed(B, FIRST, REJECTED, at(2)))
        self.assertEqual((outcome.published, outcome.reasons), (False, (REJECTED,)))
        self.assertEqual(outcomes(self.uploads.uploaded(C, at(2))), [])
        self.assertEqual(outcomes(self.uploads.uploaded(A, at(3))), [])
        [outcome] = outcomes(self.uploads.uploaded(B, at(3)))
        self.assertEqual((outcome.published, outcome.confirmed, outcome.revision), (True, 3, 8))


class RetryTests(SynchronousTestCase):
    """Three retries of a directory are ordinary; then it is said that they do not help."""

    def setUp(self) -> None:
        self.uploads = tracker(min_directories=1)
        self.time = START

    def failing(self, times: int) -> list[bool]:
        """Let the directory fail so often, each time as soon as it is tried; return what the outcomes say."""
        said = []
        for _ in range(times):
            said += [each.hopeless for each in outcomes(self.uploads.failed(A, FIRST, "UNEXPECTED", self.time))]
            self.time = at((self.uploads.due() or 0.0) - START.mono)
            self.assertEqual(posts(self.uploads.wake(self.time)), [(FIRST, 7, (A,))])
        return said

    def test_hopeless(self) -> None:
        """The first failure is an outcome, the third retry's another one, and that is all until it succeeds."""
        self.uploads.publish(Seat.FIRST, FIRST, 7, (A,), START)
        self.assertEqual(self.failing(3), [False])
        self.assertEqual(self.failing(3), [True])
        self.assertEqual([each.hopeless for each in outcomes(self.uploads.uploaded(A, self.time))], [False])

    def test_remembered(self) -> None:
        """A new text is tried at once, but a directory that goes on failing is not taken for a new one."""
        self.uploads.publish(Seat.FIRST, FIRST, 7, (A,), START)
        self.failing(3)
        self.uploads.failed(A, FIRST, "UNEXPECTED", self.time)
        self.assertEqual(posts(self.uploads.publish(Seat.FIRST, FIRST, 8, (A,), self.time)), [(FIRST, 8, (A,))])
        [outcome] = outcomes(self.uploads.failed(A, FIRST, "UNEXPECTED", self.time))
        self.assertTrue(outcome.hopeless)

    def test_one_descriptor_does_not_hold_up_the_other(self) -> None:
        """While one fails everywhere the other is published as if nothing were."""
        self.uploads.publish(Seat.FIRST, FIRST, 7, (A,), START)
        self.uploads.publish(Seat.SECOND, SECOND, 7, (B,), START)
        self.uploads.failed(A, FIRST, "UNEXPECTED", START)
        [outcome] = outcomes(self.uploads.uploaded(B, START))
        self.assertEqual((outcome.blinded, outcome.published), (SECOND, True))


class LostTests(SynchronousTestCase):
    """What a directory has lost it gets again."""

    def setUp(self) -> None:
        self.uploads = tracker(min_directories=2)
        self.uploads.publish(Seat.FIRST, FIRST, 7, (A, B, C), START)
        for directory in (A, B):
            self.uploads.uploaded(directory, at(1))

    def test_exactly_those(self) -> None:
        """Only who had confirmed it gets the same text again; the publish stays what it was, without a new outcome."""
        self.uploads.uploaded(C, at(1))
        self.assertEqual(posts(self.uploads.lost(FIRST, 7, (A, D), at(60))), [(FIRST, 7, (A,))])
        self.assertEqual(self.uploads.uploaded(A, at(61)), [])
        progress = self.uploads.progress(FIRST)
        assert progress is not None
        self.assertEqual((progress.confirmed, progress.published), (3, True))

    def test_under_way(self) -> None:
        """What has not been confirmed yet is left to its own retries."""
        self.assertEqual(self.uploads.lost(FIRST, 7, (C,), at(2)), [])
        self.uploads.failed(C, FIRST, "UNEXPECTED", at(3))
        self.assertEqual(self.uploads.lost(FIRST, 7, (C,), at(4)), [])
        self.assertEqual(posts(self.uploads.wake(at(8))), [(FIRST, 7, (C,))])

    def test_after_refusals(self) -> None:
        """That a counter was refused once does not make a failure of what is lost later and under way again."""
        self.uploads.uploaded(C, at(1))
        self.uploads.publish(Seat.FIRST, FIRST, 8, (A, B, C), at(10))
        for directory in (A, B):
            self.uploads.failed(directory, FIRST, REJECTED, at(11))
        self.uploads.raised(FIRST, 9, at(11))
        for directory in (A, B, C):
            self.uploads.uploaded(directory, at(12))
        self.assertEqual(outcomes(self.uploads.lost(FIRST, 8, (A, B), at(60))), [])
        self.uploads.uploaded(A, at(61))
        self.assertEqual(self.uploads.uploaded(B, at(61)), [])

    def test_judged_by_another_publish(self) -> None:
        """A verdict on an earlier publish, or on none of ours, means nothing now."""
        self.assertEqual(posts(self.uploads.lost(FIRST, 6, (A,), at(2))), [])
        self.assertEqual(posts(self.uploads.lost(SECOND, 7, (A,), at(2))), [])

    def test_refused_again(self) -> None:
        """Many losses whose uploads fail make it a failed publish."""
        self.uploads.uploaded(C, at(1))
        self.uploads.lost(FIRST, 7, (A, B), at(60))
        self.uploads.failed(A, FIRST, "UNEXPECTED", at(61))
        [outcome] = outcomes(self.uploads.failed(B, FIRST, "UNEXPECTED", at(61)))
        self.assertEqual((outcome.published, outcome.confirmed), (False, 1))

    def test_standing(self) -> None:
        """What directories should hold: from the text they confirmed up to the one with the highest counter."""
        self.uploads.failed(C, FIRST, REJECTED, at(2))
        self.uploads.raised(FIRST, 9, at(2))
        self.assertEqual(self.uploads.standing(FIRST), Standing(7, 9, frozenset((A, B)), {C: REJECTED}))
        self.assertIsNone(self.uploads.standing(SECOND))

    def test_reached(self) -> None:
        """That enough have confirmed is said at once, and once for each publish."""
        commands = self.uploads.publish(Seat.FIRST, FIRST, 8, (A, B, C), at(100))
        self.assertNotIn(Reached(FIRST), [*commands, *self.uploads.uploaded(A, at(101))])
        self.assertIn(Reached(FIRST), self.uploads.uploaded(B, at(101)))
        self.assertNotIn(Reached(FIRST), self.uploads.uploaded(C, at(101)))


class LateAnswerTests(SynchronousTestCase):
    """An answer after the deadline is credited to what it is about, or to nothing."""

    def setUp(self) -> None:
        self.uploads = tracker(min_directories=1)
        self.uploads.publish(Seat.FIRST, FIRST, 7, (A,), START)
        self.uploads.wake(at(20))

    def confirmed(self, blinded: bytes) -> int:
        """Return how many directories confirmed the descriptor."""
        progress = self.uploads.progress(blinded)
        assert progress is not None
        return progress.confirmed

    def test_late_but_still_wanted(self) -> None:
        """A late confirmation of the text that is still the last one counts."""
        self.uploads.uploaded(A, at(21))
        self.assertEqual(self.confirmed(FIRST), 1)

    def test_other_texts_wait_out_the_quiet_time(self) -> None:
        """As long as the old answer may come, a newer text and the other descriptor are not posted there."""
        self.assertEqual(posts(self.uploads.publish(Seat.FIRST, FIRST, 8, (A, B), at(21))), [(FIRST, 8, (B,))])
        self.assertEqual(posts(self.uploads.publish(Seat.SECOND, SECOND, 9, (A, C), at(21))), [(SECOND, 9, (C,))])
        self.uploads.uploaded(A, at(22))
        self.assertEqual((self.confirmed(FIRST), self.confirmed(SECOND)), (0, 0))

    def test_a_late_answer_ends_the_quiet_time(self) -> None:
        """Once the old upload is answered the newer text goes there at once."""
        self.uploads.publish(Seat.FIRST, FIRST, 8, (A,), at(21))
        self.assertEqual(posts(self.uploads.uploaded(A, at(22))), [(FIRST, 8, (A,))])

    def test_quiet_time_ends_by_itself(self) -> None:
        """A directory that has been silent for long enough gets the newer text."""
        self.uploads.publish(Seat.FIRST, FIRST, 8, (A,), at(21))
        self.assertEqual(self.uploads.due(), at(30).mono)
        self.assertEqual(posts(self.uploads.wake(at(30))), [(FIRST, 8, (A,))])

    def test_the_same_text_may_be_retried(self) -> None:
        """The very same text goes out again after the backoff: either answer is right."""
        self.assertEqual(posts(self.uploads.wake(at(25))), [(FIRST, 7, (A,))])
        self.uploads.uploaded(A, at(26))
        self.assertEqual(self.confirmed(FIRST), 1)


class BrokenOffTests(SynchronousTestCase):
    """Tor ends an upload without a word of the directory."""

    def setUp(self) -> None:
        self.uploads = tracker(min_directories=1)
        self.uploads.publish(Seat.FIRST, FIRST, 7, (A, B), START)
        for directory in (A, B):
            self.uploads.began(directory, f"to {directory}")

    def end(self, directory: str, seconds: float) -> list[Command]:
        """Close the stream, and wait for the answer in vain."""
        self.uploads.ended(directory, f"to {directory}", at(seconds))
        return self.uploads.wake(at(seconds + 1))

    def test_repeated_at_once(self) -> None:
        """The first time it is posted again as soon as no answer can come, and said."""
        self.assertEqual(
            self.end(A, 2), [Silence(Seat.FIRST, 1, broken_off=True, replaced=False), Post(Seat.FIRST, FIRST, 7, (A,))]
        )
        self.assertEqual(outcomes(self.uploads.uploaded(A, at(4))), [])
        [outcome] = outcomes(self.uploads.uploaded(B, at(4)))
        self.assertEqual((outcome.confirmed, outcome.reasons), (2, ()))

    def test_the_next_time_later(self) -> None:
        """When that goes on it is a failure like others, with its reason."""
        self.uploads.uploaded(B, at(1))
        self.end(A, 2)
        self.uploads.began(A, "next")
        self.uploads.ended(A, "next", at(4))
        [outcome] = outcomes(self.uploads.wake(at(5)))
        self.assertEqual((outcome.confirmed, outcome.reasons), (1, (BROKEN_OFF,)))
        self.assertEqual(self.uploads.due(), at(15).mono)

    def test_the_answer_comes_after_the_end(self) -> None:
        """Each stream that ends is followed by the answer, if there is one."""
        self.uploads.ended(A, f"to {A}", at(2))
        self.uploads.uploaded(A, at(2.001))
        self.assertEqual(self.uploads.wake(at(3)), [])
        progress = self.uploads.progress(FIRST)
        assert progress is not None
        self.assertEqual(progress.confirmed, 1)

    def test_a_newer_text_goes_out_at_once(self) -> None:
        """Nothing holds back the newer text: no late answer can come for the one that was broken off."""
        self.assertEqual(self.uploads.publish(Seat.FIRST, FIRST, 8, (A, B), at(1)), [])
        for directory in (A, B):
            self.uploads.ended(directory, f"to {directory}", at(2))
        self.assertEqual(self.uploads.due(), at(3).mono)
        self.assertEqual(
            self.uploads.wake(at(3)),
            [Silence(Seat.FIRST, 2, broken_off=True, replaced=True), Post(Seat.FIRST, FIRST, 8, (A, B))],
        )

    def test_after_another_node_published(self) -> None:
        """Who publishes again after a while is not held up by what was broken off in between."""
        self.uploads.abandon()
        self.uploads.ended(A, f"to {A}", at(2))
        self.uploads.connected(at(4))
        self.assertEqual(posts(self.uploads.publish(Seat.FIRST, FIRST, 9, (A, B), at(4))), [(FIRST, 9, (A,))])


class SilenceTests(SynchronousTestCase):
    """Directories that answer nothing at all."""

    def setUp(self) -> None:
        self.uploads = tracker(min_directories=1)
        self.uploads.publish(Seat.FIRST, FIRST, 7, (A, B), START)

    def reasons(self, blinded: bytes) -> tuple[str, ...]:
        """Return what the status says of that descriptor."""
        progress = self.uploads.progress(blinded)
        assert progress is not None
        return progress.reasons

    def test_a_replaced_text_is_said_to_be_unanswered(self) -> None:
        """It is no outcome, and yet worth a word; the newer text is held back for half a minute, not for minutes."""
        self.uploads.publish(Seat.FIRST, FIRST, 8, (A, B), at(1))
        self.assertEqual(self.uploads.wake(at(20)), [Silence(Seat.FIRST, 2, broken_off=False, replaced=True)])
        self.assertEqual(self.uploads.due(), at(30).mono)
        self.assertEqual(posts(self.uploads.wake(at(30))), [(FIRST, 8, (A, B))])

    def test_the_status_says_what_is_waited_for(self) -> None:
        """As long as an earlier text is not answered, that is the reason why the newer one is not confirmed."""
        self.assertEqual(self.reasons(FIRST), ())
        self.uploads.publish(Seat.FIRST, FIRST, 8, (A, B), at(1))
        self.assertEqual(self.reasons(FIRST), (HELD,))
        self.uploads.wake(at(30))
        self.assertEqual(self.reasons(FIRST), ())

    def test_the_other_descriptor_is_no_reason_at_first(self) -> None:
        """That each directory is sent one text at a time is not worth a word until it takes long."""
        self.uploads.publish(Seat.SECOND, SECOND, 8, (B, C), at(0))
        self.assertEqual(self.reasons(SECOND), ())
        self.uploads.uploaded(C, at(1))
        self.uploads.wake(at(20))
        self.assertEqual(self.reasons(SECOND), (HELD,))

    def elsewhere(self, commands: list[Command]) -> list[bool]:
        """Return whether each post is for another Tor."""
        return [each.elsewhere for each in commands if isinstance(each, Post)]

    def test_another_tor(self) -> None:
        """When nobody at all has answered, the next attempt is another Tor's; then it is the first one's again."""
        found = []
        self.uploads.wake(at(20))
        for _ in range(4):
            due = self.uploads.due()
            assert due is not None
            found += self.elsewhere(self.uploads.wake(at(due - START.mono)))
        self.assertEqual(found, [True, False])

    def test_one_has_answered(self) -> None:
        """As long as anybody answers it is the others who do not."""
        self.uploads.uploaded(B, at(1))
        self.uploads.wake(at(20))
        self.assertEqual(self.elsewhere(self.uploads.wake(at(25))), [False])


class HearTests(SynchronousTestCase):
    """L{hear} takes Tor's events to where they belong."""

    def test_events(self) -> None:
        """Answers for our address and the streams that carry them count, anything else does not."""
        ours, theirs = OnionAddress(bytes(32)), OnionAddress(bytes(range(32)))
        uploads = tracker(min_directories=1)
        uploads.publish(Seat.FIRST, FIRST, 7, (A, B, C), START)
        refused = b64encode(FIRST).decode()
        for event in (
            DescriptorUploaded(ours, A),
            DescriptorUploaded(theirs, B),
            DescriptorUploadFailed(ours, B, refused, "UNEXPECTED"),
            DescriptorUploadFailed(theirs, C, refused, "UNEXPECTED"),
            UploadBegan(C, "5"),
            DirectoryStreamEnded(C, "5"),
            ConsensusArrived(),
        ):
            hear(event, ours, uploads, at(1))
        progress = uploads.progress(FIRST)
        assert progress is not None
        self.assertEqual((progress.confirmed, progress.reasons, uploads.due()), (1, ("UNEXPECTED",), at(2).mono))


class ChangeTests(SynchronousTestCase):
    """What a rotation, a new ring and a lost Tor do to what is under way."""

    def setUp(self) -> None:
        self.uploads = tracker(min_directories=1)

    def test_replaced_while_under_way(self) -> None:
        """An answer for the text before is not taken for the new one, which is posted after it."""
        self.uploads.publish(Seat.FIRST, FIRST, 7, (A,), START)
        self.assertEqual(self.uploads.publish(Seat.FIRST, FIRST, 8, (A,), at(1)), [])
        self.assertEqual(posts(self.uploads.uploaded(A, at(2))), [(FIRST, 8, (A,))])
        [outcome] = outcomes(self.uploads.uploaded(A, at(3)))
        self.assertEqual((outcome.confirmed, outcome.revision), (1, 8))

    def test_still_published_while_the_next_is_under_way(self) -> None:
        """A refresh does not make a published descriptor an unpublished one."""
        self.uploads.publish(Seat.FIRST, FIRST, 7, (A,), START)
        self.uploads.uploaded(A, at(1))
        self.uploads.publish(Seat.FIRST, FIRST, 8, (A,), at(600))
        progress = self.uploads.progress(FIRST)
        assert progress is not None
        self.assertEqual((progress.published, progress.published_at, progress.confirmed), (True, at(1), 0))

    def test_rotation_moves_the_second_to_the_first_seat(self) -> None:
        """After a rotation the second descriptor's key is the first's, with its history, and the oldest is gone."""
        self.uploads.publish(Seat.FIRST, FIRST, 7, (A,), START)
        self.uploads.publish(Seat.SECOND, SECOND, 7, (B,), START)
        self.uploads.uploaded(B, at(1))
        third = b"3" * 32
        self.uploads.publish(Seat.FIRST, SECOND, 8, (B,), at(2))
        self.uploads.publish(Seat.SECOND, third, 1, (C,), at(2))
        progress = self.uploads.progress(SECOND)
        assert progress is not None
        self.assertEqual((progress.seat, progress.published_at), (Seat.FIRST, at(1)))
        self.assertIsNone(self.uploads.progress(FIRST))

    def test_new_directories_get_the_text_at_once(self) -> None:
        """When the ring changes only the directories that are new are posted to."""
        self.uploads.publish(Seat.FIRST, FIRST, 7, (A, B), START)
        for directory in (A, B):
            self.uploads.uploaded(directory, at(1))
        self.assertEqual(posts(self.uploads.redirect(FIRST, (B, C), at(2))), [(FIRST, 7, (C,))])

    def test_a_directory_that_comes_back_is_remembered(self) -> None:
        """A directory that leaves the ring and returns still has the text: to post it again would be refused."""
        self.uploads.publish(Seat.FIRST, FIRST, 7, (A, B), START)
        for directory in (A, B):
            self.uploads.uploaded(directory, at(1))
        self.uploads.redirect(FIRST, (A,), at(2))
        self.assertEqual(self.uploads.redirect(FIRST, (A, B), at(3)), [])

    def test_nothing_is_posted_without_tor(self) -> None:
        """While Tor is gone nothing is due; when it is back what was under way is posted again."""
        self.uploads.publish(Seat.FIRST, FIRST, 7, (A, B), START)
        self.uploads.uploaded(A, at(1))
        self.uploads.disconnected(gone=True)
        self.assertIsNone(self.uploads.due())
        self.assertEqual(self.uploads.wake(at(100)), [])
        self.assertEqual(posts(self.uploads.connected(at(101))), [(FIRST, 7, (B,))])

    def test_a_tor_that_is_gone_answers_no_more(self) -> None:
        """With Tor its uploads have died: the next one's go out at once, whatever was under way."""
        self.uploads.publish(Seat.FIRST, FIRST, 7, (A,), START)
        self.uploads.disconnected(gone=True)
        self.uploads.publish(Seat.FIRST, FIRST, 8, (A,), at(2))
        self.assertEqual(posts(self.uploads.connected(at(3))), [(FIRST, 8, (A,))])

    def test_an_answer_over_the_next_connection(self) -> None:
        """While Tor may still answer for an upload of the last connection, nothing is posted that it could be for."""
        self.uploads.publish(Seat.FIRST, FIRST, 7, (A,), START)
        self.uploads.publish(Seat.SECOND, SECOND, 7, (A,), START)
        self.uploads.disconnected(gone=False)
        self.assertEqual(posts(self.uploads.connected(at(2))), [(FIRST, 7, (A,))])
        self.uploads.disconnected(gone=False)
        self.uploads.publish(Seat.FIRST, FIRST, 8, (A,), at(3))
        self.assertEqual(posts(self.uploads.connected(at(4))), [])
        self.assertEqual(posts(self.uploads.uploaded(A, at(5))), [(SECOND, 7, (A,))])
        progress = self.uploads.progress(FIRST)
        assert progress is not None
        self.assertEqual(progress.confirmed, 0)

    def test_a_raise_that_tor_cut_off_is_not_waited_for(self) -> None:
        """A counter that was to be raised when Tor went away is asked for again when it is back."""
        self.uploads.publish(Seat.FIRST, FIRST, 7, (A,), START)
        self.uploads.failed(A, FIRST, REJECTED, at(1))
        self.uploads.disconnected(gone=True)
        self.uploads.connected(at(2))
        self.assertEqual(self.uploads.failed(A, FIRST, REJECTED, at(3)), [Raise(Seat.FIRST, FIRST, LEADS[1])])


class World:
    """
    Directories and the way to them: each upload arrives after a while or never, and so does its answer.

    ``draw`` decides; a directory takes a revision only when it is higher than the one it holds.
    """

    def __init__(self, uploads: Uploads, draw: Random) -> None:
        self.uploads = uploads
        self.draw = draw
        self.now = START
        self.held: dict[tuple[str, bytes], int] = {}
        self.floors: dict[bytes, int] = {}
        self.revision = 0
        self.latest: dict[tuple[str, bytes, int], int] = {}
        self.serial = 0
        self.coming: list[tuple[float, int, Callable[[], list[Command]]]] = []
        self.lossy = True

    def publish(self, seat: Seat, blinded: bytes, directories: tuple[str, ...]) -> None:
        """Publish a new text."""
        self.revision += 1
        self.floors[blinded] = self.revision
        self.perform(self.uploads.publish(seat, blinded, self.revision, directories, self.now))

    def reconnect(self) -> None:
        """The control connection breaks and is made again; Tor and its uploads live on."""
        self.uploads.disconnected(gone=False)
        self.perform(self.uploads.connected(self.now))

    def perform(self, commands: list[Command]) -> None:
        """Do what the tracker wants."""
        for command in commands:
            if isinstance(command, Post):
                for directory in command.directories:
                    self.post(command, directory)
            elif isinstance(command, Raise):
                self.later(partial(self.raise_counter, command))
        self.check()

    def post(self, post: Post, directory: str) -> None:
        """Tor sends a text on its way, and may break that off."""
        self.serial += 1
        upload, serial = (directory, post.blinded, self.floors[post.blinded]), self.serial
        self.latest[upload] = serial
        self.uploads.began(directory, str(serial))
        self.later(lambda: self.arrive(post, directory, lambda: self.latest[upload] == serial))
        if self.lossy and self.draw.random() < 0.2:
            self.later(lambda: self.break_off(upload, serial))

    def break_off(self, upload: tuple[str, bytes, int], serial: int) -> list[Command]:
        """Tor closes the stream: no answer will come, whether or not the text arrives."""
        if self.latest[upload] == serial:
            self.latest[upload] = 0
        return self.uploads.ended(upload[0], str(serial), self.now)

    def later(self, what: Callable[[], list[Command]]) -> None:
        """Let ``what`` happen within 14 seconds, so that an upload is answered within 28 or never."""
        seconds = self.draw.choice((0.1, 1.0, 6.0, 14.0)) if self.lossy else 0.1
        self.serial += 1
        self.coming.append((self.now.mono + seconds, self.serial, what))

    def arrive(self, post: Post, directory: str, alive: Callable[[], bool]) -> list[Command]:
        """The directory gets a text, answers, and the answer may be lost."""
        if self.lossy and self.draw.random() < 0.2:
            return []
        taken = post.revision > self.held.get((directory, post.blinded), 0)
        if taken:
            self.held[directory, post.blinded] = post.revision
        if not self.lossy or self.draw.random() < 0.8:
            self.later(lambda: self.answer(post, directory, taken, alive))
        return []

    def answer(self, post: Post, directory: str, taken: bool, alive: Callable[[], bool]) -> list[Command]:
        """Tor reports the answer, unless the upload has been repeated since: then it was dead."""
        if not alive():
            return []
        if taken:
            return self.uploads.uploaded(directory, self.now)
        return self.uploads.failed(directory, post.blinded, REJECTED, self.now)

    def raise_counter(self, command: Raise) -> list[Command]:
        """The text is built again."""
        self.revision += 1
        return self.uploads.raised(command.blinded, self.revision, self.now)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now.later(seconds)
        while True:
            due = self.uploads.due()
            times = [time for time, _, _ in self.coming] + ([] if due is None else [due])
            if not times or min(times) > end.mono:
                break
            self.now = START.later(max(min(times), self.now.mono) - START.mono)
            ready = sorted(each[:2] for each in self.coming if each[0] <= self.now.mono)
            happening = [each[2] for each in sorted(self.coming, key=lambda each: each[:2]) if each[:2] in ready]
            self.coming = [each for each in self.coming if each[:2] not in ready]
            for what in happening:
                self.perform(what())
            self.perform(self.uploads.wake(self.now))
        self.now = end

    def check(self) -> None:
        """Whoever counts as confirmed holds a text of the last publish."""
        for track in self.uploads._tracks.values():
            for directory, copy in track.responsible():
                if copy.state is State.CONFIRMED:
                    assert self.held.get((directory, track.blinded), 0) >= self.floors[track.blinded], directory


class WorldTests(SynchronousTestCase):
    """L{Uploads} among directories that are slow, deaf or hold something else."""

    @settings(deadline=None, max_examples=200)
    @given(st.randoms(use_true_random=False), st.lists(st.sampled_from("12hr"), min_size=1, max_size=8))
    def test_confirmed_means_held(self, draw: Random, steps: list[str]) -> None:
        """Whatever is lost or late, no directory is believed to hold what it does not; in the end all hold it."""
        uploads = tracker(min_directories=2)
        world = World(uploads, draw)
        for step in steps:
            if step == "h":
                place = draw.choice((A, B, C)), draw.choice((FIRST, SECOND))
                world.held[place] = max(world.held.get(place, 0), world.revision + draw.randrange(4))
            elif step == "r":
                world.reconnect()
            elif step == "1":
                world.publish(Seat.FIRST, FIRST, (A, B, C))
            else:
                world.publish(Seat.SECOND, SECOND, (B, C, D))
            world.run(draw.choice((0.5, 8.0, 21.0, 40.0)))
        world.lossy = False
        world.run(400.0)
        world.publish(Seat.FIRST, FIRST, (A, B, C))
        world.publish(Seat.SECOND, SECOND, (B, C, D))
        world.run(400.0)
        for blinded in (FIRST, SECOND):
            progress = uploads.progress(blinded)
            assert progress is not None
            self.assertEqual((progress.confirmed, progress.published), (3, True))
