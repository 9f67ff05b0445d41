"""Who is let in, and who is not."""

from ipaddress import IPv4Network, ip_address

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.frames import FrameSealer
from rustbalance.cluster.keys import Accepted, KeyRing, Purpose
from rustbalance.cluster.messages import NodeRecord
from rustbalance.cluster.records import bind, sign_record
from rustbalance.joining.endpoint import MOST_HEARD, MOST_JOINS, MOST_TOLD, WINDOW, Denied, View, pruned
from rustbalance.joining.records import Ledger
from rustbalance.mesh.tunnel_addresses import DEFAULT_NETWORK
from rustbalance.moment import Moment
from tests.cluster.samples import (
    KEYS,
    NOW,
    ONE_OF_EACH,
    RING,
    messages,
    node_key,
    record,
    sealer,
    ticket_key,
    token_keys,
)
from tests.joining.samples import VIEW, WG_KEY, Member, Newcomer, random_bytes, ticket


class EndpointCase(SynchronousTestCase):
    """What all tests of refusals use."""

    def denies(self, member: Member, newcomer: Newcomer, reason: str, now: Moment = NOW, **wanted: int) -> None:
        """See that a new request is denied for this reason, counted, and changes nothing."""
        self.denies_body(member, newcomer.body(now, **wanted), reason, now)  # type: ignore[arg-type]

    def denies_body(self, member: Member, body: bytes, reason: str, now: Moment = NOW) -> None:
        """See that a body is denied for this reason."""
        before = member.endpoint.denied[reason], member.ledger, member.view
        denied = self.assertRaises(Denied, member.take, body, now)
        self.assertEqual(denied.reason, reason)
        self.assertEqual((member.endpoint.denied[reason] - 1, member.ledger, member.view), before)


