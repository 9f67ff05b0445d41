"""
Speaking with the other nodes.

Owns: sealing what this node says and opening what others say, over one carrier. In: messages and who they are for, the
records of the members; out: the messages of members, and of those who introduce themselves where that is allowed;
refusals, counted by reason.

Where the configuration names the first peers by hand (seeds), we introduce ourselves to each of them until its record
is known, and whoever introduces itself with the token and a signed record is heard; not by a node that came with a
bundle, though that named peers as well: others are to come with one too, which is good once and for a while.
"""

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger

from rustbalance.cluster.frames import FrameOpener, FrameSealer, MessageTooLarge, Reason, Refused
from rustbalance.cluster.keys import KeyRing, NodeKey
from rustbalance.cluster.messages import Heartbeat, IntroPoints, Message, NodeId, NodeRecord, PeerAnnounce
from rustbalance.cluster.records import NotSigned, check_record
from rustbalance.coordination.offsets import Offsets
from rustbalance.coordination.settings import CoordinationSettings, Seed, unmet
from rustbalance.mesh.carrier import NOBODY, Carrier, CarrierStatus
from rustbalance.moment import Moment

#: Seconds in which the same refusal of the same sender is logged once.
QUIET = 600.0
#: Refusals that an operator has to do something about, besides what a member says that no member should.
TELLING = (Reason.UNKNOWN_KEY, Reason.UNKNOWN_SENDER, Reason.BAD_SIGNATURE, Reason.STALE_CLOCK, Reason.OVERSIZED)


class Conversation:
    """
    What this node says and hears on ``carrier``.

    ``hear`` is called with each message that was opened, ``introduction`` returns our record for those who do not know
    us yet, or None while there is none. ``carrier`` and the keys in ``ring`` are ours; ``node_key`` stays the caller's.
    """

    log = Logger()

    def __init__(
        self,
        carrier: Carrier,
        ring: KeyRing,
        node_key: NodeKey,
        settings: CoordinationSettings,
        clocks: Callable[[], Moment],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self.hear: Callable[[NodeId, Message], None] = lambda sender, message: None
        self.introduction: Callable[[], NodeRecord | None] = lambda: None
        self.carrier = carrier
        self._seeds = settings.seeds
        self._by_hand = bool(settings.seeds) and not settings.bundle
        self._now = clocks
        self._records: dict[NodeId, NodeRecord] = {}
        self._former: set[bytes] = set()
        self._unmet: tuple[Seed, ...] = settings.seeds
        self._said: dict[tuple[Reason, NodeId | None], float] = {}
        self._offsets, self._strangers = Offsets(), Offsets()
        self._sealer = FrameSealer(ring, node_key, settings.node, random_bytes(16), random_bytes)
        self._opener = FrameOpener(ring, self._key_of, skew=settings.skew, welcome=self._is_welcome)
        carrier.receiver = self._receive
        carrier.link_opened = self._link_opened

    def start(self) -> None:
        """Begin to listen and to dial."""
        self.carrier.startService()

    def stop(self) -> Deferred[None]:
        """Let what was said last arrive, then end."""
        return maybeDeferred(self.carrier.stopService)

    def members(self, records: Sequence[NodeRecord], former: Sequence[NodeRecord] = ()) -> None:
        """These are the other members: they are heard, and ``former`` ones when they introduce themselves."""
        known = {record.public_key for record in self._records.values()}
        for gone in known - {record.public_key for record in records}:
            self._opener.forget(gone)
        self._records = {record.id: record for record in records}
        self._former = {record.public_key for record in former}
        self._offsets.forget(self._records)
        self._unmet = unmet(self._seeds, (*records, *former), self.carrier.address)
        self.carrier.set_peers([*records, *(seed for seed in self._unmet if seed.addresses)])

    def say(self, to: NodeId | None, message: Message) -> None:
        """Send a message to one member, or to all (None); a newer heartbeat takes the place of one that still waits."""
        targets = [*self._records] if to is None else [to]
        self._send(targets, message)
        if to is None and isinstance(message, Heartbeat):
            self._introduce([seed.id for seed in self._unmet])

    def status(self) -> CarrierStatus:
        """Return how the carrier does."""
        return self.carrier.status()

    def rejected(self) -> dict[str, int]:
        """Return how many frames were refused, by reason."""
        return {reason.value: count for reason, count in sorted(self._opener.rejected.items())}

    def offsets(self) -> dict[NodeId, float]:
        """
        Return by how many seconds the clocks of the others are ahead of ours, as far as they have told of late.

        What strangers tell counts where no member is heard: whose own clock is wrong is let in by nobody.
        """
        now = self._now().mono
        return self._offsets.now(now) or self._strangers.now(now)

    def _send(self, targets: Sequence[NodeId], message: Message) -> None:
        if not targets:
            return
        try:
            frame = self._sealer.seal(message, self._now())
        except MessageTooLarge as error:
            self.log.error("a message ({kind}) is not sent: {error}", kind=type(message).__name__, error=str(error))
            return
        for target in targets:
            self.carrier.send(target, frame, _slot(message))

    def _introduce(self, targets: Sequence[NodeId]) -> None:
        record = self.introduction()
        if record is not None:
            self._send(targets, PeerAnnounce(records=(record,)))

    def _link_opened(self, peer: NodeId) -> None:
        self._introduce([peer])

    def _receive(self, frame: bytes) -> NodeId:
        now = self._now()
        try:
            opened = self._opener.open(frame, now)
        except Refused as refusal:
            self._note(refusal)
            return NOBODY
        if opened.sender in self._records:
            self._offsets.note(opened.sender, opened.wall - now.wall, now.mono)
        self.hear(opened.sender, opened.message)
        return opened.sender

    def _key_of(self, node: NodeId) -> bytes | None:
        record = self._records.get(node)
        return None if record is None else record.public_key

    def _is_welcome(self, record: NodeRecord) -> bool:
        """Take the word of those who were members, and of one who has to be told that its bundle is another's."""
        return self._by_hand or record.public_key in self._former or self._is_dispossessed(record)

    def _is_dispossessed(self, record: NodeRecord) -> bool:
        own = self.introduction()
        everybody = self._records.values() if own is None else (*self._records.values(), own)
        same = (each for each in everybody if record.bundle and each.bundle == record.bundle)
        return any(each.public_key < record.public_key for each in same)

    def _note(self, refusal: Refused) -> None:
        now, member = self._now().mono, refusal.sender if refusal.sender in self._records else None
        kind = (refusal.reason, member)
        if refusal.sender is not None and refusal.ahead is not None:
            clocks = self._strangers if member is None else self._offsets
            clocks.note(refusal.sender, refusal.ahead, now)
        telling = refusal.reason in TELLING or (member is not None and refusal.reason is Reason.MALFORMED)
        if not telling or now < self._said.get(kind, float("-inf")) + QUIET:
            self.log.debug("a message is refused: {reason}", reason=refusal.reason.value)
            return
        self._said[kind] = now
        self.log.warn(
            "messages of {sender} are refused: {sentence}",
            sender=refusal.sender or "somebody unknown",
            sentence=str(refusal),
        )


def _slot(message: Message) -> str | None:
    """Return what a newer message of the kind makes pointless."""
    match message:
        case Heartbeat():
            return "heartbeat"
        case IntroPoints(instance=instance):
            return f"points {instance}"
    return None


def is_genuine(record: NodeRecord) -> bool:
    """Tell whether a record is signed by the node that it is about."""
    try:
        check_record(record)
    except NotSigned:
        return False
    return True
