"""
How parts of the daemon start, repeat, and stop.

Owns: ordered services, periodic jobs that survive their own errors, coroutines that cannot be forgotten, deadlines,
work in threads.
In: a reactor and callables; out: Twisted services. Nothing here knows about Tor or HTTP.
"""

import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, TypeVar, runtime_checkable

from twisted.application.service import IService, MultiService, Service
from twisted.internet.defer import CancelledError, Deferred, DeferredLock, TimeoutError, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from rustbalance.moment import Moment

T = TypeVar("T")

#: The share of the time to stop that each service is certain to have, however long those before it take.
RESERVED = 0.05


def now() -> Moment:
    """Read both clocks."""
    return Moment(time.monotonic(), time.time())  # noqa: TID251  (the one place that reads the wall clock)


def deferred(coroutine: Coroutine[Any, Any, T]) -> Deferred[T]:
    """Start ``coroutine`` and return the Deferred of its result."""
    return Deferred.fromCoroutine(coroutine)


def pause(reactor: IReactorTime, seconds: float) -> Deferred[None]:
    """Return a Deferred that fires in ``seconds``; cancelling it cancels the timer."""
    waiting: Deferred[None] = Deferred(lambda _: call.cancel())
    call = reactor.callLater(seconds, waiting.callback, None)
    return waiting


def within(seconds: float, reactor: IReactorTime, work: Coroutine[Any, Any, T] | Deferred[T]) -> Deferred[T]:
    """
    Give ``work`` a deadline.

    :raises twisted.internet.defer.TimeoutError: (in the Deferred) when it is not done in ``seconds``.
    """
    waiting = work if isinstance(work, Deferred) else deferred(work)
    return waiting.addTimeout(seconds, reactor)


def attentively(seconds: float, reactor: IReactorTime, work: Deferred[T]) -> Deferred[T]:
    """
    Give ``work`` a deadline, as ``within`` does, that passes only while we look.

    After a time in which this process or the whole machine stood still, timers are due before anything that has
    arrived meanwhile is read. The deadline comes in two halves, so that there is time to read it.

    :raises twisted.internet.defer.TimeoutError: (in the Deferred) when it is not done in ``seconds``.
    """
    missed: list[bool] = []

    async def watch() -> None:
        await pause(reactor, seconds / 2)
        await pause(reactor, seconds / 2)
        missed.append(True)
        work.cancel()

    def over(result: T | Failure) -> T | Failure:
        watching.cancel()
        if missed and isinstance(result, Failure) and result.check(CancelledError):
            raise TimeoutError(f"not within {seconds:g} s")
        return result

    watching = deferred(watch())
    watching.addErrback(lambda failure: failure.trap(CancelledError) and None)
    return work.addBoth(over)


class InThread(Protocol):
    """Runs a function where it does not hold up the event loop."""

    def __call__(self, function: Callable[[], T], /) -> Awaitable[T]:
        """Return what ``function`` returns, or fail as it fails."""


async def at_once(function: Callable[[], T], /) -> T:
    """Run it here, where nobody waits for the event loop: an ``InThread`` for commands and tests."""
    return function()


def threads(reactor: Any) -> InThread:
    """Return what runs functions in the reactor's threads, several at a time."""

    def in_thread(function: Callable[[], T], /) -> Deferred[T]:
        return deferToThreadPool(reactor, reactor.getThreadPool(), function)

    return in_thread


class InTurn:
    """
    Runs functions in threads one after another, in the order in which it was asked, as writers of one file must run.

    Cancelling a call ends the wait for it and nothing else: what was begun, or was to be, is done all the same.
    """

    def __init__(self, in_thread: InThread) -> None:
        self._in_thread = in_thread
        self._lock = DeferredLock()

    def __call__(self, function: Callable[[], T], /) -> Deferred[T]:
        """Return what ``function`` returns, or fail as it fails."""
        told: Deferred[T] = Deferred()
        deferred(self._run(function)).addCallbacks(told.callback, told.errback)
        return told

    async def _run(self, function: Callable[[], T]) -> T:
        async with self._lock:
            return await self._in_thread(function)