class AdmissionTests(EndpointCase):
    """Newcomers with a ticket."""

    def test_let_in(self) -> None:
        """The answer names who gave it and tells of all members; the newcomer's record is for us to take."""
        member, newcomer = Member(), Newcomer()
        request = newcomer.request()
        answer = member.take(newcomer.seal(request))
        self.assertEqual(answer.admitted, newcomer.record())
        response = newcomer.read(answer.frame, request)
        self.assertEqual((response.record, response.records), (record("a"), (record("a"), record("b"))))
        self.assertIsNone(response.tunnel_ip)

    def test_ticket_of_another_member(self) -> None:
        """Any member may have signed it."""
        self.assertIsNotNone(Member().ask(Newcomer(shown=ticket(issuer="b"))).admitted)

    def test_bad_tickets(self) -> None:
        """Of no member, not signed by it, expired, valid for ever, or another than in the record."""
        for shown in (
            ticket(issuer="c"),
            msgspec.structs.replace(ticket(), issuer="b"),
            msgspec.structs.replace(ticket(), signature=b""),
            ticket(expires=NOW.wall),
            ticket(expires=NOW.wall + 40 * 86400),
        ):
            self.denies(Member(), Newcomer(shown=shown), "ticket")
        newcomer = Newcomer()
        request = msgspec.structs.replace(newcomer.request(), ticket=ticket("other"))
        self.denies_body(Member(), newcomer.seal(request), "ticket")

    def test_the_bundle_itself(self) -> None:
        """Whoever has only seen a ticket, or how somebody else has used it, cannot use it, before or after that one."""
        member, victim = Member(), Newcomer()
        for binding in (b"", victim.binding, bind(ticket_key("u"), node_key("thief").public)):
            thief = Newcomer("thief", victim.ticket, binding=binding)
            self.denies(member, thief, "bad_signature")
        self.assertIsNotNone(member.ask(victim).admitted)

    def test_single_use(self) -> None:
        """A ticket belongs to the first key that came with it, also after a restart, and wherever that was let in."""
        member = Member()
        member.ask(Newcomer())
        self.denies(member, Newcomer("other"), "ticket_used")
        member.restart()
        self.denies(member, Newcomer("other"), "ticket_used")
        elsewhere = Member(view=View(VIEW.own, (*VIEW.members, Newcomer().record())))
        self.denies(elsewhere, Newcomer("other"), "ticket_used")

    def test_single_use_of_the_forgotten(self) -> None:
        """A node that was forgotten leaves its name to others, but not its bundle."""
        gone = Newcomer().record()
        member = Member(view=View(VIEW.own, VIEW.members, (gone,)))
        self.denies(member, Newcomer("other"), "ticket_used")
        self.assertIsNotNone(member.ask(Newcomer(key=node_key("another"), shown=ticket("u"))).admitted)

    def test_used_before_admitted(self) -> None:
        """A ticket is used up when an address inside the tunnel was given for it, although nobody is a member yet."""
        member = Member(DEFAULT_NETWORK)
        member.ask(Newcomer(), wants_tunnel=True)
        self.denies(member, Newcomer("other"), "ticket_used")
        member.restart()
        self.denies(member, Newcomer("other"), "ticket_used", wants_tunnel=True)

    def test_names_and_keys(self) -> None:
        """Nobody takes the name of a member, ours included, and no key has two names (D-43)."""
        for name in ("a", "b"):
            self.denies(Member(), Newcomer(name, key=KEYS["new"]), "name_taken")
        self.denies(Member(), Newcomer("new", key=KEYS["b"]), "name_taken")

    def test_other_token(self) -> None:
        """Without the token of the cluster nothing else matters."""
        other = KeyRing(token_keys(b"the token of another cluster"))
        self.denies(Member(), Newcomer(ring=other), "unknown_key")

    def test_nobody_speaks_for_another(self) -> None:
        """A request with somebody else's record is refused."""
        newcomer = Newcomer()
        request = msgspec.structs.replace(newcomer.request(), record=record("b"))
        self.denies_body(Member(), newcomer.seal(request), "bad_signature")

    def test_previous_token(self) -> None:
        """Who was invited before the token changed is answered with the token that it knows."""
        member, newcomer = Member(), Newcomer()
        fresh = token_keys(b"the token that came after the other")
        member.endpoint.ring = KeyRing(fresh, (Accepted(RING.current, NOW.wall + 60),))
        request = newcomer.request()
        self.assertEqual(newcomer.read(member.take(newcomer.seal(request)).frame, request).record, record("a"))
        self.denies(member, Newcomer("late", ticket("u")), "unknown_key", NOW.later(61))

    def test_itself(self) -> None:
        """A node that reaches itself learns that from the name in the answer; nobody is let in by that."""
        newcomer = Newcomer("a", key=KEYS["a"])
        request = newcomer.request()
        member = Member()
        answer = member.take(newcomer.seal(request))
        self.assertIsNone(answer.admitted)
        self.assertEqual(newcomer.read(answer.frame, request).record.public_key, KEYS["a"].public)
        self.assertEqual((answer.ledger.used, answer.ledger.changes), ((), ()))

    def test_large_clusters(self) -> None:
        """An answer fits into a frame however large the cluster and its records are."""
        long = tuple(f"direct:{'x' * 240}" for _ in range(8))
        members = tuple(NodeRecord(f"n{number}", bytes(32), 1, 1, long) for number in range(400))
        newcomer = Newcomer()
        request = newcomer.request()
        view = View(record("a"), tuple(sign_record(member, node_key(member.id)) for member in members))
        found = Member(view=view).take(newcomer.seal(request))
        self.assertEqual(len(newcomer.read(found.frame, request).records), MOST_TOLD)


