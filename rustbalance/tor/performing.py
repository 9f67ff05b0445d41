"""
Doing what a state machine commands.

Owns: the order of it. In: an outbox to which the machine's behaviours append; out: calls, one command after the other.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

Command = TypeVar("Command")


class Performer(Generic[Command]):
    """Calls ``perform`` with each command in ``outbox``; what doing one leads to is done after those before it."""

    def __init__(self, outbox: list[Command], perform: Callable[[Command], None]) -> None:
        self._outbox = outbox
        self._perform = perform
        self._performing = False

    def feed(self, happened: Callable[[], None]) -> None:
        """Tell the machine what has happened, then do what it commands."""
        happened()
        if self._performing:
            return
        self._performing = True
        try:
            while self._outbox:
                self._perform(self._outbox.pop(0))
        finally:
            self._performing = False
