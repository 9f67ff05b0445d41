"""
In which order the core's commands are performed, and what waits for the disk.

Owns: that nothing is said, and no seat taken, before the state that it follows from is on the disk, which may take a
while and is not waited for by anything else. In: commands in the core's order; out: calls that perform them.
"""

from collections import deque
from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from rustbalance.cluster.commands import BecomePublisher, Command, Persist, PersistedState, Send, StepDown

MOST_WAITING = 1000
"""Commands that wait for a disk that hangs; of more than that the oldest messages are left out. All are said again."""
LAST_WRITE = 2.0
"""Seconds that a node which stops waits for its disk; there is more to end than that."""


class WriteAhead:
    """
    Performs commands by calling ``perform``, whose errors are logged and go no further.

    ``keep`` writes a state; the Deferred fires when it is on the disk, or cannot be. While one is being written, what
    must come after it waits, and of further states only the last is written: it says all that those before it did.
    ``writing``: what the core says of this node now is not on the disk yet.
    """

    log = Logger()

    def __init__(self, keep: Callable[[PersistedState], Deferred[None]], perform: Callable[[Command], None]) -> None:
        self._keep = keep
        self._perform = perform
        self._fresh: deque[Command] = deque()
        self._behind: deque[Command] = deque()
        self.writing = self._busy = False
        self._idle: list[Deferred[None]] = []

    @property
    def waiting(self) -> int:
        """How many commands wait for the disk."""
        return len(self._behind)

    def do(self, commands: Iterable[Command]) -> None:
        """Perform commands, after those that are being performed."""
        self._fresh += commands
        if self._busy:
            return
        self._busy = True
        try:
            while self._fresh or (self._behind and not self.writing):
                if self._behind and not self.writing:
                    self._go_on(self._behind.popleft())
                else:
                    self._look_at(self._fresh.popleft())
        finally:
            self._busy = False
        if not self.writing:
            idle, self._idle = self._idle, []
            for waiting in idle:
                waiting.callback(None)

    def when_idle(self) -> Deferred[None]:
        """Fire when nothing waits for the disk any more."""
        if not self.writing:
            return succeed(None)
        self._idle.append(Deferred())
        return self._idle[-1]

    def _look_at(self, command: Command) -> None:
        if isinstance(command, StepDown):
            self._behind = deque(each for each in self._behind if not isinstance(each, BecomePublisher))
        if isinstance(command, Persist):
            self._replace(command)
        elif isinstance(command, Send | BecomePublisher):
            self._behind.append(command)
        else:
            self._attempt(command)
        if len(self._behind) > MOST_WAITING:
            self._shorten()

    def _replace(self, command: Persist) -> None:
        """Have the latest state written where an earlier one was to be, or last."""
        place = next((place for place, each in enumerate(self._behind) if isinstance(each, Persist)), None)
        if place is None:
            self._behind.append(command)
        else:
            self._behind[place] = command

    def _shorten(self) -> None:
        oldest = next((place for place, each in enumerate(self._behind) if isinstance(each, Send)), None)
        if oldest is not None:
            del self._behind[oldest]

    def _go_on(self, command: Command) -> None:
        if not isinstance(command, Persist):
            self._attempt(command)
            return
        self.writing = True
        self._keep(command.state).addErrback(self._failed).addCallback(lambda _: self._written())

    def _written(self) -> None:
        self.writing = False
        self.do(())

    def _failed(self, failure: Failure) -> None:
        self.log.failure("the state of the cluster could not be kept", failure)

    def _attempt(self, command: Command) -> None:
        try:
            self._perform(command)
        except Exception:
            self.log.failure("{kind} could not be performed", kind=type(command).__name__)
