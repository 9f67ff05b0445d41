"""Tests for L{rustbalance.testing.machines}."""

from collections.abc import Callable
from typing import Protocol

from automat import TypeMachineBuilder
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.testing.machines import holes, trace, unreachable


class Door(Protocol):
    """What one can do with a door."""

    def open(self) -> None:
        """Open it."""

    def close(self) -> None:
        """Close it."""


class Core:
    """Nothing to remember."""


def _build() -> Callable[[Core], Door]:
    machine = TypeMachineBuilder(Door, Core)
    shut = machine.state("shut")
    ajar = machine.state("ajar")
    bricked = machine.state("bricked")
    shut.upon(Door.open).to(ajar).returns(None)
    ajar.upon(Door.close).to(shut).returns(None)
    ajar.upon(Door.open).loop().returns(None)
    bricked.upon(Door.open).loop().returns(None)
    bricked.upon(Door.close).loop().returns(None)
    return machine.build()


DoorMachine = _build()


class MachineTests(SynchronousTestCase):
    """The checks see what a machine leaves out."""

    def test_holes(self) -> None:
        """An input that a state does not answer is found."""
        self.assertEqual(holes(DoorMachine), {("shut", "close")})

    def test_unreachable(self) -> None:
        """A state to which no input leads is found."""
        self.assertEqual(unreachable(DoorMachine, "shut"), {"bricked"})

    def test_trace(self) -> None:
        """Each transition is told with where it came from and where it went."""
        steps: list[tuple[str, str, str]] = []
        door = DoorMachine(Core())
        trace(door, lambda *step: steps.append(step))
        door.open()
        door.close()
        self.assertEqual(steps, [("shut", "open", "ajar"), ("ajar", "close", "shut")])
