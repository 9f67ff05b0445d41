"""
What the daemon can be asked to do over its control socket.

Owns: the form of a request, and calling the function that belongs to it. In: ``{"verb": "status"}``, and for a verb
that is about a node ``{"verb": "forget", "node": "b"}``; out: what the function returns, or ``NotDone``.
"""

from collections.abc import Callable, Mapping
from inspect import signature
from typing import TypeAlias

import msgspec

Verb: TypeAlias = Callable[[], msgspec.Struct] | Callable[[str], msgspec.Struct]
"""One that takes an argument is given the name of a node."""
Verbs: TypeAlias = Mapping[str, Verb]


class NotDone(Exception):
    """What was asked for cannot be; the message is for whoever asked."""


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for is done; ``sentence`` is what there is to say about it."""

    sentence: str


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client sends; ``node`` for the verbs that are about one."""

    verb: str
    node: str | None = None


def perform(request: Request, verbs: Verbs) -> msgspec.Struct:
    """
    Return what the verb returns.

    :raises NotDone: there is no such verb, it needs a node or takes none, or it says itself that it cannot be done.
    :raises Exception: as the verb.
    """
    function: Callable[..., msgspec.Struct] | None = verbs.get(request.verb)
    if function is None:
        raise NotDone(f"unknown verb; known ones are {', '.join(sorted(verbs))}")
    words = [] if request.node is None else [request.node]
    if len(words) != len(signature(function).parameters):
        raise NotDone(f"the verb {request.verb} {'takes no' if words else 'needs a'} node")
    return function(*words)
