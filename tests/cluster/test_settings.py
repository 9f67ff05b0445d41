"""Tests for L{rustbalance.cluster.settings}."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.settings import ClusterSettings


class SettingsTests(SynchronousTestCase):
    """The defaults keep what is promised with them."""

    def test_takeover_within_twelve_seconds(self) -> None:
        """A lease, a heartbeat's way and the grace add up to less than 12 s, with a second to spare."""
        settings = ClusterSettings()
        self.assertLess(settings.lease_duration + settings.takeover_grace, 11.0)

    def test_lost_heartbeats(self) -> None:
        """It takes more than two lost heartbeats to be taken for dead."""
        settings = ClusterSettings()
        self.assertGreater(settings.heartbeat_timeout, 3 * settings.heartbeat_interval)
        self.assertGreater(settings.lease_duration, 3 * settings.heartbeat_interval)
