"""Tests for L{rustbalance.tor.failures}."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.tor.control import ControlLost, ControlRefused, ControlTimeout
from rustbalance.tor.failures import TorFailure, failure_of


class FailureTests(SynchronousTestCase):
    """Errors and their classes."""

    def test_classes(self) -> None:
        """Who does not listen, who hangs, who does not let us in and who is not as needed are told apart."""
        for error, failure in (
            (ControlLost("x"), TorFailure.REFUSED),
            (ControlTimeout("x"), TorFailure.HUNG),
            (ControlRefused(515, "x"), TorFailure.AUTHENTICATION),
            (ControlRefused(552, "x"), TorFailure.UNUSABLE),
            (PermissionError("x"), TorFailure.UNUSABLE),
        ):
            self.assertIs(failure_of(error), failure)

    def test_restart(self) -> None:
        """A wrong password is not mended by a restart, a Tor that hangs may be."""
        self.assertTrue(TorFailure.HUNG.restart_helps)
        self.assertFalse(TorFailure.AUTHENTICATION.restart_helps)
