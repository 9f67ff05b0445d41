"""Tests for L{rustbalance.coordination.conversation}, over wires in memory."""

from pathlib import Path

import msgspec
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.keys import KeyRing, NodeKey, TokenKeys
from rustbalance.cluster.messages import (
    Heartbeat,
    IntroPoints,
    LeaseClaim,
    LeaseRelease,
    Message,
    NodeRecord,
    PeerAnnounce,
    State,
)
from rustbalance.cluster.records import bind, sign_record
from rustbalance.coordination.conversation import Conversation
from rustbalance.coordination.settings import CoordinationSettings, Seed
from rustbalance.mesh.carrier import NodeId
from rustbalance.moment import Moment
from rustbalance.secrets import Secret
from tests.cluster.samples import ticket_key
from tests.coordination.memory import MemoryCarrier, Wires

BEAT = Heartbeat(beat=1, incarnation=1, priority=100, state=State.HEALTHY)


class Speaker:
    """One who speaks, and notes what it hears. ``ahead``: seconds by which its wall clock is."""

    def __init__(
        self,
        name: NodeId,
        wires: Wires,
        *seeds: NodeId,
        token: bytes = b"a token that all of them have",
        bundle: bytes = b"",
    ) -> None:
        self.name = name
        self.ahead = 0.0
        self.heard: list[tuple[NodeId, Message]] = []
        self._wires = wires
        self._drawn = 0
        self.carrier = MemoryCarrier(name, wires)
        with Secret.copy_of(name.encode().ljust(32)) as seed:
            self.key = NodeKey(seed)
        with Secret.copy_of(token) as secret:
            ring = KeyRing(TokenKeys(secret))
        places = tuple(Seed(f"@{seed}", (f"memory:{seed}",)) for seed in seeds)
        settings = CoordinationSettings(node=name, directory=Path(), seeds=places, bundle=bundle)
        self.talk = Conversation(self.carrier, ring, self.key, settings, self.now, self.draw)
        self.talk.hear = self.hear
        self.talk.introduction = self.record

    def now(self) -> Moment:
        """Read its clocks."""
        return Moment(self._wires.clock.seconds(), 1_700_000_000 + self._wires.clock.seconds() + self.ahead)

    def draw(self, size: int) -> bytes:
        """Return other bytes each time."""
        self._drawn += 1
        return (self.name.encode() + b"%d" % self._drawn).rjust(size, b"\0")

    def record(self) -> NodeRecord:
        """Return who it is."""
        return sign_record(NodeRecord(self.name, bytes(32), 1, 100, (f"memory:{self.name}",)), self.key)

    def hear(self, sender: NodeId, message: Message) -> None:
        """Note it."""
        self.heard.append((sender, message))


