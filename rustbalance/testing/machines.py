"""
Checks for state machines.

Owns: the one look into Automat's private parts. In: what ``TypeMachineBuilder.build()`` returned; out: what it leaves
undeclared, and how it got where it is.
"""

from collections.abc import Callable
from typing import Any


def holes(machine: Callable[..., Any]) -> set[tuple[str, str]]:
    """
    Return the pairs of state and input for which the machine would raise ``NoTransition``.

    A machine is total when there are none, or exactly those that its test declares impossible.
    """
    automaton = machine.__automat_automaton__  # type: ignore[attr-defined]
    declared = {(state.name, name) for state, name, *_ in automaton.allTransitions()}
    everything = {(state.name, name) for state in automaton.states() for name in automaton.inputAlphabet()}
    return everything - declared


def unreachable(machine: Callable[..., Any], initial: str) -> set[str]:
    """Return the names of the states to which no path leads from ``initial``."""
    automaton = machine.__automat_automaton__  # type: ignore[attr-defined]
    edges = {(old.name, new.name) for old, _, new, *_ in automaton.allTransitions()}
    reached = {initial}
    while more := {new for old, new in edges if old in reached} - reached:
        reached |= more
    return {state.name for state in automaton.states()} - reached


def trace(instance: Any, note: Callable[[str, str, str], None]) -> None:
    """Call ``note`` with the old state, the input and the new state at each transition of ``instance``."""
    instance.__automat_transitioner__.setTrace(lambda old, name, new: note(old.name, name, new.name))
