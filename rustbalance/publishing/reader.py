"""
What our Tors offer.

Owns: the introduction points that each instance has, as far as it has told. In: the instances and their events; out: a
call whenever they are read again, with none as soon as an instance is gone.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from rustbalance.life import Alarm, Tasks
from rustbalance.moment import Moment
from rustbalance.onion.address import OnionAddress
from rustbalance.onion.inner import InnerLayer
from rustbalance.onion.periods import TimePeriod
from rustbalance.publishing.offers import Outline, outline, read_own, source_name
from rustbalance.publishing.reading import Reading
from rustbalance.publishing.settings import PublishSettings
from rustbalance.tor.control import TorControl
from rustbalance.tor.events import DescriptorCreated, Event, IntroductionCircuit
from rustbalance.tor.instance import TorInstance

NO_POINTS = InnerLayer(())


@dataclass(frozen=True)
class Circumstances:
    """
    What reading depends on. ``node`` is our name.

    ``periods``: those that a Tor's descriptor may be for, none while that is not known. ``urgent``: whether visitors
    may be waiting for points.
    """

    node: str
    address: OnionAddress
    settings: PublishSettings
    periods: Callable[[], Sequence[TimePeriod]]
    urgent: Callable[[], bool]
    reactor: IReactorTime
    now: Callable[[], Moment]


class Reader:
    """
    Listens to the instance ``name``, whose points are merged under ``source``. ``inner`` is what it offers now.

    ``offered`` is called with this reader and whether a client would see a change, after each read. ``problem`` says
    why the last one failed.
    """

    log = Logger()

    def __init__(self, name: str, around: Circumstances, offered: Callable[["Reader", bool], None]) -> None:
        self.name = name
        self.source = source_name(around.node, name)
        self.inner = NO_POINTS
        self.problem: str | None = None
        self.running = False
        self._around = around
        self._offered = offered
        self._seen = Outline()
        self._reading = Reading(around.settings)
        self._control: TorControl | None = None
        self._tasks = Tasks(self.log)
        self._alarm = Alarm(around.reactor, self.wake)

    def on_ready(self, control: TorControl) -> None:
        """Ask it."""
        if self.running:
            self._control = control
            self._reading.connected(self._around.now())
            self.wake()

    def on_lost(self, reason: str) -> None:
        """Its points died with it."""
        self._control = None
        self._tasks.cancel()
        self._alarm.clear()
        self._reading.lost()
        self.problem = None
        if self.inner.points:
            self._keep(NO_POINTS)

    def on_event(self, event: Event) -> None:
        """See whether it is about our points."""
        match event:
            case DescriptorCreated(address) | IntroductionCircuit(address) if address == self._around.address:
                self.hint()

    def hint(self) -> None:
        """Look at once, and often for a while."""
        self._reading.hint(self._around.now())
        self.wake()

    def wake(self) -> None:
        """Look at the clock."""
        now, control = self._around.now(), self._control
        if control is not None and self._reading.ask(now, urgent=self._around.urgent() or not self.inner.points):
            self._tasks.spawn("reading the introduction points", self._read(control))
        due = self._reading.due()
        if due is not None:
            self._alarm.set(max(0.0, due - now.mono))

    async def _read(self, control: TorControl) -> None:
        try:
            found = self._understand(await control.own_descriptor(self._around.address))
        except CancelledError:
            raise
        except Exception as error:
            self._note(f"the introduction points of Tor ({self.name}) cannot be read: {error}")
            found = None
        self._reading.answered()
        if found is not None:
            self.problem = None
            self._keep(found)
        self.wake()

    def _understand(self, text: bytes | None) -> InnerLayer | None:
        around, periods = self._around, self._around.periods()
        if not periods:
            return None
        return NO_POINTS if text is None else read_own(text, around.address.public_key, periods, int(around.now().wall))

    def _keep(self, inner: InnerLayer) -> None:
        self.inner = inner
        before, self._seen = self._seen, outline([inner])
        self._offered(self, self._seen != before)

    def _note(self, problem: str) -> None:
        """Keep a problem for the status and log it when it is news."""
        if problem != self.problem:
            self.log.error("Publishing: {problem}", problem=problem)
        self.problem = problem


class Readers:
    """One for each of ``instances`` that serves visitors."""

    def __init__(
        self, instances: Iterable[TorInstance], around: Circumstances, offered: Callable[[Reader, bool], None]
    ) -> None:
        self._instances = [instance for instance in instances if instance.serves_visitors]
        self._readers = [Reader(str(instance.name), around, offered) for instance in self._instances]

    def start(self) -> None:
        """Listen from now on."""
        for instance, reader in zip(self._instances, self._readers, strict=True):
            reader.running = True
            instance.subscribe(reader)

    def stop(self) -> None:
        """Listen no longer, and offer nothing any more."""
        for reader in self._readers:
            reader.running = False
            reader.on_lost("stopping")

    def hint(self) -> None:
        """All their points are about to change."""
        for reader in self._readers:
            reader.hint()

    def newest(self, sources: Collection[str]) -> dict[str, InnerLayer]:
        """Return what those among ``sources`` offer that are ours."""
        return {reader.source: reader.inner for reader in self._readers if reader.source in sources}

    def problems(self) -> tuple[str, ...]:
        """Return in sentences what cannot be read."""
        return tuple(reader.problem for reader in self._readers if reader.problem is not None)