class ConversationTests(SynchronousTestCase):
    """L{Conversation} speaks with members."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.wires = Wires(self.clock)
        self.alpha, self.beta = Speaker("alpha", self.wires), Speaker("beta", self.wires)

    def settle(self) -> None:
        """Let what was sent arrive, and what that leads to."""
        self.clock.pump([0.05] * 20)

    def meet(self, *speakers: Speaker) -> None:
        """Make them members of one cluster, and let their greetings pass."""
        for one in speakers:
            one.talk.members([other.record() for other in speakers if other is not one])
            one.talk.start()
        self.settle()
        for one in speakers:
            one.heard.clear()

    def test_to_one_and_to_all(self) -> None:
        """A message reaches whom it is for."""
        gamma = Speaker("gamma", self.wires)
        self.meet(self.alpha, self.beta, gamma)
        self.alpha.talk.say("beta", LeaseRelease(term=1))
        self.alpha.talk.say(None, BEAT)
        self.settle()
        self.assertEqual(self.beta.heard, [("alpha", LeaseRelease(term=1)), ("alpha", BEAT)])
        self.assertEqual(gamma.heard, [("alpha", BEAT)])

    def test_nobody_there(self) -> None:
        """Without members nothing is sealed at all."""
        self.alpha.talk.start()
        self.alpha.talk.say(None, BEAT)
        self.settle()
        self.assertEqual(self.wires.frames, [])

    def test_slots(self) -> None:
        """Of what only the newest counts of, a newer one takes the place; claims and records are all sent."""
        self.meet(self.alpha, self.beta)
        slots: list[str | None] = []
        self.patch(self.alpha.carrier, "send", lambda to, frame, slot=None: slots.append(slot))
        points = IntroPoints(source="alpha", version=1, sent_at=0.0, inner=b"", instance="standby")
        for message in (BEAT, points, LeaseRelease(term=1)):
            self.alpha.talk.say(None, message)
        self.assertEqual(slots, ["heartbeat", "points standby", None])

    def test_introduction(self) -> None:
        """When a link opens, the other side is told who we are, addresses included."""
        for one, other in ((self.alpha, self.beta), (self.beta, self.alpha)):
            one.talk.members([other.record()])
            one.talk.start()
        self.settle()
        self.assertEqual(self.beta.heard, [("alpha", PeerAnnounce(records=(self.alpha.record(),)))])
        self.alpha.talk.introduction = lambda: None
        self.alpha.carrier.link_opened("beta")
        self.settle()
        self.assertEqual(len(self.beta.heard), 1)

    def test_strangers(self) -> None:
        """Who is no member is not heard, introduces itself in vain, and is counted."""
        self.alpha.talk.members([self.beta.record()])
        self.alpha.talk.start()
        self.beta.talk.start()
        self.settle()
        self.alpha.talk.say("beta", BEAT)
        with capturedLogs() as events:
            self.settle()
        self.assertEqual(self.beta.heard, [])
        self.assertEqual(self.beta.talk.rejected(), {"unknown_sender": 2})
        self.assertEqual([event["log_level"].name for event in events], ["debug"])

    def test_seeds(self) -> None:
        """Who names peers by hand hears their introduction, and introduces itself with each beat until it has."""
        self.alpha, self.beta = Speaker("alpha", self.wires, "beta"), Speaker("beta", self.wires, "alpha")
        self.alpha.talk.members(())
        self.alpha.talk.start()
        self.settle()
        self.beta.talk.members(())
        self.beta.talk.start()
        self.alpha.talk.say(None, BEAT)
        self.settle()
        self.assertEqual(self.beta.heard, [("alpha", PeerAnnounce(records=(self.alpha.record(),)))])
        self.beta.talk.members([self.alpha.record()])
        self.assertEqual(list(self.beta.carrier.peers), ["alpha"])
        self.beta.talk.say(None, BEAT)
        self.settle()
        self.assertIn(("beta", PeerAnnounce(records=(self.beta.record(),))), self.alpha.heard)

    def test_seeds_of_a_bundle(self) -> None:
        """A node that came with a bundle, which named peers, lets nobody in by the token alone."""
        self.alpha = Speaker("alpha", self.wires, "beta")
        self.beta = Speaker("beta", self.wires, "alpha", bundle=b"b" * 32)
        for speaker in (self.alpha, self.beta):
            speaker.talk.members(())
            speaker.talk.start()
        self.settle()
        self.alpha.talk.say(None, BEAT)
        self.beta.talk.say(None, BEAT)
        self.settle()
        self.assertEqual(self.beta.heard, [])
        self.assertIn("unknown_sender", self.beta.talk.rejected())
        self.assertIn(("beta", PeerAnnounce(records=(self.beta.record(),))), self.alpha.heard)

    def test_another_token(self) -> None:
        """Who has another token is refused, which an operator reads once in ten minutes."""
        other = Speaker("beta", self.wires, token=b"another token, of somebody else")
        self.alpha.talk.members([other.record()])
        other.talk.members([self.alpha.record()])
        self.alpha.talk.start()
        other.talk.start()
        with capturedLogs() as events:
            for _ in range(3):
                other.talk.say(None, BEAT)
                self.clock.advance(250)
        warnings = [formatEvent(event) for event in events if event["log_level"].name == "warn"]
        self.assertEqual(len([line for line in warnings if "another cluster token" in line]), 2)
        self.assertGreaterEqual(self.alpha.talk.rejected()["unknown_key"], 3)

    def test_claims_ahead_of_time(self) -> None:
        """A member that claims what nobody can have come to is counted, and named once in ten minutes."""
        self.meet(self.alpha, self.beta)
        with capturedLogs() as events:
            for _ in range(3):
                self.beta.talk.say("alpha", LeaseClaim(term=2**63 - 1, priority=0))
                self.settle()
        warnings = [formatEvent(event) for event in events if event["log_level"].name == "warn"]
        self.assertEqual(self.alpha.heard, [])
        self.assertEqual(self.alpha.talk.rejected(), {"malformed": 3})
        self.assertEqual(warnings, ["messages of beta are refused: it claims a term whose time has not come"])

    def test_wrong_clock(self) -> None:
        """Whose clock is wrong is named, with by how much."""
        self.meet(self.alpha, self.beta)
        self.beta.ahead = 60.0
        self.beta.talk.say(None, BEAT)
        with capturedLogs() as events:
            self.settle()
        [line] = [formatEvent(event) for event in events]
        self.assertIn("messages of beta are refused", line)
        self.assertIn("60", line)
        self.assertEqual(self.alpha.heard, [])

    def test_strangers_with_wrong_clocks(self) -> None:
        """Of those who are no members, with ever new names, little is remembered and little is logged."""
        self.alpha = Speaker("alpha", self.wires, "beta")
        self.alpha.talk.start()
        with capturedLogs() as events:
            for number in range(20):
                stranger = Speaker(f"new-{number}", self.wires)
                stranger.ahead = 60.0
                stranger.talk.members([self.alpha.record()])
                stranger.talk.start()
                stranger.talk.say("alpha", PeerAnnounce(records=(stranger.record(),)))
                self.settle()
        self.assertEqual(len([event for event in events if event["log_level"].name == "warn"]), 1)
        self.assertEqual(len(self.alpha.talk._said), 1)
        self.assertGreaterEqual(self.alpha.talk.rejected()["stale_clock"], 20)

    def test_own_clock(self) -> None:
        """A newcomer whose clock is wrong, and whom nobody lets in, learns it from those who refuse it."""
        self.alpha = Speaker("alpha", self.wires, "beta")
        self.alpha.ahead = 60.0
        for one in (self.alpha, self.beta):
            one.talk.start()
        self.beta.talk.members([self.alpha.record()])
        self.beta.talk.say("alpha", PeerAnnounce(records=(self.beta.record(),)))
        self.settle()
        [(name, ahead)] = self.alpha.talk.offsets().items()
        self.assertEqual((name, round(ahead)), ("beta", -60))

    def test_strangers_beside_members(self) -> None:
        """Where a member is heard, it tells of the clock, and no stranger."""
        self.alpha = Speaker("alpha", self.wires, "gamma")
        self.meet(self.alpha, self.beta)
        self.beta.talk.say(None, BEAT)
        stranger = Speaker("gamma", self.wires)
        stranger.ahead = 60.0
        stranger.talk.members([self.alpha.record()])
        stranger.talk.start()
        stranger.talk.say("alpha", PeerAnnounce(records=(stranger.record(),)))
        self.settle()
        self.assertEqual([*self.alpha.talk.rejected()], ["stale_clock"])
        self.assertEqual([*self.alpha.talk.offsets()], ["beta"])

    def test_who_is_gone(self) -> None:
        """A node that is no member any more is not heard; when it is one again, it is."""
        self.meet(self.alpha, self.beta)
        self.alpha.talk.members(())
        self.beta.talk.say(None, BEAT)
        self.settle()
        self.assertEqual(self.alpha.heard, [])
        self.alpha.talk.members([self.beta.record()])
        self.beta.talk.say(None, BEAT)
        self.settle()
        self.assertEqual(self.alpha.heard[-1], ("beta", BEAT))

    def test_seed_that_was_forgotten(self) -> None:
        """A place that the configuration names is not dialled for ever when its node is gone for good."""
        alpha = Speaker("alpha", self.wires, "beta")
        alpha.talk.members(())
        self.assertEqual([*alpha.carrier.peers], ["@beta"])
        alpha.talk.members((), (self.beta.record(),))
        self.assertEqual([*alpha.carrier.peers], [])

    def test_who_was_one(self) -> None:
        """Of a node that was forgotten its own introduction is heard, and nothing else."""
        self.meet(self.alpha, self.beta)
        self.alpha.talk.members((), (self.beta.record(),))
        for message in (BEAT, PeerAnnounce(records=(self.beta.record(),))):
            self.beta.talk.say("alpha", message)
        self.settle()
        self.assertEqual(self.alpha.heard, [("beta", PeerAnnounce(records=(self.beta.record(),)))])

    def test_whose_bundle_is_another_s(self) -> None:
        """One that joined with a member's bundle is heard, to be told, if it really did and its key is the higher."""
        self.meet(self.alpha, self.beta)
        ticket, other = ticket_key(), ticket_key("u")
        for bundle, binding, heard in (
            (ticket.public, bind(ticket, self.beta.key.public), 1),
            (other.public, bind(other, self.beta.key.public), 0),
            (ticket.public, bind(other, self.beta.key.public), 0),
        ):
            low, high = sorted((self.beta.key.public, self.alpha.key.public))
            for ours in (low, high):
                member = NodeRecord("c", ours[:31] + bytes([ours[31] ^ 1]), 1, 100, (), bundle=ticket.public)
                self.alpha.talk.members((member,))
                self.alpha.heard.clear()
                shown = msgspec.structs.replace(self.beta.record(), bundle=bundle, binding=binding)
                self.beta.talk.say("alpha", PeerAnnounce(records=(sign_record(shown, self.beta.key),)))
                self.settle()
                lower = member.public_key < self.beta.key.public
                self.assertEqual(len(self.alpha.heard), heard if lower else 0)

    def test_too_large(self) -> None:
        """A message that fits into no frame is an error in the log, and nothing is sent."""
        self.meet(self.alpha, self.beta)
        before = len(self.wires.frames)
        huge = IntroPoints(source="alpha", version=1, sent_at=0.0, inner=bytes(2 * 1024 * 1024))
        with capturedLogs() as events:
            self.alpha.talk.say(None, huge)
        self.settle()
        self.assertIn("IntroPoints", formatEvent(events[0]))
        self.assertEqual(len(self.wires.frames), before)

    def test_stop(self) -> None:
        """After the stop nobody is reached."""
        self.meet(self.alpha, self.beta)
        self.assertEqual(self.alpha.talk.status().links_up, 1)
        self.successResultOf(self.beta.talk.stop())
        self.assertEqual(self.alpha.talk.status().links_up, 0)
