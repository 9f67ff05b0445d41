"""
What directories hold, as one picture.

Owns: the shape of what ``rustbalance verify --json`` prints. In: facts from the check; out: ``DirectoryReport``.
"""

from enum import StrEnum
from typing import Literal

import msgspec


class Finding(StrEnum):
    """
    What was found at one directory.

    ``VERIFIED``: it gives our latest descriptor. ``CONFIRMED``: it has said so when it took it, and cannot be asked.
    ``NEWER``: it gives one with a higher counter than ours, which is somebody else's. ``STALE``: it gives an older one
    though it had confirmed the latest. ``MISSING``: it gives none though it had confirmed it. ``UNCONFIRMED``: it has
    not taken the latest yet, and is being tried again. ``UNREADABLE``: what it gives is no descriptor of ours.
    ``SILENT``: it could not be asked. ``UNASKED``: only the node that publishes can say.
    """

    VERIFIED = "verified"
    CONFIRMED = "confirmed"
    NEWER = "newer"
    STALE = "stale"
    MISSING = "missing"
    UNCONFIRMED = "unconfirmed"
    UNREADABLE = "unreadable"
    SILENT = "silent"
    UNASKED = "unasked"

    @property
    def good(self) -> bool:
        """Whether visitors get from there what they should, as far as anybody can tell."""
        return self in (Finding.VERIFIED, Finding.CONFIRMED, Finding.NEWER, Finding.UNASKED)

    @property
    def lost(self) -> bool:
        """Whether the directory had the latest descriptor and has it no longer."""
        return self in (Finding.STALE, Finding.MISSING)


class DirectoryRow(msgspec.Struct, frozen=True, kw_only=True):
    """
    One descriptor (``seat``) at one directory (a fingerprint).

    ``revision`` is what it gave, ``expected`` the lowest that is good enough. ``posted_again``: it gets the latest one.
    """

    seat: Literal["first", "second"]
    directory: str
    finding: Finding
    revision: int | None = None
    expected: int | None = None
    reason: str | None = None
    posted_again: bool = False


class DirectoryReport(msgspec.Struct, frozen=True, kw_only=True):
    """
    The last check, the ``number``-th; ``age_secs`` is None as long as none is complete.

    ``running``: a check, the next one, is under way. ``asked``: the descriptor that clients fetch now, which is the
    only one that directories can be asked for. ``problem``: why they could not be asked.
    """

    number: int
    running: bool
    publishes: bool
    age_secs: float | None = None
    asked: Literal["first", "second"] | None = None
    problem: str | None = None
    rows: tuple[DirectoryRow, ...] = ()

    @property
    def good(self) -> bool:
        """Whether nothing was found wrong anywhere."""
        return self.problem is None and bool(self.rows) and all(row.finding.good for row in self.rows)
