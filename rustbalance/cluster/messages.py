"""
What nodes say to each other.

Owns: the seven messages, their limits and their encoding. In: a message or bytes; out: the other, or
``MalformedMessage``. Each field has bounds, so that what was decoded can be trusted in shape, though not in meaning.

Encoded: one byte ``VERSION``, then MessagePack: an array of the name and the fields in the order given here. A later
version of the software may append fields: older ones pass over them, and newer ones must give them defaults. Nothing
else may change without another ``VERSION``. docs/protocol.md describes every byte.
"""

import re
from enum import StrEnum
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

VERSION: Final = 1
MOST_NODES: Final = 1000
"""How many nodes one message may tell of; a cluster is meant to have up to 100."""
NODE_ID: Final = re.compile(r"[a-z0-9-]{1,64}")
_LARGEST: Final = 2**63 - 1
_QUOTED: Final = re.compile(r" '.*'", re.DOTALL)

NodeId: TypeAlias = Annotated[str, Meta(pattern=r"\A[a-z0-9-]{1,64}\Z")]
"""The name of a node: 1 to 64 of ``[a-z0-9-]``."""
Count: TypeAlias = Annotated[int, Meta(ge=0, le=_LARGEST)]
Seconds: TypeAlias = Annotated[float, Meta(ge=0, le=1e11)]
"""A finite number: neither infinity nor NaN is within the bounds."""
Priority: TypeAlias = Annotated[int, Meta(ge=0, le=2**31 - 1)]
"""Lower wins."""
PublicKey: TypeAlias = Annotated[bytes, Meta(min_length=32, max_length=32)]
Identifier: TypeAlias = Annotated[bytes, Meta(min_length=16, max_length=16)]
Address: TypeAlias = Annotated[str, Meta(pattern=r"\A[a-z]{1,20}:[!-~]{1,250}\Z")]
"""Where a carrier reaches a node: the carrier's name, a colon, and what that carrier understands."""
BlindedHex: TypeAlias = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Revisions: TypeAlias = Annotated[dict[BlindedHex, Count], Meta(max_length=16)]
"""The last revision counter that was used for each blinded key (hexadecimal)."""
TunnelIp: TypeAlias = Annotated[str, Meta(pattern=r"\A[0-9a-f.:]{2,45}\Z")]


class MalformedMessage(ValueError):
    """The bytes are no message of this version; the sentence says what is wrong and shows nothing of the contents."""


class State(StrEnum):
    """How a node is doing: only the points of ``healthy`` ones are published."""

    JOINING = "joining"
    INITIALIZING = "initializing"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    DEAD = "dead"


class NodeRecord(msgspec.Struct, frozen=True, array_like=True):
    """
    Who a node is and where it is reached, in its own words: signed with its node key, so that anybody may pass it on.

    Of two records with the same id and key the one with the larger ``incarnation`` holds. ``addresses`` are like
    ``tor:….onion``, ``direct:HOST:PORT`` or ``wireguard:KEY@ENDPOINT/TUNNEL_IP``. ``bundle`` is the ticket's public key
    of the join bundle that it came with (empty for the first node), so that each member knows which bundles are used
    up; ``binding`` is that ticket key's signature of the node key, so that nobody can say so who had not the bundle.
    """

    id: NodeId
    public_key: PublicKey
    incarnation: Count
    priority: Priority
    addresses: Annotated[tuple[Address, ...], Meta(max_length=8)]
    signature: Annotated[bytes, Meta(max_length=64)] = b""
    bundle: Annotated[bytes, Meta(max_length=32)] = b""
    binding: Annotated[bytes, Meta(max_length=64)] = b""


class Forgotten(msgspec.Struct, frozen=True, array_like=True):
    """
    A node that is no member any more, since an operator has said so ``at`` that Unix time (seconds).

    ``record`` is the last one of it that was known: a later incarnation of the same key is a member again.
    """

    record: NodeRecord
    at: Count


class PeerState(msgspec.Struct, frozen=True, array_like=True):
    """What the sender believes of one node, with the evidence: its incarnation and the last beat that it heard."""

    id: NodeId
    incarnation: Count
    state: State
    beat: Count


