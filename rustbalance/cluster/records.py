"""
Statements that outlive the frame they came in: who a node is, and that somebody may join.

Owns: what their signatures cover. In: records and tickets, node and ticket keys; out: signed ones, and what is wrong
with one.

A signature covers the fields that it names here and no later ones: a member of an older version passes a record on
without the fields that it does not know, and the signature still holds.
"""

from typing import Final

import msgspec

from rustbalance.cluster.keys import NodeKey, TicketKey
from rustbalance.cluster.messages import NODE_ID, NodeRecord, Ticket
from rustbalance.onion.keys import verify

_RECORD: Final = b"rustbalance node record v1\0"
_TICKET: Final = b"rustbalance ticket v1\0"
_BINDING: Final = b"rustbalance ticket use v1\0"
_encode = msgspec.msgpack.Encoder().encode


class NotSigned(ValueError):
    """A record or a ticket is not signed by whom it should be, or says what cannot be; it shows no contents."""


def sign_record(record: NodeRecord, node_key: NodeKey) -> NodeRecord:
    """Return the record of the node whose key this is, with that key and its signature in it."""
    own = msgspec.structs.replace(record, public_key=node_key.public)
    return msgspec.structs.replace(own, signature=node_key.sign(_covered_record(own)))


def check_record(record: NodeRecord) -> None:
    """
    See that the node itself has signed its record, and had the bundle that it says it came with.

    :raises NotSigned: it has not.
    """
    if not NODE_ID.fullmatch(record.id) or not verify(record.public_key, record.signature, _covered_record(record)):
        raise NotSigned("a record must be signed with the node key that is in it")
    if (record.bundle or record.binding) and not is_bound(record.bundle, record.binding, record.public_key):
        raise NotSigned("a node key must be signed with the ticket key of the bundle that it came with")


def bind(ticket_key: TicketKey, node_public_key: bytes) -> bytes:
    """Return what shows that the node with that key came with the bundle of this ticket."""
    return ticket_key.sign(_BINDING + node_public_key)


def is_bound(ticket_public_key: bytes, binding: bytes, node_public_key: bytes) -> bool:
    """Tell whether ``bind`` has made it for that node key, with the key of that ticket."""
    return verify(ticket_public_key, binding, _BINDING + node_public_key)


def sign_ticket(ticket: Ticket, issuer_key: NodeKey) -> Ticket:
    """Return the ticket with the signature of its issuer."""
    return msgspec.structs.replace(ticket, signature=issuer_key.sign(_covered_ticket(ticket)))


def check_ticket(ticket: Ticket, issuer_public_key: bytes, wall: float) -> None:
    """
    See that a member, its issuer, has signed a ticket, and that it is valid at the Unix time ``wall``.

    Whether it was used before is seen from the records of the members.

    :raises NotSigned: it has not, or the ticket has expired.
    """
    if not verify(issuer_public_key, ticket.signature, _covered_ticket(ticket)):
        raise NotSigned("a ticket must be signed by its issuer")
    if wall >= ticket.expires:
        raise NotSigned("the ticket has expired")


def _covered_record(record: NodeRecord) -> bytes:
    who = (record.id, record.public_key, record.incarnation, record.priority, record.addresses)
    return _RECORD + _encode((*who, record.bundle, record.binding))


def _covered_ticket(ticket: Ticket) -> bytes:
    return _TICKET + _encode((ticket.public_key, ticket.expires, ticket.issuer))
