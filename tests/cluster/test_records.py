"""Tests for L{rustbalance.cluster.records}."""

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.messages import NodeRecord, PeerAnnounce, Ticket, decode, encode
from rustbalance.cluster.records import NotSigned, check_record, check_ticket, sign_record, sign_ticket
from tests.cluster.samples import KEYS, NOW, PUBLIC, record, ticket

replace = msgspec.structs.replace


class RecordTests(SynchronousTestCase):
    """A node says who it is; others pass it on."""

    def test_signed(self) -> None:
        """A record holds after it was sent, and has the key of its signer in it."""
        sent = record("a", 3, bundle=b"i" * 16)
        [received] = decode(encode(PeerAnnounce(records=(sent,)))).records  # type: ignore[union-attr]
        check_record(received)
        self.assertEqual(received.public_key, PUBLIC["a"])

    def test_each_field_is_signed(self) -> None:
        """Whoever passes a record on cannot change anything in it."""
        changes: dict[str, object] = {
            "id": "b",
            "public_key": PUBLIC["b"],
            "incarnation": 2,
            "priority": 1,
            "addresses": ("direct:10.0.0.1:1",),
            "signature": bytes(64),
            "bundle": b"j" * 16,
        }
        self.assertEqual(set(changes), set(NodeRecord.__struct_fields__))
        for name, value in changes.items():
            self.assertRaises(NotSigned, check_record, replace(record("a"), **{name: value}))

    def test_cut_signatures(self) -> None:
        """No signature, or a part of one, proves nothing."""
        for length in (0, 32, 63):
            whole = record("a")
            self.assertRaises(NotSigned, check_record, replace(whole, signature=whole.signature[:length]))

    def test_impossible_names(self) -> None:
        """A record made by hand is held to the rule of names as well."""
        self.assertRaises(NotSigned, check_record, sign_record(replace(record("a"), id="../a"), KEYS["a"]))


class TicketTests(SynchronousTestCase):
    """A member lets somebody in."""

    def test_valid(self) -> None:
        """It holds until its last second is over."""
        given = ticket(expires=1000)
        check_ticket(given, PUBLIC["a"], 999.9)
        self.assertRaises(NotSigned, check_ticket, given, PUBLIC["a"], 1000.0)

    def test_each_field_is_signed(self) -> None:
        """Whoever holds a ticket cannot make it last longer, or be another one."""
        changes: dict[str, object] = {"id": b"u" * 16, "expires": 2**40, "issuer": "b", "signature": bytes(64)}
        self.assertEqual(set(changes), set(Ticket.__struct_fields__))
        for name, value in changes.items():
            changed = replace(ticket(), **{name: value})
            self.assertRaises(NotSigned, check_ticket, changed, PUBLIC["a"], NOW.wall)

    def test_the_issuer_has_signed(self) -> None:
        """The holder of the token alone cannot make one: it takes a member's own key."""
        forged = sign_ticket(ticket(), KEYS["new"])
        self.assertRaises(NotSigned, check_ticket, forged, PUBLIC["a"], NOW.wall)

    def test_a_record_is_no_ticket(self) -> None:
        """A signature for one purpose is worth nothing for another."""
        stolen = replace(ticket(), signature=record("a").signature)
        self.assertRaises(NotSigned, check_ticket, stolen, PUBLIC["a"], NOW.wall)