class _Message(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Every message."""


class Heartbeat(_Message, frozen=True, tag="heartbeat"):
    """
    I am here, and this is how I see the cluster.

    ``beat`` counts the sender's heartbeats since its incarnation began. ``term`` and ``publisher`` are the highest
    claim that it knows, ``lease_left`` the seconds until that lapses. ``points_version`` is that of its own last
    ``intro_points``. ``table`` is a digest of its peer table: two that differ have records to exchange. ``states`` may
    tell of some nodes only.
    """

    beat: Count
    incarnation: Count
    priority: Priority
    state: State
    term: Count = 0
    publisher: NodeId | None = None
    lease_left: Seconds = 0.0
    points_version: Count = 0
    drained: bool = False
    target_healthy: bool | None = None
    table: Annotated[bytes, Meta(max_length=32)] = b""
    states: Annotated[tuple[PeerState, ...], Meta(max_length=MOST_NODES)] = ()
    revisions: Revisions = {}


class IntroPoints(_Message, frozen=True, tag="intro_points"):
    """
    These are my introduction points now, and no others.

    ``source`` is the sender: nobody may offer points for another node. ``version`` grows with each change, also from
    one start of the node to the next. ``sent_at`` is Unix time. ``inner`` is what ``points.encode_points`` makes of an
    inner layer; empty means that there are none. ``instance`` is the Tor that they belong to.
    """

    source: NodeId
    version: Count
    sent_at: Seconds
    inner: Annotated[bytes, Meta(max_length=256 * 1024)]
    instance: NodeId = "primary"
    revisions: Revisions = {}


class PeerAnnounce(_Message, frozen=True, tag="peer_announce"):
    """
    These nodes are members. Each record is signed by the node that it is about.

    ``forgotten`` were members, and are none any more unless they have begun a later incarnation.
    """

    records: Annotated[tuple[NodeRecord, ...], Meta(max_length=MOST_NODES)]
    forgotten: Annotated[tuple[Forgotten, ...], Meta(max_length=MOST_NODES)] = ()


class LeaseClaim(_Message, frozen=True, tag="lease_claim"):
    """I publish from now on, in this term."""

    term: Count
    priority: Priority


class LeaseRelease(_Message, frozen=True, tag="lease_release"):
    """I do not publish any longer; the term is over."""

    term: Count


class Ticket(msgspec.Struct, frozen=True, array_like=True):
    """
    The right to join once, until ``expires`` (Unix time, seconds), given by a member: ``issuer`` signed it.

    It is the part of a join bundle that the newcomer shows. ``public_key`` names it; the secret half is in the bundle
    and nowhere else, and whoever has it binds a node key to the ticket.
    """

    public_key: PublicKey
    expires: Count
    issuer: NodeId
    signature: Annotated[bytes, Meta(max_length=64)] = b""


class JoinRequest(_Message, frozen=True, tag="join_request"):
    """
    Let me in: this is who I am, and my ticket.

    ``nonce`` is new for each request. ``wants_tunnel``: it needs an address inside the tunnel before its record can be
    complete; it asks again with the complete record then.
    """

    record: NodeRecord
    ticket: Ticket
    nonce: Identifier
    wants_tunnel: bool = False


class JoinResponse(_Message, frozen=True, tag="join_response"):
    """
    You are in. ``record`` is the one who answers, ``nonce`` the request's, ``records`` all members it knows.

    ``tunnel_ip`` is an address that nobody else has, where one was asked for.
    """

    record: NodeRecord
    nonce: Identifier
    records: Annotated[tuple[NodeRecord, ...], Meta(max_length=MOST_NODES)]
    tunnel_ip: TunnelIp | None = None


Message: TypeAlias = Heartbeat | IntroPoints | PeerAnnounce | LeaseClaim | LeaseRelease | JoinRequest | JoinResponse

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


def encode(message: Message) -> bytes:
    """Return the bytes of a message; whoever makes one keeps to the bounds of its fields."""
    return bytes([VERSION]) + _encoder.encode(message)


def decode(data: bytes) -> Message:
    """
    Return the message that ``data`` is.

    :raises MalformedMessage: it is none of this version. Nothing else is raised, whatever the bytes are.
    """
    if data[:1] != bytes([VERSION]):
        raise MalformedMessage(f"a message must begin with its version, {VERSION}")
    try:
        return _decoder.decode(memoryview(data)[1:])
    except (msgspec.MsgspecError, ValueError, RecursionError, MemoryError) as error:
        raise MalformedMessage(sentence(error)) from None


def sentence(error: Exception) -> str:
    """Return what msgspec says of bad input, which names types and places, without the values that it quotes."""
    return _QUOTED.sub("", str(error)) or "a message must be complete"
