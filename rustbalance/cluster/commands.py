"""
What the cluster core wants done, and how it sees things.

Owns: the values that ``ClusterCore`` returns, and what it asks to be kept on disk. In: nothing; out: values. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from rustbalance.cluster.messages import Forgotten, IntroPoints, Message, NodeId, NodeRecord, State


class Certainty(StrEnum):
    """
    Whether what this node knows may replace what the directories hold.

    ``CERTAIN``: yes. ``UNCERTAIN``: others may know more, so only when what is out there expires. ``UNKNOWN``: no; the
    directories are left alone.
    """

    CERTAIN = "certain"
    UNCERTAIN = "uncertain"
    UNKNOWN = "unknown"


class PersistedState(msgspec.Struct, frozen=True):
    """
    What a node must find again after a restart; on disk before anything that follows it is sent.

    ``records``: all nodes but itself. ``absent``: those of them that were dead. ``revisions``: the highest counter
    known for each blinded key (hexadecimal). ``forgotten``: those that are members no more.
    """

    incarnation: int = 0
    term: int = 0
    points_version: int = 0
    records: tuple[NodeRecord, ...] = ()
    absent: tuple[NodeId, ...] = ()
    revisions: dict[str, int] = {}
    forgotten: tuple[Forgotten, ...] = ()


@dataclass(frozen=True)
class Send:
    """Send a message to one node, or to every node whose record is known (None)."""

    to: NodeId | None
    message: Message


@dataclass(frozen=True)
class Persist:
    """Keep this on disk, before the commands that follow are performed."""

    state: PersistedState


@dataclass(frozen=True)
class BecomePublisher:
    """Publish what ``SourcesChanged`` said last, as far as its certainty allows."""

    term: int


@dataclass(frozen=True)
class StepDown:
    """Do not publish any longer, uploads under way included."""

    term: int
    reason: str


@dataclass(frozen=True)
class MembersChanged:
    """
    Other nodes are known, or reached elsewhere: the carriers' peers.

    ``former`` were members and were forgotten; they may introduce themselves again.
    """

    records: tuple[NodeRecord, ...]
    former: tuple[NodeRecord, ...] = ()


@dataclass(frozen=True)
class SourcesChanged:
    """
    These sets of points are to be published, each by a name of its own.

    Told to every node, so that the next publisher need not ask.
    """

    sources: Mapping[str, IntroPoints]
    certainty: Certainty


@dataclass(frozen=True)
class RevisionsLearned:
    """Counters up to these have been used somewhere; ours must be higher."""

    revisions: Mapping[str, int]


@dataclass(frozen=True)
class Log:
    """A line for the log; ``level`` is "debug", "info" or "warn"."""

    level: str
    text: str


Command = Send | Persist | BecomePublisher | StepDown | MembersChanged | SourcesChanged | RevisionsLearned | Log


@dataclass(frozen=True)
class MemberView:
    """
    One node, as this one sees it.

    ``silent``: seconds since it was last heard of, None if never. ``left``: it has said goodbye. ``drained``: it is
    being taken out of service.
    """

    id: NodeId
    state: State
    priority: int
    incarnation: int
    silent: float | None
    left: bool = False
    drained: bool = False


@dataclass(frozen=True)
class ClusterView:
    """
    The cluster, as this node sees it.

    ``publisher``: whose lease runs, for another ``lease_left`` seconds. ``round``: which takeover that was; the number
    for people, ``term`` is for comparing. ``phase``: what this node is doing about publishing. ``expelled_by``: the
    node that joined with the bundle with which we did, and stays; we are out.
    """

    me: NodeId
    state: State
    members: tuple[MemberView, ...]
    publisher: NodeId | None
    term: int
    round: int
    lease_left: float
    phase: str
    certainty: Certainty
    isolated: bool
    sources: tuple[str, ...]
    expelled_by: NodeId | None = None
