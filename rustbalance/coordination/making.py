"""
Putting a node's part in its cluster together.

Owns: which parts there are. In: settings, the cluster's tokens, the carrier that is wanted; out: ``Coordination``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rustbalance.cluster.keys import Accepted, KeyRing, NodeKey, TokenKeys
from rustbalance.coordination.carriers import Choice, make
from rustbalance.coordination.conversation import Conversation
from rustbalance.coordination.service import Coordination
from rustbalance.coordination.settings import CoordinationSettings
from rustbalance.life import now as read_clocks
from rustbalance.life import threads
from rustbalance.moment import Moment
from rustbalance.publishing.publisher import Publisher
from rustbalance.secrets import Secret
from rustbalance.tor.instance import TorInstance


@dataclass(frozen=True)
class Tokens:
    """The cluster token, and the one before it, which is heard until the Unix time ``until``."""

    current: Secret
    previous: Secret | None = None
    until: float | None = None


@dataclass(frozen=True)
class Mesh:
    """What it takes to speak with other nodes."""

    tokens: Tokens
    carrier: Choice


def key_ring(tokens: Tokens) -> KeyRing:
    """
    Return the keys that the tokens give.

    :raises rustbalance.cluster.keys.InvalidToken: one is too short.
    """
    accepted = () if tokens.previous is None else (Accepted(TokenKeys(tokens.previous), tokens.until),)
    return KeyRing(TokenKeys(tokens.current), accepted)


def coordination(
    settings: CoordinationSettings,
    node_key: NodeKey,
    publisher: Publisher,
    mesh: Mesh | None,
    reactor: Any,
    random_bytes: Callable[[int], bytes],
    clocks: Callable[[], Moment] = read_clocks,
    scout: TorInstance | None = None,
) -> Coordination:
    """
    Return the service; ``scout``, which is needed over Tor, is the caller's to start before and to stop after it.

    ``mesh`` None: a cluster of one.

    :raises rustbalance.cluster.keys.InvalidToken: as ``key_ring``.
    :raises Exception: as ``carriers.make``.
    """
    conversation = None
    if mesh is not None:
        ring = key_ring(mesh.tokens)
        carrier = make(mesh.carrier, scout, reactor, random_bytes)
        conversation = Conversation(carrier, ring, node_key, settings, clocks, random_bytes)
    return Coordination(settings, node_key, publisher, conversation, reactor, random_bytes, clocks, threads(reactor))
