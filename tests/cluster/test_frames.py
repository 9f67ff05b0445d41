"""Tests for L{rustbalance.cluster.frames}."""

from collections.abc import Callable
from time import process_time

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.envelope import MAX_FRAME
from rustbalance.cluster.frames import (
    MAX_MESSAGE,
    MOST_STRANGERS,
    FrameOpener,
    MessageTooLarge,
    Opened,
    Reason,
    Refused,
    nobody,
    seal,
)
from rustbalance.cluster.gossip import MOST_FORGOTTEN
from rustbalance.cluster.keys import Accepted, KeyRing, NodeKey, Purpose
from rustbalance.cluster.messages import (
    Forgotten,
    Heartbeat,
    IntroPoints,
    JoinRequest,
    LeaseClaim,
    LeaseRelease,
    Message,
    NodeRecord,
    PeerAnnounce,
    PeerState,
    State,
    encode,
)
from rustbalance.cluster.records import sign_record
from rustbalance.secrets import Secret
from tests.cluster.samples import (
    KEYS,
    NOW,
    ONE_OF_EACH,
    PUBLIC,
    RING,
    TOKEN,
    heartbeat,
    messages,
    opener,
    random_bytes,
    record,
    sealer,
    ticket,
    token_keys,
)

MESH = tuple(message for message in ONE_OF_EACH if not type(message).__name__.startswith("Join"))
NEXT = KeyRing(token_keys(b"the token of tomorrow"), (Accepted(token_keys(TOKEN), until=NOW.wall + 60),))


def raw(message: bytes, name: str = "a", boot: bytes = b"b" * 16, sequence: int = 1, wall: float = NOW.wall) -> bytes:
    """Return a frame around any bytes."""
    return seal(
        message,
        ring=RING,
        node_key=KEYS[name],
        sender=name,
        boot=boot,
        sequence=sequence,
        wall=wall,
        random_bytes=random_bytes,
    )


class OpenTests(SynchronousTestCase):
    """What is genuine is opened."""

    def test_each_message(self) -> None:
        """Every message of the mesh arrives, with who said it and when."""
        ours, theirs = opener(), sealer("a")
        for number, message in enumerate(MESH, 1):
            found = ours.open(theirs.seal(message, NOW), NOW)
            self.assertEqual(found, Opened("a", PUBLIC["a"], b"b" * 16, number, NOW.wall, message))
        self.assertEqual(ours.rejected.total(), 0)

    def test_large(self) -> None:
        """A message may fill a frame to its last byte, and not be larger."""
        self.assertRaises(MessageTooLarge, raw, bytes(MAX_MESSAGE + 1))
        self.assertLessEqual(len(raw(bytes(MAX_MESSAGE))), MAX_FRAME)
        announce = PeerAnnounce(records=(record("a"),) * 1000)
        self.assertEqual(opener().open(sealer().seal(announce, NOW), NOW).message, announce)

    def test_a_hundred_nodes(self) -> None:
        """
        All that a member of a hundred can have to say fits into a frame and comes out whole: everybody's record and
        those of all that were forgotten, with the longest names and addresses, and what it believes of each.
        """
        where = tuple(f"{'w' * 20}:{number}{'x' * 249}" for number in range(8))
        longest = [
            NodeRecord(f"{number:064}", b"k" * 32, 2**63 - 1, 2**31 - 1, where, b"s" * 64, b"b" * 32, b"b" * 64)
            for number in range(100 + MOST_FORGOTTEN)
        ]
        forgotten = tuple(Forgotten(each, 2**63 - 1) for each in longest[100:])
        states = tuple(PeerState(each.id, 2**63 - 1, State.INITIALIZING, 2**63 - 1) for each in longest[:99])
        for message in (
            PeerAnnounce(records=tuple(longest[:100]), forgotten=forgotten),
            msgspec.structs.replace(heartbeat(), states=states),
        ):
            frame = sealer().seal(message, NOW)
            self.assertEqual(opener().open(frame, NOW).message, message)

    def test_nothing_shows(self) -> None:
        """Neither the sender's name nor anything of the message can be read from a frame, nor is any frame twice."""
        message = IntroPoints(source="a", version=1, sent_at=0.0, inner=b"introduction points")
        first, second = raw(encode(message)), raw(encode(message))
        self.assertNotIn(b"introduction points", first)
        self.assertNotIn(TOKEN, first)
        self.assertNotEqual(first[34:], second[34:])


