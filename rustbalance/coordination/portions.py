"""
Long announcements, a portion at a time.

Owns: that the event loop does not wait for the signatures of many records at once. In: messages that were opened, and
records; out: the same in portions, each in a turn of its own of the event loop.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from twisted.internet.interfaces import IReactorTime

from rustbalance.cluster.messages import Message, NodeId, PeerAnnounce

T = TypeVar("T")
PORTION = 40
"""Records that are looked at without a pause: two signatures each, a tenth of a millisecond."""


def portions(items: Sequence[T]) -> list[Sequence[T]]:
    """Return ``items`` in portions."""
    return [items[start : start + PORTION] for start in range(0, len(items), PORTION)]


def split(message: Message) -> list[Message]:
    """Return the message, or several that say the same; who is forgotten is said before who is a member."""
    if not isinstance(message, PeerAnnounce) or len(message.records) + len(message.forgotten) <= PORTION:
        return [message]
    forgotten = [PeerAnnounce(records=(), forgotten=tuple(some)) for some in portions(message.forgotten)]
    return [*forgotten, *(PeerAnnounce(records=tuple(some)) for some in portions(message.records))]


def in_turns(reactor: IReactorTime, work: Callable[[T], None], items: Sequence[T]) -> None:
    """Do ``work`` with the first item now, and with each other one when the event loop has been round once more."""
    if not items:
        return
    if len(items) > 1:
        reactor.callLater(0, in_turns, reactor, work, items[1:])
    work(items[0])


def hear_in_turns(reactor: IReactorTime, hear: Callable[[NodeId, Message], None]) -> Callable[[NodeId, Message], None]:
    """Return what takes whole messages and lets ``hear`` have them in portions."""
    return lambda sender, message: in_turns(reactor, lambda part: hear(sender, part), split(message))
