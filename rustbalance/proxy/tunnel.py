"""
Two streams that belong to another protocol (RFC 9110 section 7.8).

Owns: the bytes both ways after a 101, and the end of each direction by itself (D-49, D-53). In: the two sides; out:
their bytes, untouched.
"""

from collections.abc import Callable

from rustbalance.proxy.sides import VisitorSide
from rustbalance.proxy.target import TargetConnection


class Tunnel:
    """``over`` is called when both directions have ended (True), or when the connection broke (False)."""

    def __init__(self, visitor: VisitorSide, target: TargetConnection, over: Callable[[bool], None]) -> None:
        self._visitor = visitor
        self._target = target
        self._over = over
        self._visitor_ended = False
        self._target_ended = False

    def run(self) -> None:
        """Pass on what is there; what the target does not take yet stays where it is."""
        data = self._target.reader.take_rest()
        if data:
            self._visitor.send(data)
        if not self._target.clogged:
            self._pass_visitor()

    def target_ended(self, clean: bool) -> None:
        """Close this direction, or both when the connection is no more."""
        if self._target_ended and not self._target.lost:
            return
        self._target_ended = True
        if not clean or self._visitor_ended or self._target.lost:
            self._over(clean)
        else:
            self._visitor.end_writing()

    def _pass_visitor(self) -> None:
        data = self._visitor.reader.take_rest()
        if data:
            self._target.send(data)
            self._visitor.taken()
        if self._visitor.read_ended and not self._visitor_ended:
            self._end_of_visitor()

    def _end_of_visitor(self) -> None:
        """Close this direction behind its last byte; the other one goes on."""
        self._visitor_ended = True
        if self._target_ended:
            self._over(True)
        else:
            self._target.end_writing()