class RefusedCase(SynchronousTestCase):
    """What all tests of refusals use."""

    def refuse(self, ours: FrameOpener, data: bytes, reason: Reason, seconds: float = 0.0) -> Refused:
        """See that a frame is refused for this reason and counted under it, and that another one is opened after it."""
        before = ours.rejected[reason]
        error: Refused = self.assertRaises(Refused, ours.open, data, NOW.later(seconds))
        self.assertEqual(error.reason, reason)
        self.assertEqual(ours.rejected[reason], before + 1)
        return error


class RefusalTests(RefusedCase):
    """Each reason to refuse has its name and its count."""

    def test_reasons(self) -> None:
        """The labels of the metric are those of the documents."""
        expected = {"unknown_key", "bad_mac", "replay", "stale_clock", "unknown_sender", "malformed", "oversized"}
        self.assertEqual({*Reason}, {*expected, "bad_signature"})

    def test_oversized(self) -> None:
        """A frame that is too long is not even looked at."""
        self.refuse(opener(), bytes(MAX_FRAME + 1), Reason.OVERSIZED)

    def test_malformed(self) -> None:
        """Neither noise is a frame, nor a frame with noise in it; the second has a sender to blame."""
        self.assertIsNone(self.refuse(opener(), b"noise", Reason.MALFORMED).sender)
        self.assertEqual(self.refuse(opener(), raw(b"noise"), Reason.MALFORMED).sender, "a")

    def test_unknown_key(self) -> None:
        """Another cluster's frames are told apart from changed ones."""
        other = KeyRing(token_keys(b"the token of another cluster"))
        self.refuse(opener(), sealer(ring=other).seal(heartbeat(), NOW), Reason.UNKNOWN_KEY)

    def test_bad_mac(self) -> None:
        """A frame in which a bit was turned, or whose key id was exchanged, is refused."""
        data = sealer().seal(heartbeat(), NOW)
        self.refuse(opener(), data[:-1] + bytes([data[-1] ^ 1]), Reason.BAD_MAC)
        other = sealer(ring=KeyRing(token_keys(b"the token of another cluster"))).seal(heartbeat(), NOW)
        self.refuse(opener(), data[:10] + other[10:], Reason.BAD_MAC)

    def test_unknown_sender(self) -> None:
        """A node that is no member is not heard, though it has the token."""
        self.refuse(opener(), sealer("new").seal(heartbeat(), NOW), Reason.UNKNOWN_SENDER)

    def test_stale_clock(self) -> None:
        """A frame is taken up to the tolerance, before and behind, and not beyond it."""
        for seconds in (-5.0, 5.0):
            opener().open(sealer().seal(heartbeat(), NOW.later(seconds)), NOW)
        for seconds in (-5.1, 5.1, -1e6, 1e9):
            error = self.refuse(opener(), sealer().seal(heartbeat(), NOW.later(seconds)), Reason.STALE_CLOCK)
            self.assertEqual((error.sender, round(error.ahead or 0, 3)), ("a", seconds))

    def test_late(self) -> None:
        """
        Points and records may be half a minute old when they go on where we heard the sender last, once; what is only
        true for a moment may not, nor may they be what we hear of it first.
        """
        points = IntroPoints(source="a", version=1, sent_at=0.0, inner=b"x")
        for message in (points, PeerAnnounce(records=(record("a"),))):
            ours, theirs = opener(), sealer()
            self.refuse(ours, theirs.seal(message, NOW.later(-5.1)), Reason.STALE_CLOCK)
            ours.open(theirs.seal(heartbeat(), NOW.later(-31)), NOW.later(-31))
            self.refuse(ours, theirs.seal(heartbeat(), NOW.later(-5.1)), Reason.STALE_CLOCK)
            self.refuse(ours, theirs.seal(message, NOW.later(-30.1)), Reason.STALE_CLOCK)
            self.refuse(ours, sealer(boot=b"c" * 16).seal(message, NOW.later(-6)), Reason.STALE_CLOCK)
            late = theirs.seal(message, NOW.later(-29.9))
            self.assertEqual(ours.open(late, NOW).message, message)
            self.refuse(ours, late, Reason.STALE_CLOCK)
            self.refuse(ours, theirs.seal(message, NOW.later(5.1)), Reason.STALE_CLOCK)
            ours.open(theirs.seal(heartbeat(), NOW), NOW)

    def test_late_noise(self) -> None:
        """Noise that is old is refused as old."""
        ours = opener()
        ours.open(raw(encode(heartbeat()), sequence=1), NOW)
        self.refuse(ours, raw(b"noise", sequence=2, wall=NOW.wall - 6), Reason.STALE_CLOCK)

    def test_tolerance(self) -> None:
        """The tolerance is the operator's."""
        patient = FrameOpener(RING, PUBLIC.get, skew=60.0)
        patient.open(sealer().seal(heartbeat(), NOW.later(-59)), NOW)
        self.refuse(patient, sealer(boot=b"c" * 16).seal(heartbeat(), NOW.later(-61)), Reason.STALE_CLOCK)

    def test_purposes(self) -> None:
        """A frame of joining is none of the mesh, and joining is no message of the mesh."""
        request = JoinRequest(record=record(), ticket=ticket(), nonce=bytes(16))
        self.refuse(opener(), sealer().seal(request, NOW, Purpose.JOIN), Reason.MALFORMED)
        self.refuse(opener(), sealer().seal(request, NOW), Reason.MALFORMED)

    def test_what_is_refused_leaves_no_trace(self) -> None:
        """Nobody can use up another's sequence numbers, or end its boot, with frames that are not genuine."""
        ours, theirs = opener(), sealer("a")
        ours.open(theirs.seal(heartbeat(1), NOW), NOW)
        liar = sealer("a", boot=b"x" * 16, key=KEYS["b"])
        liar.sequence = 2**60
        self.refuse(ours, liar.seal(heartbeat(), NOW), Reason.BAD_SIGNATURE)
        self.refuse(ours, sealer("a", boot=b"y" * 16).seal(heartbeat(), NOW.later(99)), Reason.STALE_CLOCK)
        self.assertEqual(ours.open(theirs.seal(heartbeat(2), NOW), NOW).message, heartbeat(2))