class AgainTests(EndpointCase):
    """Asking again."""

    def test_free(self) -> None:
        """The same key gets the same answer as often as it asks: an answer may have been lost. It counts nowhere."""
        member, newcomer = Member(), Newcomer()
        member.ask(newcomer)
        changes = member.ledger.changes
        for _ in range(3 * MOST_JOINS):
            request = newcomer.request()
            answer = member.take(newcomer.seal(request))
            self.assertIsNone(answer.admitted)
            self.assertEqual(newcomer.read(answer.frame, request).record, record("a"))
        self.assertEqual(member.ledger.changes, changes)

    def test_after_its_ticket_expired(self) -> None:
        """A member is one, whatever became of its ticket; so is a key whose record got lost between disk and mesh."""
        member, newcomer = Member(), Newcomer()
        member.ask(newcomer)
        later = NOW.later(7000)
        self.assertIsNone(member.ask(newcomer, later).admitted)
        member.view = VIEW
        self.assertEqual(member.ask(newcomer, later).admitted, newcomer.record())

    def test_news(self) -> None:
        """A newer record of the same key takes the place of the older one; an older one changes nothing."""
        member, newcomer = Member(), Newcomer()
        member.ask(newcomer)
        newcomer.addresses = ("tor:elsewhere.onion",)
        self.assertEqual(member.ask(newcomer, incarnation=2).admitted, newcomer.record(2))
        self.assertIsNone(member.ask(newcomer, incarnation=1).admitted)

    def test_replay(self) -> None:
        """The same bytes are answered once, also after a restart, for as long as their time would let them in."""
        member, body = Member(), Newcomer().body()
        member.take(body)
        self.denies_body(member, body, "replay")
        member.restart()
        for seconds in (0.0, 299.0):
            self.denies_body(member, body, "replay", NOW.later(seconds))
            member.restart()
        self.denies_body(member, body, "stale_clock", NOW.later(301))

    def test_clock_set_back(self) -> None:
        """A step of our clock does not make an old request new."""
        member, body = Member(), Newcomer().body()
        member.take(body)
        ahead = Moment(NOW.mono + 1, NOW.wall + 500)
        member.take(Newcomer("b", key=KEYS["b"]).body(ahead), ahead)
        self.denies_body(member, body, "replay", Moment(NOW.mono + 359, NOW.wall))

    def test_one_key_keeps_nobody_out(self) -> None:
        """A key that asks all the time is stopped, over a restart too; others are not; in time there is room again."""
        member, eager = Member(), Newcomer("b", key=KEYS["b"])
        for _ in range(MOST_HEARD):
            member.ask(eager)
        self.denies(member, eager, "too_many")
        member.restart()
        self.denies(member, eager, "too_many")
        self.assertIsNotNone(member.ask(Newcomer()).admitted)
        self.assertIsNotNone(member.ask(eager, NOW.later(361)))

    def test_the_token_alone_fills_nothing(self) -> None:
        """Whoever has the token, but no ticket, is refused as often as it likes, and nothing is remembered of it."""
        member = Member()
        for number in range(1100):
            newcomer = Newcomer(f"x{number % 3}", ticket(issuer="c"))
            self.assertRaises(Denied, member.ask, newcomer)
        self.assertEqual((member.ledger, len(member.endpoint._seen)), (Ledger(), 0))
        self.assertIsNotNone(member.ask(Newcomer()).admitted)