class Alarm:
    """Calls ``ring`` once, some time after it was last set."""

    def __init__(self, reactor: IReactorTime, ring: Callable[[], None]) -> None:
        self._reactor = reactor
        self._ring = ring
        self._call: IDelayedCall | None = None

    def set(self, seconds: float) -> None:
        """Ring in ``seconds``, and not when it was to ring before."""
        self.clear()
        self._call = self._reactor.callLater(seconds, self._ring)

    def clear(self) -> None:
        """Do not ring."""
        call, self._call = self._call, None
        if call is not None and call.active():
            call.cancel()


class Tasks:
    """Coroutines under way: each failure is logged, and all can be cancelled at once."""

    def __init__(self, log: Logger) -> None:
        self._log = log
        self._running: set[Deferred[Any]] = set()

    def __len__(self) -> int:
        return len(self._running)

    def spawn(self, what: str, coroutine: Coroutine[Any, Any, Any]) -> Deferred[None]:
        """Run ``coroutine``; an error in it is logged as a failure of ``what`` and goes no further."""
        task = deferred(self._fenced(what, coroutine))
        self._running.add(task)
        task.addBoth(lambda _: self._running.discard(task))
        return task

    async def _fenced(self, what: str, coroutine: Coroutine[Any, Any, Any]) -> None:
        try:
            await coroutine
        except CancelledError:
            pass
        except Exception:
            self._log.failure("{what} failed", what=what)

    def cancel(self) -> None:
        """Cancel everything that is under way."""
        for task in list(self._running):
            task.cancel()


class Periodic(Service):
    """
    Calls ``job`` every ``seconds``, the first time at start; an error in it is logged and the next call still comes.

    A job that returns an awaitable is awaited before the next one is due.
    """

    log = Logger()

    def __init__(
        self, name: str, seconds: float, job: Callable[[], Awaitable[None] | None], reactor: IReactorTime
    ) -> None:
        self.setName(name)
        self._seconds = seconds
        self._job = job
        self._loop = LoopingCall(self._fenced)
        self._loop.clock = reactor

    def startService(self) -> None:
        """Begin, with the first call at once."""
        super().startService()
        self._loop.start(self._seconds, now=True)

    def stopService(self) -> None:
        """End; a call under way finishes by itself."""
        super().stopService()
        if self._loop.running:
            self._loop.stop()

    def _fenced(self) -> Deferred[None]:
        return deferred(self._once())

    async def _once(self) -> None:
        try:
            result = self._job()
            if result is not None:
                await result
        except Exception:
            self.log.failure("periodic job {name} failed", name=self.name)


@runtime_checkable
class Hurried(Protocol):
    """A service that can do its stopping in the time there is."""

    def hurry(self, seconds: float) -> None:
        """Be told, just before ``stopService``, that it has so many seconds."""


class OrderedServices(MultiService):
    """
    Children start in the order they were added and stop one after another, last first, all within one deadline.

    A plain ``MultiService`` stops all at once and waits for ever (twisted/application/service.py).
    """

    log = Logger()

    def __init__(self, reactor: IReactorTime, patience: float) -> None:
        """Wait up to ``patience`` seconds for all children together to stop."""
        super().__init__()
        self._reactor = reactor
        self._patience = patience

    def stopService(self) -> Deferred[None]:
        """Stop the children in turn; the Deferred fires when the last one is done or has overstayed."""
        Service.stopService(self)
        return deferred(self._stop_each(self._reactor.seconds() + self._patience))

    async def _stop_each(self, end: float) -> None:
        """Let no child use up what those after it need to end at all: ``RESERVED`` of the whole for each of them."""
        children = list(self)
        for after, child in reversed(list(enumerate(children))):
            reserved = after * RESERVED * self._patience
            await self._stop(child, max(end - reserved - self._reactor.seconds(), 0.0))

    async def _stop(self, child: IService, seconds: float) -> None:
        name = getattr(child, "name", child)
        if isinstance(child, Hurried):
            child.hurry(seconds)
        try:
            await maybeDeferred(child.stopService).addTimeout(seconds, self._reactor)
        except TimeoutError:
            self.log.warn(
                "{child} has not stopped within {seconds:.1f} s; it is left behind", child=name, seconds=seconds
            )
        except Exception:
            self.log.failure("{child} did not stop cleanly", child=name)
