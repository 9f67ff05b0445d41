"""
What carriers over streams have in common.

Owns: the links to all peers, and the streams of those who have not proved yet who they are. In: how to listen and how
to dial, from ``DirectCarrier`` and ``OnionCarrier``; out: a ``Carrier``.

Whoever reaches our port is a stranger until the receiver accepts a frame of theirs. Of strangers there are few, the
oldest makes room for the newest, they get no answer, and they have to prove themselves within a deadline.
"""

from abc import abstractmethod
from collections.abc import Callable, Collection
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, DeferredList, DeferredSemaphore
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from rustbalance.cluster.envelope import MAX_FRAME
from rustbalance.life import Periodic, Tasks, deferred, pause, within
from rustbalance.life import now as read_clocks
from rustbalance.mesh.carrier import NOBODY, Carrier, CarrierStatus, NodeId, Peer, address_of
from rustbalance.mesh.links import Attempt, Dial, Link, Surroundings
from rustbalance.mesh.streams import Timings
from rustbalance.mesh.wire import Stream
from rustbalance.tor.backoff import Backoff

#: Streams on which nobody has proved to be a member.
STRANGERS = 16
#: Links that dial at the same time.
DIALLING = 8
#: Seconds between two looks at the deadlines.
LOOK = 1.0
#: Seconds until it is tried again to listen where that was not possible.
UNABLE = 5.0
#: Seconds that a stopping carrier waits for what it has just sent to be confirmed, and then for streams to end.
DRAIN = 1.5
ENDING = 0.5


class UnusableAddress(ValueError):
    """A peer's address cannot be dialled; the message says which rule it breaks."""


def monotonic() -> float:
    """Read the monotonic clock."""
    return read_clocks().mono