class LimitTests(EndpointCase):
    """Five in 300 seconds."""

    def join(self, member: Member, number: int, now: Moment = NOW) -> None:
        """Let one more newcomer in."""
        self.assertIsNotNone(member.ask(Newcomer(f"n{number}", ticket(f"{number}")), now).admitted)

    def test_all_together(self) -> None:
        """The sixth new key has to wait, over a restart too, until the first is 300 seconds ago."""
        member = Member()
        for number in range(MOST_JOINS):
            self.join(member, number, NOW.later(number))
        sixth = Newcomer("n6", ticket("6"))
        self.denies(member, sixth, "too_many", NOW.later(10))
        member.restart()
        self.denies(member, sixth, "too_many", NOW.later(WINDOW - 1))
        self.assertIsNotNone(member.ask(sixth, NOW.later(WINDOW)).admitted)
        self.denies(member, Newcomer("n7", ticket("7")), "too_many", NOW.later(WINDOW))

    def test_each_key(self) -> None:
        """A member that changes its record all the time is stopped, and keeps nobody else out (D-108)."""
        member, newcomer = Member(), Newcomer()
        member.ask(newcomer)
        for incarnation in range(2, MOST_JOINS + 1):
            member.ask(newcomer, incarnation=incarnation)
        self.denies(member, newcomer, "too_many", incarnation=MOST_JOINS + 1)
        for number in range(MOST_JOINS - 1):
            self.join(member, number)

    def test_members_are_known(self) -> None:
        """Who is in the peer table counts as known, whatever the limit says."""
        member = Member()
        for number in range(MOST_JOINS):
            self.join(member, number)
        old = Newcomer("b", key=KEYS["b"])
        self.assertIsNotNone(member.ask(old, incarnation=9).admitted)

    def test_refusals_do_not_count(self) -> None:
        """Whoever has no ticket cannot use the limit up."""
        member = Member()
        for number in range(3 * MOST_JOINS):
            self.denies(member, Newcomer(f"x{number}", ticket(issuer="c")), "ticket")
        self.join(member, 1)


class TunnelTests(EndpointCase):
    """Addresses inside the tunnel (D-81)."""

    def tunnel(self, member: Member, newcomer: Newcomer, now: Moment = NOW) -> str:
        """Return the address that a newcomer is given."""
        request = newcomer.request(wants_tunnel=True)
        answer = member.take(newcomer.seal(request, now), now)
        self.assertIsNone(answer.admitted)
        given_ = newcomer.read(answer.frame, request, now).tunnel_ip
        assert given_ is not None
        return given_

    def complete(self, newcomer: Newcomer, address: str, key: str = WG_KEY) -> Newcomer:
        """Give a newcomer a record with that address."""
        newcomer.addresses = (f"wireguard:{key}@/{address}",)
        return newcomer

    def test_two_steps(self) -> None:
        """First an address, the same one however often it is asked for; then the record with it."""
        member, newcomer = Member(DEFAULT_NETWORK), Newcomer()
        address = self.tunnel(member, newcomer)
        self.assertIn(ip_address(address), DEFAULT_NETWORK)
        member.restart()
        for _ in range(3 * MOST_JOINS):
            self.assertEqual(self.tunnel(member, newcomer), address)
        self.assertEqual(member.view, VIEW)
        self.complete(newcomer, address)
        self.assertEqual(member.ask(newcomer).admitted, newcomer.record())

    def test_no_collision(self) -> None:
        """A network that is just large enough gives each its own, promised or taken; one more gets none."""
        network = IPv4Network("10.0.0.0/29")
        member = Member(network)
        found = [self.tunnel(member, Newcomer(f"n{number}", ticket(f"{number}"))) for number in range(3)]
        for number in range(3):
            member.ask(self.complete(Newcomer(f"n{number}", ticket(f"{number}")), found[number]))
        later = NOW.later(WINDOW)
        found += [self.tunnel(member, Newcomer(f"n{number}", ticket(f"{number}")), later) for number in range(3, 6)]
        self.assertEqual(len(set(found)), 6)
        self.denies(member, Newcomer("n7", ticket("7")), "no_address_left", NOW.later(WINDOW), wants_tunnel=True)

    def test_address_of_another(self) -> None:
        """A newcomer does not get what is promised, outside the network or no address by just saying so (D-35)."""
        member = Member(DEFAULT_NETWORK)
        promised = self.tunnel(member, Newcomer())
        other = ticket("o")
        for address in (promised, "10.200.201.1", "10.200.200.0", "10.200.200.255", "0.0.0.0/0", "x"):
            self.denies(member, self.complete(Newcomer("other", other), address), "address")
        self.denies(member, self.complete(Newcomer("other", other), "10.200.200.9", "short="), "address")
        self.assertIsNotNone(member.ask(self.complete(Newcomer("other", other), "10.200.200.9")).admitted)

    def test_promises_lapse(self) -> None:
        """An address that nobody came back for is free again after an hour."""
        member = Member(IPv4Network("10.0.0.0/30"))
        self.tunnel(member, Newcomer("n1", ticket("1")))
        self.tunnel(member, Newcomer("n2", ticket("2")))
        third = Newcomer("n3", ticket("3", expires=NOW.wall + 9999))
        self.denies(member, third, "no_address_left", wants_tunnel=True)
        self.tunnel(member, third, NOW.later(3601))

    def test_no_tunnel_here(self) -> None:
        """Where there is no tunnel none is given; whoever wants one is not let in without it."""
        newcomer = Newcomer()
        request = newcomer.request(wants_tunnel=True)
        answer = Member().take(newcomer.seal(request))
        self.assertEqual((newcomer.read(answer.frame, request).tunnel_ip, answer.admitted), (None, None))


