"""Tests for L{rustbalance.publishing.settings}."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.publishing.settings import PublishSettings, VerifySettings
from rustbalance.publishing.urgency import LIFETIME


class SettingsTests(SynchronousTestCase):
    """The defaults are those of C{interfaces.md} and go together."""

    def test_the_contract(self) -> None:
        """What operators rely on."""
        settings = PublishSettings()
        self.assertEqual((settings.refresh_interval_secs, settings.max_intro_points), (600, 20))
        self.assertEqual((settings.min_directories, settings.directory_deadline), (4, 20))
        self.assertEqual((settings.max_age_secs, settings.points_patience, settings.shortage_secs), (900, 5, 120))
        verify = VerifySettings()
        self.assertEqual((verify.mode, verify.interval, verify.delay), ("fetch", 300, 60))

    def test_figures_go_together(self) -> None:
        """A refresh comes long before directories forget, and a retry never waits for longer than a refresh."""
        settings = PublishSettings()
        self.assertLess(settings.refresh_interval_secs, LIFETIME / 2)
        self.assertLessEqual(settings.retry_most, settings.refresh_interval_secs)
        self.assertLess(settings.refresh_interval_secs + settings.directory_deadline, settings.max_age_secs)
        self.assertLess(settings.read_quick, settings.points_grace)
        # A better text is not held back for longer than that, and a wrong confirmation is found by the check after it.
        self.assertLessEqual(settings.directory_deadline + settings.directory_quiet, 30)
        self.assertLess(settings.directory_deadline + settings.directory_quiet, VerifySettings().delay)
        self.assertLess(settings.answer_grace, settings.directory_quiet)
