"""Tests for L{rustbalance.cluster.records}."""

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.messages import NodeRecord, PeerAnnounce, Ticket, decode, encode
from rustbalance.cluster.records import NotSigned, bind, check_record, check_ticket, is_bound, sign_record, sign_ticket
from tests.cluster.samples import KEYS, NOW, PUBLIC, record, ticket, ticket_key

replace = msgspec.structs.replace


class RecordTests(SynchronousTestCase):
    """A node says who it is; others pass it on."""

    def test_signed(self) -> None:
        """A record holds after it was sent, and has the key of its signer in it."""
        sent = record("a", 3, bundle=ticket_key())
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
            "bundle": ticket_key("u").public,
            "binding": bind(ticket_key(), PUBLIC["b"]),
        }
        self.assertEqual(set(changes), set(NodeRecord.__struct_fields__))
        for name, value in changes.items():
            for whole in (record("a"), record("a", bundle=ticket_key())):
                self.assertRaises(NotSigned, check_record, replace(whole, **{name: value}))

    def test_cut_signatures(self) -> None:
        """No signature, or a part of one, proves nothing."""
        for length in (0, 32, 63):
            whole = record("a")
            self.assertRaises(NotSigned, check_record, replace(whole, signature=whole.signature[:length]))

    def test_impossible_names(self) -> None:
        """A record made by hand is held to the rule of names as well."""
        self.assertRaises(NotSigned, check_record, sign_record(replace(record("a"), id="../a"), KEYS["a"]))


class BindingTests(SynchronousTestCase):
    """Who says that it came with a bundle has had it."""

    def signed(self, bundle: bytes, binding: bytes) -> NodeRecord:
        """Return a record of a that says this, signed by a itself."""
        return sign_record(replace(record("a"), bundle=bundle, binding=binding), KEYS["a"])

    def test_only_with_the_ticket_key(self) -> None:
        """What anybody sees of a bundle, also of its use by another node, makes no record that holds."""
        ours, others = bind(ticket_key(), PUBLIC["a"]), bind(ticket_key(), PUBLIC["b"])
        bundle = ticket_key().public
        check_record(self.signed(bundle, ours))
        for said in ((bundle, b""), (bundle, others), (bundle, ours[:63]), (b"", ours), (bundle[:31], ours)):
            self.assertRaises(NotSigned, check_record, self.signed(*said))
        self.assertRaises(NotSigned, check_record, self.signed(bundle, bind(ticket_key("u"), PUBLIC["a"])))

    def test_for_nothing_else(self) -> None:
        """The ticket key's signature of anything else, or the node's own of itself, binds nothing."""
        self.assertTrue(is_bound(ticket_key().public, bind(ticket_key(), PUBLIC["a"]), PUBLIC["a"]))
        self.assertFalse(is_bound(ticket_key().public, ticket_key().sign(PUBLIC["a"]), PUBLIC["a"]))
        self.assertFalse(is_bound(PUBLIC["a"], record("a").signature, PUBLIC["a"]))
        self.assertFalse(is_bound(bytes(32), bytes(64), PUBLIC["a"]))


class TicketTests(SynchronousTestCase):
    """A member lets somebody in."""

    def test_valid(self) -> None:
        """It holds until its last second is over."""
        given = ticket(expires=1000)
        check_ticket(given, PUBLIC["a"], 999.9)
        self.assertRaises(NotSigned, check_ticket, given, PUBLIC["a"], 1000.0)

    def test_each_field_is_signed(self) -> None:
        """Whoever holds a ticket cannot make it last longer, or be another one."""
        changes: dict[str, object] = {
            "public_key": ticket_key("u").public,
            "expires": 2**40,
            "issuer": "b",
            "signature": bytes(64),
        }
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