class StreamCarrier(Carrier):
    """A carrier with one stream to each peer, and one from each."""

    log = Logger()

    def __init__(
        self, reactor: Any, timings: Timings, backoff: Backoff, seconds: Callable[[], float] = monotonic
    ) -> None:
        super().__init__()
        self.problem: str | None = None
        self.tasks = Tasks(self.log)
        self.reactor = reactor
        self.timings = timings
        self._around = Surroundings(reactor, seconds, timings, backoff, DeferredSemaphore(DIALLING), self._reach)
        self._links: dict[NodeId, Link] = {}
        self._addresses: dict[NodeId, str | None] = {}
        self._strangers: list[Stream] = []
        self._dropped = 0
        self._drained: Deferred[None] | None = None
        self._deadlines = Periodic("deadlines", LOOK, self._tick, reactor)

    @abstractmethod
    def endpoint(self, peer: NodeId, address: str, attempt: Attempt) -> IStreamClientEndpoint:
        """
        Return how to reach ``address`` this time.

        :raises UnusableAddress: it is not an address of this carrier. :raises Exception: it cannot be reached now.
        """

    @abstractmethod
    async def listen(self, factory: Factory) -> None:
        """
        Accept streams; called at the start, and again as long as it fails.

        :raises Exception: it is not possible now: the port is taken, the directory cannot be written.
        """

    @abstractmethod
    async def hang_up(self) -> None:
        """Accept no more streams; called at the end."""

    def reached(self) -> None:
        """Do what has to be done when there is a new way to a peer."""

    def unreachable(self, failure: Failure) -> None:
        """Do what has to be done when a peer could not be dialled."""

    def startService(self) -> None:
        """Listen, and dial whom we know."""
        super().startService()
        self._deadlines.startService()
        self.tasks.spawn(f"listening ({self.scheme})", self._listen(Factory.forProtocol(self._accepting)))
        for link in list(self._links.values()):
            link.start()

    async def _listen(self, factory: Factory) -> None:
        """Listen; when that fails, again and again. Meanwhile we can dial all the same."""
        failed = False
        while True:
            try:
                self.problem = None if failed else self.problem
                await self.listen(factory)
                break
            except CancelledError:
                raise
            except Exception as error:
                if not failed:
                    self.log.error("the mesh cannot listen: {error}", error=str(error))
                failed, self.problem = True, f"the mesh cannot listen: {error}"
                await pause(self.reactor, UNABLE)
        if failed:
            self.moved(self.address or "")

    def stopService(self) -> Deferred[None]:
        """Let what was just sent arrive, then end every stream."""
        super().stopService()
        return deferred(self._stop())

    async def _stop(self) -> None:
        if not all(link.settled for link in self._links.values()):
            self._drained = Deferred()
            await within(DRAIN, self.reactor, self._drained).addErrback(lambda _: None)
        self._deadlines.stopService()
        self.tasks.cancel()
        await self.hang_up()
        await self._end(list(self._links.values()), "we stop")

    async def _end(self, links: list[Link], reason: str) -> None:
        """End what belongs to ``links``, and all strangers: politely, then not."""
        streams = [*self._strangers, *(stream for link in links for stream in link.stop(reason))]
        for stranger in self._strangers:
            stranger.close(reason)
        ending = DeferredList([stream.when_closed() for stream in streams], consumeErrors=True)
        await within(ENDING, self.reactor, ending).addErrback(lambda _: None)
        for stream in streams:
            stream.abort(reason)

    def set_peers(self, records: Collection[Peer]) -> None:
        """Change the links; a stream of somebody who was no peer until now counts from now on."""
        wanted = {peer.id: address_of(peer, self.scheme) for peer in records}
        for gone in [peer for peer in self._links if peer not in wanted or wanted[peer] != self._addresses[peer]]:
            self._dropped += self._links[gone].dropped
            self._forget(self._links.pop(gone))
        self._addresses = wanted
        for new in [peer for peer in wanted if peer not in self._links]:
            self._add(new, wanted[new])

    def rejoin(self, node: NodeId) -> None:
        """End every stream with the peer, and dial it as if for the first time."""
        link = self._links.pop(node, None)
        if link is not None:
            self._dropped += link.dropped
            self._forget(link)
            self._add(node, self._addresses[node])

    def _forget(self, link: Link) -> None:
        for stream in link.stop("it is no peer there any more"):
            stream.abort("it is no peer there any more")

    def _add(self, peer: NodeId, address: str | None) -> None:
        link = self._links[peer] = Link(peer, None if address is None else self._dial(peer, address), self._around)
        if self.running:
            link.start()

    def _dial(self, peer: NodeId, address: str) -> Dial:
        def dial(attempt: Attempt) -> Deferred[Stream]:
            factory = Factory.forProtocol(lambda: self._stream(peer))
            opening: Deferred[Any] = self.endpoint(peer, address, attempt).connect(factory)
            return opening.addErrback(self._unreachable)

        return dial

    def _unreachable(self, failure: Failure) -> Failure:
        self.unreachable(failure)
        return failure

    def send(self, to: NodeId, frame: bytes, slot: str | None = None) -> None:
        """Give the frame to the peer's link."""
        if not 0 < len(frame) <= MAX_FRAME:
            raise ValueError(f"a frame must have 1 to {MAX_FRAME} bytes, not {len(frame)}")
        link = self._links.get(to)
        if link is None:
            self._dropped += 1
        else:
            link.send(frame, slot)

    def hurry(self) -> None:
        """Dial every peer now that only waits to be dialled."""
        for link in self._links.values():
            link.hurry()

    def status(self) -> CarrierStatus:
        """Count the links and name those that are down."""
        down = [link for link in self._links.values() if not link.up]
        return CarrierStatus(
            name=self.scheme,
            listening=self.address,
            links_up=len(self._links) - len(down),
            links_down=len(down),
            frames_dropped=self._dropped + sum(link.dropped for link in self._links.values()),
            problem="; ".join(filter(None, (self.problem, _sentence(down)))) or None,
        )

    def _accepting(self) -> Stream:
        return self._stream(NOBODY)

    def _stream(self, peer: NodeId) -> Stream:
        return Stream(self, self.timings, self._around.seconds, peer)

    def opened(self, stream: Stream) -> None:
        """Make room for one more stranger."""
        if stream.dialled:
            return
        self._strangers.append(stream)
        for old in self._strangers[:-STRANGERS]:
            old.abort("too many strangers")

    def _reach(self, peer: NodeId) -> None:
        self.reached()
        try:
            self.link_opened(peer)
        except Exception:
            self.log.failure("nobody could be told that the link to {peer} is open", peer=peer)

    def arrived(self, stream: Stream, frame: bytes) -> None:
        """Give the frame to the receiver; who sealed it is who speaks on a stream that we accepted."""
        who = self.received(frame)
        link = self._links.get(who)
        if stream.dialled or link is None or stream.peer not in (NOBODY, who):
            return
        introduced = stream.peer == NOBODY
        stream.peer = who
        if introduced:
            self._strangers.remove(stream)
        link.prove(stream)
        if introduced:
            link.hurry()

    def writable(self, stream: Stream) -> None:
        """Send more, and see whether a stop has waited for this."""
        link = self._links.get(stream.peer)
        if link is not None:
            link.pump()
        if self._drained is not None and not self._drained.called and all(one.settled for one in self._links.values()):
            self._drained.callback(None)

    def closed(self, stream: Stream) -> None:
        """Forget the stream."""
        if stream in self._strangers:
            self._strangers.remove(stream)
        link = self._links.get(stream.peer)
        if link is not None:
            link.lose(stream)

    def _tick(self) -> None:
        for stream in list(self._strangers):
            stream.tick()
        for link in list(self._links.values()):
            link.tick()


def _sentence(down: list[Link]) -> str | None:
    if not down:
        return None
    names = ", ".join(sorted(link.peer for link in down)[:5])
    return f"no link to {names}: {down[0].problem or 'not reached yet'}"
