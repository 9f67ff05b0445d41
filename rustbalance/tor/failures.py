"""
In which ways a Tor fails us.

Owns: the classes of failure, which of them a restart may mend, and the errors of the control port. In: nothing; out:
``TorFailure``. Pure.
"""

from enum import StrEnum


class TorFailure(StrEnum):
    """
    Why an instance does not serve.

    ``REFUSED``: nobody listens, or the connection broke. ``HUNG``: no answer in time. ``AUTHENTICATION``: it wants
    another cookie or password. ``NOT_BOOTSTRAPPED``: it gets no way into the network. ``ENDED``: its process is gone.
    ``NO_INTRODUCTIONS``: it serves, but nobody could find it for too long. ``SOCKS``: it takes no outgoing connections.
    ``UNUSABLE``: it is not as we need it; the reason says what to do.
    """

    REFUSED = "refused"
    HUNG = "hung"
    AUTHENTICATION = "authentication"
    NOT_BOOTSTRAPPED = "not bootstrapped"
    ENDED = "ended"
    NO_INTRODUCTIONS = "no introductions"
    SOCKS = "socks"
    UNUSABLE = "unusable"

    @property
    def restart_helps(self) -> bool:
        """Whether starting it anew may mend that: not where an operator has to change something first."""
        return self not in (TorFailure.AUTHENTICATION, TorFailure.UNUSABLE)


class ControlError(Exception):
    """Something went wrong between us and Tor's control port."""

    failure = TorFailure.UNUSABLE


class ControlTimeout(ControlError):
    """Tor did not answer in time; the connection has been given up."""

    failure = TorFailure.HUNG


class ControlLost(ControlError):
    """The connection is gone, or could not be made."""

    failure = TorFailure.REFUSED


class ControlRefused(ControlError):
    """Tor answered with an error; ``code`` as in control-spec section 4."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code
        self.failure = TorFailure.AUTHENTICATION if code in (514, 515) else TorFailure.UNUSABLE


def failure_of(error: BaseException) -> TorFailure:
    """Return the class of what went wrong: errors that know theirs have it as ``failure``."""
    found = getattr(error, "failure", None)
    return found if isinstance(found, TorFailure) else TorFailure.UNUSABLE