class ReplayTests(RefusedCase):
    """The same frame counts once."""

    def test_twice(self) -> None:
        """A frame that comes again is refused, and so is one that was overtaken."""
        ours, theirs = opener(), sealer()
        first, second = theirs.seal(heartbeat(1), NOW), theirs.seal(heartbeat(2), NOW)
        ours.open(second, NOW)
        for data in (second, first):
            self.assertEqual(self.refuse(ours, data, Reason.REPLAY).sender, "a")

    def test_across_a_restart_of_the_sender(self) -> None:
        """After a node has started again, what it said before counts no more."""
        ours = opener()
        before = sealer(boot=b"1" * 16)
        old = [before.seal(heartbeat(beat), NOW) for beat in range(3)]
        ours.open(old[0], NOW)
        ours.open(sealer(boot=b"2" * 16).seal(heartbeat(), NOW), NOW)
        for data in old:
            self.refuse(ours, data, Reason.REPLAY)

    def test_across_a_restart_of_ours(self) -> None:
        """One that starts anew takes nothing that is older than the tolerance, though it remembers nothing."""
        data = sealer().seal(heartbeat(), NOW)
        opener().open(data, NOW)
        self.refuse(opener(), data, Reason.STALE_CLOCK, seconds=5.1)

    def test_malformed_messages_count(self) -> None:
        """A message that cannot be read uses up its number as any other."""
        ours = opener()
        self.refuse(ours, raw(b"noise", sequence=7), Reason.MALFORMED)
        self.refuse(ours, raw(encode(heartbeat()), sequence=7), Reason.REPLAY)

    def test_forget(self) -> None:
        """A node that left and came back is heard again from its first number."""
        ours, theirs = opener(), sealer()
        data = theirs.seal(heartbeat(), NOW)
        ours.open(data, NOW)
        ours.forget(PUBLIC["a"])
        ours.open(data, NOW)

    @settings(deadline=None)
    @given(st.lists(st.integers(0, 9), max_size=30))
    def test_any_order(self, order: list[int]) -> None:
        """Whatever the network does to order and number, what arrives is a rising part of what was said."""
        ours, theirs = opener(), sealer()
        said = [theirs.seal(heartbeat(beat), NOW) for beat in range(10)]
        heard = []
        for number in order:
            try:
                heard.append(ours.open(said[number], NOW).sequence)
            except Refused as refusal:
                self.assertEqual(refusal.reason, Reason.REPLAY)
        self.assertEqual(heard, sorted(set(heard)))
        self.assertEqual(bool(heard), bool(order))


