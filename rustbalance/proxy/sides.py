"""
What an exchange needs of the visitor's connection.

Owns: the one interface between the two. In: nothing; out: ``VisitorSide``, which ``visitor.Visitor`` fulfils.
"""

from typing import Protocol

from rustbalance.proxy.pages import LocalAnswer
from rustbalance.proxy.reading import RequestReader


class VisitorSide(Protocol):
    """``reader`` holds what has arrived; ``deadline``, ``clogged`` and ``read_ended`` are as in ``stream.Stream``."""

    deadline: float
    clogged: bool
    read_ended: bool
    reader: RequestReader

    def send(self, *pieces: bytes) -> None:
        """Write to the visitor."""

    def taken(self) -> None:
        """Bytes of the reader were taken: there is room for more."""

    def answered(self, *, close: bool) -> None:
        """The answer is complete; ``close`` says that no other may follow on this connection."""

    def answer(self, page: LocalAnswer) -> None:
        """Answer with a page of ours; the request is over."""

    def end_writing(self) -> None:
        """Say that nothing more comes."""

    def abort(self) -> None:
        """Break off."""
