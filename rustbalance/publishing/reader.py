"""
What one Tor of ours offers.

Owns: the introduction points that an instance has, as far as it has told. In: the instance and its events; out: a call
whenever they are read again, with none as soon as the instance is gone.
"""

from collections.abc import Callable, Sequence

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from rustbalance.life import Alarm, Tasks
from rustbalance.moment import Moment
from rustbalance.onion.address import OnionAddress
from rustbalance.onion.inner import InnerLayer
from rustbalance.onion.periods import TimePeriod
from rustbalance.publishing.offers import read_own
from rustbalance.publishing.reading import Reading
from rustbalance.publishing.settings import PublishSettings
from rustbalance.tor.control import TorControl
from rustbalance.tor.events import DescriptorCreated, Event, IntroductionCircuit

NO_POINTS = InnerLayer(())


class Reader:
    """
    Listens to the instance ``name``. ``inner`` is what it offers now.

    ``periods``: those that its descriptor may be for, none while that is not known. ``urgent``: whether visitors may be
    waiting for points. ``offered`` is called with this reader after each read. ``problem`` says why a read failed.
    """

    log = Logger()

    def __init__(
        self,
        name: str,
        address: OnionAddress,
        public_key: bytes,
        settings: PublishSettings,
        periods: Callable[[], Sequence[TimePeriod]],
        urgent: Callable[[], bool],
        offered: Callable[["Reader"], None],
        reactor: IReactorTime,
        now: Callable[[], Moment],
    ) -> None:
        self.name = name
        self.inner = NO_POINTS
        self.problem: str | None = None
        self.running = False
        self._address = address
        self._public_key = public_key
        self._periods = periods
        self._urgent = urgent
        self._offered = offered
        self._now = now
        self._reading = Reading(settings)
        self._control: TorControl | None = None
        self._tasks = Tasks(self.log)
        self._alarm = Alarm(reactor, self.wake)

    def on_ready(self, control: TorControl) -> None:
        """Ask it."""
        if self.running:
            self._control = control
            self._reading.connected(self._now())
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
            case DescriptorCreated(address) | IntroductionCircuit(address) if address == self._address:
                self.hint()

    def hint(self) -> None:
        """Look at once, and often for a while."""
        self._reading.hint(self._now())
        self.wake()

    def wake(self) -> None:
        """Look at the clock."""
        now, control = self._now(), self._control
        if control is not None and self._reading.ask(now, urgent=self._urgent() or not self.inner.points):
            self._tasks.spawn("reading the introduction points", self._read(control))
        due = self._reading.due()
        if due is not None:
            self._alarm.set(max(0.0, due - now.mono))

    async def _read(self, control: TorControl) -> None:
        try:
            found = self._understand(await control.own_descriptor(self._address))
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
        periods = self._periods()
        if not periods:
            return None
        return NO_POINTS if text is None else read_own(text, self._public_key, periods, int(self._now().wall))

    def _keep(self, inner: InnerLayer) -> None:
        self.inner = inner
        self._offered(self)

    def _note(self, problem: str) -> None:
        """Keep a problem for the status and log it when it is news."""
        if problem != self.problem:
            self.log.error("Publishing: {problem}", problem=problem)
        self.problem = problem
