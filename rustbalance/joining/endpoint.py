"""
Who is let in.

Owns: the decision on a request to join. In: the body of a request, the members as we know them, the ledger, the time;
out: an ``Answer`` with the ledger that must be durable before it is given, or ``Denied``. Pure.

The cluster token is proved by the frame, the node key by its signature, the right to join by a ticket that a member has
signed. A ticket belongs to the first key that comes with it. Who is known already may ask as often as it likes and gets
the same answer (an answer may get lost on its way), which counts nowhere; others are limited, each key by itself and
all together, so that a flood of newcomers gives people the time to notice.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

import msgspec

from rustbalance.cluster.envelope import read_header
from rustbalance.cluster.frames import FrameSealer
from rustbalance.cluster.join_frames import NEWEST, OLDEST, JoinOpener
from rustbalance.cluster.keys import KeyRing, NodeKey, Purpose
from rustbalance.cluster.messages import JoinRequest, JoinResponse, NodeId, NodeRecord
from rustbalance.cluster.records import NotSigned, check_ticket
from rustbalance.cluster.refusals import Refused
from rustbalance.joining.records import Change, Heard, Ledger, Promise, Used
from rustbalance.mesh.tunnel_addresses import NoAddressLeft, TunnelAddress, TunnelNetwork, allocate, usable
from rustbalance.mesh.wg_config import MalformedAddress, parse_address
from rustbalance.moment import Moment

MOST_JOINS: Final = 5
"""How many new keys are let in within ``WINDOW``, and how many new records of one key are taken."""
WINDOW: Final = 300.0
PROMISED: Final = 3600.0
"""Seconds for which an address inside the tunnel is kept for whoever asked for it."""
LONGEST_TICKET: Final = 31 * 86400.0
"""Seconds that a ticket may be valid from now on; as long as it is, it has to be remembered."""
MOST_HEARD: Final = 32
"""Requests of one key that are remembered, and so answered, in six minutes: no key can keep another out."""
MOST_TOLD: Final = 200
"""Records in one answer, which has to fit into a frame; the mesh tells the rest."""
_WIREGUARD: Final = "wireguard:"


class Denied(Exception):
    """
    Nobody is let in; ``reason`` is a word to count by.

    ``sender`` is known once it has shown the token and its key: None for a stranger.
    """

    def __init__(self, reason: str, sender: NodeId | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sender = sender


@dataclass(frozen=True)
class View:
    """
    The cluster as we know it: our own record, those of all other members, dead ones included, and ``former`` ones.

    A node that was forgotten has left its name, but its bundle stays used up.
    """

    own: NodeRecord
    members: tuple[NodeRecord, ...]
    former: tuple[NodeRecord, ...] = ()

    def everybody(self) -> tuple[NodeRecord, ...]:
        """Return all records, ours first."""
        return (self.own, *self.members)


@dataclass(frozen=True)
class Answer:
    """
    ``frame`` is what to say once ``ledger`` is on the disk.

    ``admitted`` is a record that is new, or newer than the one we had, of somebody who is a member now.
    """

    frame: bytes
    ledger: Ledger
    admitted: NodeRecord | None


class JoinEndpoint:
    """
    Decides; ``denied`` counts the reasons.

    ``ring`` may be replaced at any time. ``boot``: 16 random bytes, new for each start. ``network`` is that of the
    tunnel, None when there is none.
    """

    def __init__(
        self,
        ring: KeyRing,
        node_key: NodeKey,
        boot: bytes,
        random_bytes: Callable[[int], bytes],
        network: TunnelNetwork | None = None,
    ) -> None:
        self.denied: Counter[str] = Counter()
        self._opener = JoinOpener(ring)
        self._node_key = node_key
        self._boot = boot
        self._random_bytes = random_bytes
        self._network = network
        self._seen: dict[bytes, float] = {}

    @property
    def ring(self) -> KeyRing:
        """The keys that requests may be sealed with."""
        return self._opener.ring

    @ring.setter
    def ring(self, ring: KeyRing) -> None:
        self._opener.ring = ring

    def decide(self, body: bytes, view: View, ledger: Ledger, now: Moment) -> Answer:
        """
        Return the answer to a request.

        :raises Denied: there is none, whatever the bytes are. Nothing else is raised.
        """
        try:
            return self._decide(body, view, pruned(ledger, now.wall), now)
        except Refused as refusal:
            self.denied[refusal.reason] += 1
            raise Denied(refusal.reason, refusal.sender) from None
        except Denied as denied:
            self.denied[denied.reason] += 1
            raise

    def _decide(self, body: bytes, view: View, ledger: Ledger, now: Moment) -> Answer:
        opened = self._opener.open(body, now)
        request = opened.message
        if not isinstance(request, JoinRequest):
            raise Denied("malformed")
        self._check_unheard(request, ledger, now)
        if request.record.public_key == view.own.public_key:  # it reached itself, and has to see that
            ledger = self._note_heard(ledger, request, opened.wall, now)
            return Answer(self._respond(body, request, view, None, now), ledger, None)
        ledger = _check_identity(request, view, ledger, now)
        tunnel_ip, ledger = self._tunnel(request, view, ledger, now)
        ledger = self._note_heard(ledger, request, opened.wall, now)
        admitted = None if request.wants_tunnel or not _is_news(request.record, view) else request.record
        return Answer(self._respond(body, request, view, tunnel_ip, now), ledger, admitted)

    def _check_unheard(self, request: JoinRequest, ledger: Ledger, now: Moment) -> None:
        """See that a request was not answered before, also when the wall clock was set back meanwhile."""
        self._seen = {nonce: until for nonce, until in self._seen.items() if until > now.mono}
        if request.nonce in self._seen or any(heard.nonce == request.nonce for heard in ledger.heard):
            raise Denied("replay", request.record.id)

    def _note_heard(self, ledger: Ledger, request: JoinRequest, sent: float, now: Moment) -> Ledger:
        """Remember a request that is to be answered, over a restart too: they are few, since tickets are."""
        key = request.record.public_key
        if sum(heard.public_key == key for heard in ledger.heard) >= MOST_HEARD:
            raise Denied("too_many", request.record.id)
        self._seen[request.nonce] = now.mono + OLDEST + NEWEST
        heard = Heard(request.nonce, sent + OLDEST + NEWEST, key)
        return msgspec.structs.replace(ledger, heard=(*ledger.heard, heard))

    def _respond(self, body: bytes, request: JoinRequest, view: View, tunnel_ip: str | None, now: Moment) -> bytes:
        """Seal the answer with the token that the request was sealed with: its sender may know no other yet."""
        keys = self.ring.find(read_header(body).key_id, now.wall) or self.ring.current
        sealer = FrameSealer(KeyRing(keys), self._node_key, view.own.id, self._boot, self._random_bytes)
        response = JoinResponse(
            record=view.own, nonce=request.nonce, records=view.everybody()[:MOST_TOLD], tunnel_ip=tunnel_ip
        )
        return sealer.seal(response, now, Purpose.JOIN)

    def _tunnel(self, request: JoinRequest, view: View, ledger: Ledger, now: Moment) -> tuple[str | None, Ledger]:
        """Promise an address to whoever asks for one; of others see that they use none that is not theirs."""
        key, network = request.record.public_key, self._network
        if network is None:
            return None, ledger
        taken = {address: owner for owner, address in _holders(view, ledger) if owner != key}
        if not request.wants_tunnel:
            _check_claims(request.record, network, taken)
            return None, ledger
        promised = next((found.address for found in ledger.promises if found.public_key == key), None)
        if promised is None or ip_address(promised) in taken:
            promised = _allocate(network, taken, key)
        kept = tuple(found for found in ledger.promises if found.public_key != key)
        promise = Promise(promised, key, now.wall + PROMISED)
        return promised, msgspec.structs.replace(ledger, promises=(*kept, promise))


def pruned(ledger: Ledger, wall: float) -> Ledger:
    """Return the ledger without what no longer matters at the Unix time ``wall``."""
    return Ledger(
        used=tuple(used for used in ledger.used if used.expires + PROMISED > wall),
        heard=tuple(heard for heard in ledger.heard if heard.until > wall),
        promises=tuple(promise for promise in ledger.promises if promise.until > wall),
        changes=tuple(change for change in ledger.changes if abs(wall - change.at) < WINDOW),
    )


def _check_identity(request: JoinRequest, view: View, ledger: Ledger, now: Moment) -> Ledger:
    """See that its name and key are free or its own, and that it is known or may join; return the ledger after that."""
    record, everybody = request.record, view.everybody()
    if any((member.id == record.id) != (member.public_key == record.public_key) for member in everybody):
        raise Denied("name_taken", record.id)
    if any(member.public_key == record.public_key for member in everybody):
        return _count(ledger, record, now, new=False) if _is_news(record, view) else ledger
    if _is_bound(request, ledger):
        return ledger if request.wants_tunnel else _count(ledger, record, now, new=False)
    _check_ticket(request, view, ledger, now)
    used = Used(request.ticket.public_key, record.public_key, float(request.ticket.expires))
    return msgspec.structs.replace(_count(ledger, record, now, new=True), used=(*ledger.used, used))


def _is_bound(request: JoinRequest, ledger: Ledger) -> bool:
    """Say whether the ticket was shown by this very key before; a lost answer must not cost a bundle."""
    wanted = (request.ticket.public_key, request.record.public_key)
    return request.record.bundle == request.ticket.public_key and any(
        (used.ticket, used.public_key) == wanted for used in ledger.used
    )


def _check_ticket(request: JoinRequest, view: View, ledger: Ledger, now: Moment) -> None:
    ticket, record = request.ticket, request.record
    issuer = next((member for member in view.everybody() if member.id == ticket.issuer), None)
    if issuer is None or record.bundle != ticket.public_key or ticket.expires > now.wall + LONGEST_TICKET:
        raise Denied("ticket", record.id)
    try:
        check_ticket(ticket, issuer.public_key, now.wall)
    except NotSigned:
        raise Denied("ticket", record.id) from None
    if any(used.ticket == ticket.public_key for used in ledger.used) or any(
        member.bundle == ticket.public_key for member in (*view.everybody(), *view.former)
    ):
        raise Denied("ticket_used", record.id)


def _count(ledger: Ledger, record: NodeRecord, now: Moment, *, new: bool) -> Ledger:
    """Count a change; a key that is known counts by itself, so that it cannot keep others out."""
    counted = [change for change in ledger.changes if (change.new if new else change.public_key == record.public_key)]
    if len(counted) >= MOST_JOINS:
        raise Denied("too_many", record.id)
    change = Change(record.public_key, now.wall, new)
    return msgspec.structs.replace(ledger, changes=(*ledger.changes, change))


def _is_news(record: NodeRecord, view: View) -> bool:
    """Say whether a record is newer than the one that we have of its key, if any."""
    known = next((member for member in view.members if member.public_key == record.public_key), None)
    return known is None or record.incarnation > known.incarnation


def _holders(view: View, ledger: Ledger) -> Iterator[tuple[bytes, TunnelAddress]]:
    """Yield who has which address inside the tunnel, or was promised it."""
    for member in view.everybody():
        for address in member.addresses:
            if address.startswith(_WIREGUARD):
                try:
                    yield member.public_key, parse_address(address.removeprefix(_WIREGUARD)).tunnel_ip
                except MalformedAddress:
                    continue
    for promise in ledger.promises:
        yield promise.public_key, ip_address(promise.address)


def _check_claims(record: NodeRecord, network: TunnelNetwork, taken: dict[TunnelAddress, bytes]) -> None:
    """See that a newcomer does not route the traffic of others to itself (D-35)."""
    for address in record.addresses:
        if address.startswith(_WIREGUARD):
            try:
                claimed = parse_address(address.removeprefix(_WIREGUARD)).tunnel_ip
            except MalformedAddress:
                raise Denied("address", record.id) from None
            if claimed in taken or not usable(claimed, network):
                raise Denied("address", record.id)


def _allocate(network: TunnelNetwork, taken: dict[TunnelAddress, bytes], public_key: bytes) -> str:
    try:
        return str(allocate(network, taken, public_key))
    except NoAddressLeft:
        raise Denied("no_address_left") from None