class MemberTests(RefusedCase):
    """A member that misbehaves speaks for nobody but itself."""

    def test_in_the_name_of_another(self) -> None:
        """A frame in another's name, signed with one's own key, is refused: having the token is not enough."""
        for message in MESH:
            self.refuse(opener(), sealer("a", key=KEYS["b"]).seal(message, NOW), Reason.BAD_SIGNATURE)

    def test_points_of_another(self) -> None:
        """Nobody offers introduction points in the name of another node: they would catch its visitors."""
        points = IntroPoints(source="b", version=9, sent_at=0.0, inner=b"")
        error = self.refuse(opener(), sealer("a").seal(points, NOW), Reason.BAD_SIGNATURE)
        self.assertEqual(error.sender, "a")

    def test_terms_of_a_time_to_come(self) -> None:
        """Who claims the largest term there is is refused by its name; who only tells of it is heard."""
        for message in (LeaseClaim(term=2**63 - 1, priority=0), LeaseRelease(term=2**63 - 1)):
            self.assertEqual(self.refuse(opener(), sealer("a").seal(message, NOW), Reason.MALFORMED).sender, "a")
        renewed = msgspec.structs.replace(heartbeat(), term=2**63 - 1, publisher="a", lease_left=8.0)
        self.refuse(opener(), sealer("a").seal(renewed, NOW), Reason.MALFORMED)
        told = msgspec.structs.replace(renewed, publisher="b")
        self.assertEqual(opener().open(sealer("a").seal(told, NOW), NOW).message, told)

    def test_members_that_leave(self) -> None:
        """Who is no member any more is not heard from that moment."""
        members = dict(PUBLIC)
        ours, theirs = FrameOpener(RING, members.get), sealer("b")
        ours.open(theirs.seal(heartbeat(), NOW), NOW)
        del members["b"]
        self.refuse(ours, theirs.seal(heartbeat(), NOW), Reason.UNKNOWN_SENDER)


class StrangerTests(RefusedCase):
    """A node that nobody knows yet may say who it is, where that is wanted."""

    def welcoming(self) -> tuple[FrameOpener, list[NodeRecord]]:
        """Return what lets every stranger in, and the list of those."""
        met: list[NodeRecord] = []

        def welcome(record: NodeRecord) -> bool:
            met.append(record)
            return True

        return FrameOpener(RING, PUBLIC.get, welcome=welcome), met

    def test_by_default_not(self) -> None:
        """Without being asked nobody lets a stranger in."""
        self.assertFalse(nobody(record()))
        announce = PeerAnnounce(records=(record(),))
        self.refuse(opener(), sealer("new").seal(announce, NOW), Reason.UNKNOWN_SENDER)

    def test_welcome(self) -> None:
        """Its own announcement is heard, once, and under the key that it announces."""
        ours, met = self.welcoming()
        data = sealer("new").seal(PeerAnnounce(records=(record("a"), record())), NOW)
        found = ours.open(data, NOW)
        self.assertEqual((found.sender, found.public_key, met), ("new", KEYS["new"].public, [record()]))
        self.refuse(ours, data, Reason.REPLAY)

    def test_brings_nobody_along(self) -> None:
        """Of its announcement its own record counts: who is a member, or none any more, is for members to say."""
        ours, _ = self.welcoming()
        others = (record("a"), record())
        announce = PeerAnnounce(records=others, forgotten=(Forgotten(record("a"), 1),))
        self.assertEqual(ours.open(sealer("new").seal(announce, NOW), NOW).message, PeerAnnounce(records=(record(),)))

    def test_many_strangers(self) -> None:
        """Keys are cheap: of those who come with ever new ones few are remembered, and of members all."""
        members = dict(PUBLIC)
        ours = FrameOpener(RING, members.get, welcome=lambda record: True)
        heard = sealer("a").seal(heartbeat(), NOW)
        ours.open(heard, NOW)
        for number in range(2 * MOST_STRANGERS):
            with Secret.copy_of(b"%032d" % number) as seed:
                key = NodeKey(seed)
            own = sign_record(NodeRecord(f"new-{number}", bytes(32), 1, 100, ()), key)
            ours.open(sealer(own.id, key=key).seal(PeerAnnounce(records=(own,)), NOW), NOW)
            if number == 0:
                members[own.id] = own.public_key
        self.assertEqual(len(ours._guard._heard), 2 + MOST_STRANGERS)
        self.refuse(ours, heard, Reason.REPLAY)

    def test_other_messages(self) -> None:
        """Nothing else is heard of it, nor an announcement of others only, nor noise."""
        ours, met = self.welcoming()
        theirs = sealer("new")
        for message in (*MESH, PeerAnnounce(records=())):
            self.refuse(ours, theirs.seal(message, NOW), Reason.UNKNOWN_SENDER)
        self.assertEqual(met, [])

    def test_forged_introductions(self) -> None:
        """A record that its node has not signed, and a frame by somebody else with a good record, are refused."""
        ours, met = self.welcoming()
        forged = NodeRecord("new", KEYS["b"].public, 1, 1, (), record().signature)
        liar = sealer("new", key=KEYS["b"])
        self.refuse(ours, liar.seal(PeerAnnounce(records=(forged,)), NOW), Reason.UNKNOWN_SENDER)
        self.refuse(ours, liar.seal(PeerAnnounce(records=(record(),)), NOW), Reason.BAD_SIGNATURE)
        self.assertEqual(met, [])

    def test_a_member_is_no_stranger(self) -> None:
        """A name that is taken cannot be had with another key."""
        ours, met = self.welcoming()
        usurper = NodeRecord("a", bytes(32), 99, 0, ())
        announce = PeerAnnounce(records=(sign_record(usurper, KEYS["new"]),))
        self.refuse(ours, sealer("a", key=KEYS["new"]).seal(announce, NOW), Reason.BAD_SIGNATURE)
        self.assertEqual(met, [])


