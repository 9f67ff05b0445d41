"""
How fit this node is to take part.

Owns: what speaks for it and against it. In: what its parts report of themselves, and what its operator wants; out:
whether it may publish for the others. Pure.
"""

from collections.abc import Callable, Sequence

from rustbalance.cluster.commands import MemberView
from rustbalance.cluster.messages import State

ABSENT = (State.JOINING, State.DEAD)
RESIGNED_SECS = 60.0
"""How long a node that gave the lease away leaves it to the others: by then one of them has it, and keeps it."""


class Fitness:
    """
    Calls ``changed`` after every change.

    ``able``: a Tor of ours can publish. ``target_healthy``: the site behind us answers, None: not known. ``drained``:
    the operator has taken this node out of service, until it is told otherwise or starts again.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self.able = False
        self.target_healthy: bool | None = None
        self.drained = False
        self._changed = changed
        self._resigned_until = float("-inf")

    def may_publish(self, others: Sequence[MemberView], now: float) -> bool:
        """
        Say whether this node may publish for all at the monotonic time ``now``.

        Nobody else could for a node that is alone, so it need not hand over when its Tor is away; and it resigns in
        favour of somebody or not at all.
        """
        if now < self._resigned_until and any(other.state is State.HEALTHY for other in others):
            return False
        return self.able or all(other.state in ABSENT for other in others)

    def be_able(self, able: bool) -> None:
        """Stand for publisher, or let others."""
        self.able = able
        self._changed()

    def target(self, healthy: bool | None) -> None:
        """The site behind this node answers or not; without it our points are withdrawn while others have any."""
        self.target_healthy = healthy
        self._changed()

    def drain(self, drained: bool) -> None:
        """Be taken out of service, or come back: our points are withdrawn, and another node publishes."""
        self.drained = drained
        self._changed()

    def resign(self, now: float) -> None:
        """Leave the lease to another node that serves, if there is one."""
        self._resigned_until = now + RESIGNED_SECS
        self._changed()
