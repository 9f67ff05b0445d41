"""
Asking to be let in until somebody does.

Owns: the newcomer's side of joining. In: a ticket, our own record, where Tor's SOCKS port is; out: the members,
once, and on the disk that it is done.

Each attempt takes fresh circuits, so that it may reach another node: the one before may have been down, not have known
the bundle's issuer, or have been ourselves. There is a deadline to each, a pause between two that grows, and no last
one: the machine may have come up before the network did.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DeadlinePassed
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from rustbalance.cluster.frames import FrameSealer
from rustbalance.cluster.join_frames import open_response
from rustbalance.cluster.keys import KeyRing, NodeKey, Purpose
from rustbalance.cluster.messages import JoinRequest, JoinResponse, NodeRecord, Ticket
from rustbalance.cluster.refusals import Refused
from rustbalance.joining.asking import Asking, NotTaken
from rustbalance.joining.records import JoinFile, Joining
from rustbalance.life import Tasks, pause, within
from rustbalance.moment import Moment
from rustbalance.proxy.socks import SocksAddress, SocksEndpoint, SocksFailure
from rustbalance.secrets import Secret
from rustbalance.tor.backoff import Backoff

HTTP_PORT: Final = 80
NONCE: Final = 16


class NotYet(Exception):
    """An attempt is not possible, or nobody has let us in; the message says why."""


@dataclass(frozen=True)
class Newcomer:
    """
    Who asks, and where. ``boot``: 16 random bytes, new for each start. The secrets stay the caller's.

    ``host`` is the master address. ``tunnel``: our record needs an address inside the tunnel, which we ask for.
    """

    host: str
    join_secret: Secret
    ring: KeyRing
    node_key: NodeKey
    node_id: str
    boot: bytes
    tunnel: bool = False


@dataclass(frozen=True)
class Timing:
    """Seconds for the stream, and for an attempt as a whole; ``backoff``: from failures in a row to a pause."""

    backoff: Backoff
    connect: float = 60.0
    attempt: float = 90.0


class Joiner(Service):
    """
    Joins, unless that was done before; ``start`` it when Tor is on its way up.

    ``own_record`` makes our signed record for a ticket and our address inside the tunnel (None while there is none);
    it returns None as long as the carrier has no address yet. ``joined`` gets the answer that lets us in, before that
    is on the disk: more than once if we are killed in between, so doing it twice must not hurt. ``socks`` says where
    Tor's SOCKS port is, None as long as Tor is not ready.
    """

    log = Logger()

    def __init__(
        self,
        newcomer: Newcomer,
        store: JoinFile[Joining],
        own_record: Callable[[Ticket, str | None], NodeRecord | None],
        socks: Callable[[], SocksAddress | None],
        joined: Callable[[JoinResponse], None],
        timing: Timing,
        reactor: Any,
        now: Callable[[], Moment],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        """
        Read what was done before.

        :raises rustbalance.joining.records.StateDamaged: that cannot be told.
        """
        self.setName("joiner")
        self._newcomer = newcomer
        self._store = store
        self._state = store.read()
        self._own_record = own_record
        self._socks = socks
        self._joined = joined
        self._timing = timing
        self._reactor = reactor
        self._now = now
        self._random_bytes = random_bytes
        self._sealer = FrameSealer(
            newcomer.ring, newcomer.node_key, newcomer.node_id, newcomer.boot, self._random_bytes
        )
        self._tasks = Tasks(self.log)
        self._pause: Deferred[None] | None = None
        self._trouble: str | None = None

    @property
    def done(self) -> bool:
        """Whether there is nothing to do (any more): we are a member, or the first node."""
        return self._state is None or self._state.joined_at is not None

    @property
    def state(self) -> Joining | None:
        """What we join with, and how far we are; None when this node has begun the cluster."""
        return self._state

    def problem(self) -> str | None:
        """Return what the operator should know, None when all is well."""
        if self._state is None or self.done or self._trouble is None:
            return None
        if self._now().wall >= self._state.ticket.expires:
            return "this node has not joined, and its bundle has expired: make a new one and join again"
        return f"this node has not joined yet: {self._trouble}"

    def startService(self) -> None:
        """Begin."""
        super().startService()
        if not self.done:
            self._tasks.spawn("joining", self._run())

    def stopService(self) -> None:
        """Break off; the next start goes on."""
        super().stopService()
        self._tasks.cancel()

    def poke(self) -> None:
        """Try at once, instead of when the pause is over: Tor is ready, or our own address is known now."""
        if self._pause is not None:
            self._pause.cancel()

    async def _run(self) -> None:
        failures = 0
        while not self.done:
            trouble = await self._attempt()
            failures = 0 if trouble is None else failures + 1
            if trouble is not None:
                self._note(trouble)
                await self._rest(self._timing.backoff(failures))

    async def _attempt(self) -> str | None:
        """Ask once; return what was wrong, None when it went well."""
        try:
            await within(self._timing.attempt, self._reactor, self._ask())
        except (NotYet, NotTaken, Refused, SocksFailure) as error:
            return str(error)
        except DeadlinePassed:
            return "no answer in time"
        except CancelledError:
            raise
        except Exception:
            self.log.failure("an attempt to join failed")
            return "an error of ours, see the log"
        return None

    async def _ask(self) -> None:
        state, proxy = self._state, self._socks()
        if state is None or proxy is None:
            raise NotYet("Tor is not ready")
        wants_tunnel = self._newcomer.tunnel and state.tunnel_ip is None
        record = self._own_record(state.ticket, state.tunnel_ip)
        if record is None:
            raise NotYet("our own address in the mesh is not known yet")
        nonce = self._random_bytes(NONCE)
        request = JoinRequest(record=record, ticket=state.ticket, nonce=nonce, wants_tunnel=wants_tunnel)
        frame = await self._exchange(proxy, self._sealer.seal(request, self._now(), Purpose.JOIN))
        response = open_response(frame, self._newcomer.ring, nonce, self._now())
        if response.record.public_key == self._newcomer.node_key.public:
            raise NotYet("the request came back to this node itself")
        await self._accept(state, response, wants_tunnel=wants_tunnel)

    async def _exchange(self, proxy: SocksAddress, body: bytes) -> bytes:
        """Send the body over circuits that nothing else uses; return what comes back."""
        isolation = f"join-{self._random_bytes(8).hex()}"
        host, timeout = self._newcomer.host, self._timing.connect
        endpoint = SocksEndpoint(self._reactor, proxy, host, HTTP_PORT, isolation, timeout)
        asking = Asking(self._newcomer.join_secret, host, body)
        await endpoint.connect(Factory.forProtocol(lambda: asking))
        return await asking.let_in

    async def _accept(self, state: Joining, response: JoinResponse, *, wants_tunnel: bool) -> None:
        if wants_tunnel:
            if response.tunnel_ip is None:
                raise NotYet(f"{response.record.id} gives no addresses inside the tunnel")
            await self._keep(msgspec.structs.replace(state, tunnel_ip=response.tunnel_ip))
            return
        self._joined(response)
        await self._keep(msgspec.structs.replace(state, joined_at=self._now().wall, members=response.records))
        self._trouble = None
        self.log.info("Joined: {node} has let us in", node=response.record.id)

    async def _keep(self, state: Joining) -> None:
        await self._store.keep(state)
        self._state = state

    def _note(self, trouble: str) -> None:
        """Log what is wrong when it changes."""
        if trouble != self._trouble:
            self._trouble = trouble
            self.log.warn("Not joined yet: {trouble}", trouble=trouble)

    async def _rest(self, seconds: float) -> None:
        self._pause = pause(self._reactor, seconds)
        try:
            await self._pause
        except CancelledError:
            if not self.running:
                raise
        finally:
            self._pause = None