class RotationTests(RefusedCase):
    """A new token takes the place of the old one without a gap."""

    def test_both_ways(self) -> None:
        """A node that seals with the new token and takes both hears everybody; those that know it hear it as well."""
        new, old = opener(NEXT), opener()
        new.open(sealer("a").seal(heartbeat(), NOW), NOW)
        self.refuse(old, sealer("b", ring=NEXT).seal(heartbeat(), NOW), Reason.UNKNOWN_KEY)
        old.ring = KeyRing(RING.current, (Accepted(NEXT.current),))
        old.open(sealer("b", ring=NEXT).seal(heartbeat(), NOW), NOW)

    def test_the_old_one_ends(self) -> None:
        """When its time is over, the old token opens nothing."""
        theirs = sealer("a")
        later = NOW.later(60)
        self.assertEqual(
            self.refuse(opener(NEXT), theirs.seal(heartbeat(), later), Reason.UNKNOWN_KEY, seconds=60).sender, None
        )

    def test_sequence_goes_on(self) -> None:
        """A sealer that changes its token in the middle goes on counting, and nothing of before can be played again."""
        both = KeyRing(NEXT.current, (Accepted(RING.current),))
        ours, theirs = opener(both), sealer("a")
        old = theirs.seal(heartbeat(1), NOW)
        ours.open(old, NOW)
        theirs.ring = NEXT
        ours.open(theirs.seal(heartbeat(2), NOW), NOW)
        self.refuse(ours, old, Reason.REPLAY)


class HostileTests(SynchronousTestCase):
    """Any bytes are opened or refused, for one of the reasons."""

    def check(self, data: bytes) -> None:
        """Open, and be it refused."""
        ours = FrameOpener(RING, PUBLIC.get, welcome=lambda record: True)
        try:
            ours.open(data, NOW)
        except Refused as refusal:
            self.assertEqual(ours.rejected, {refusal.reason: 1})

    @settings(deadline=None, max_examples=500)
    @given(st.binary(max_size=400))
    def test_noise(self, data: bytes) -> None:
        """Noise from nobody, also behind the right header, and in a good frame of a member and of a stranger."""
        self.check(data)
        self.check(b"\x01\x01" + RING.current.key_id + data)
        self.check(raw(data))
        self.check(raw(b"\x01" + data, name="new"))

    @settings(deadline=None, max_examples=200)
    @given(messages, st.data())
    def test_damage(self, message: Message, data: st.DataObject) -> None:
        """Good frames of all messages, in which bytes were changed, cut out or put in; before and after sealing."""
        for frame in (bytearray(encode(message)), bytearray(raw(encode(message)))):
            start = data.draw(st.integers(0, len(frame)))
            frame[start : start + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=5))
            self.check(bytes(frame))
            self.check(raw(bytes(frame)))


class SpeedTests(SynchronousTestCase):
    """Frames cost next to nothing beside the network."""

    def test_a_heartbeat_of_a_kilobyte(self) -> None:
        """Sealing and opening one takes less than half a millisecond of the processor (the best of five rounds)."""
        states = tuple(PeerState(f"node-{number}", 1, State.HEALTHY, 1000) for number in range(50))
        message = Heartbeat(beat=1, incarnation=1, priority=1, state=State.HEALTHY, states=states)
        self.assertGreater(len(encode(message)), 900)
        ours, theirs = opener(), sealer()
        self.assertLess(min(seconds_each(lambda: ours.open(theirs.seal(message, NOW), NOW)) for _ in range(5)), 0.0005)


def seconds_each(work: Callable[[], object], times: int = 100) -> float:
    """Return the processor time that one call takes."""
    start = process_time()
    for _ in range(times):
        work()
    return (process_time() - start) / times