class AnyBytesTests(EndpointCase):
    """Whatever comes: an answer, or one Denied."""

    def decides(self, body: bytes) -> None:
        """See that nothing else is raised, and that what is answered can be read by a holder of the token."""
        member = Member(DEFAULT_NETWORK)
        try:
            answer = member.take(body)
        except Denied as denied:
            self.assertRegex(denied.reason, r"^[a-z_]+$")
            self.assertEqual(member.ledger, Ledger())
        else:
            self.assertTrue(answer.frame)

    @settings(deadline=None, max_examples=200)
    @given(st.binary(max_size=9000))
    def test_bytes(self, body: bytes) -> None:
        """Any bytes."""
        self.decides(body)

    @settings(deadline=None, max_examples=200)
    @given(messages, st.sampled_from([Purpose.MESH, Purpose.JOIN]))
    def test_messages(self, message: object, purpose: Purpose) -> None:
        """Any message of a holder of the token, signed or not."""
        self.decides(sealer("new").seal(message, NOW, purpose))  # type: ignore[arg-type]

    @settings(deadline=None, max_examples=200)
    @given(st.data())
    def test_changed(self, data: st.DataObject) -> None:
        """A request with one byte changed, cut off or added is never answered."""
        body = Newcomer().body()
        place = data.draw(st.integers(0, len(body) - 1))
        change = data.draw(st.integers(1, 255))
        for changed in (body[:place] + bytes([body[place] ^ change]) + body[place + 1 :], body[:place], body + b"x"):
            self.assertRaises(Denied, Member().take, changed)

    @settings(deadline=None, max_examples=100)
    @given(
        st.text("abn-", min_size=1, max_size=3),
        st.lists(st.from_regex(r"(wireguard|tor):[!-~]{1,60}", fullmatch=True), max_size=8),
        st.booleans(),
    )
    def test_signed_nonsense(self, name: str, addresses: list[str], wants_tunnel: bool) -> None:
        """A properly signed newcomer with any name and any addresses."""
        newcomer = Newcomer(name)
        newcomer.addresses = tuple(addresses)
        self.decides(newcomer.body(wants_tunnel=wants_tunnel))

    def test_every_message(self) -> None:
        """Nothing but a request is answered."""
        for message in ONE_OF_EACH:
            frame = FrameSealer(RING, KEYS["c"], "c", b"b" * 16, random_bytes).seal(message, NOW, Purpose.JOIN)
            self.assertRaises(Denied, Member().take, frame)


class PruneTests(SynchronousTestCase):
    """What is forgotten when."""

    def test_all(self) -> None:
        """In time everything; a clock that was set back does not keep anybody out for longer than it was ahead."""
        member = Member(DEFAULT_NETWORK)
        member.ask(Newcomer(), wants_tunnel=True)
        self.assertEqual(pruned(member.ledger, NOW.wall + 1), member.ledger)
        self.assertEqual(pruned(member.ledger, NOW.wall + 1e6), Ledger())
        self.assertEqual(pruned(member.ledger, NOW.wall - 1e6).changes, ())
