"""
From Tor's consensus to what we have to publish where.

Owns: the current ``PublicationPlan``, and when to make a new one. In: a control connection and word that a consensus
has come; out: plans, to a callback. The texts are megabytes on the real network, so they are read in a thread.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from rustbalance.life import InThread, within
from rustbalance.onion.consensus import Consensus, parse_consensus, parse_microdescriptors
from rustbalance.onion.plan import PublicationPlan, plan_publication
from rustbalance.tor.backoff import Backoff
from rustbalance.tor.replies import Setting


class DirectorySource(Protocol):
    """The part of ``rustbalance.tor.control.TorControl`` that we need here."""

    async def consensus(self) -> bytes:
        """Return the microdescriptor consensus."""

    async def microdescriptors(self) -> bytes:
        """Return all microdescriptors that Tor has."""

    async def get_conf(self, key: str) -> tuple[Setting, ...]:
        """Return the values of an option."""


class RingSource:
    """
    Makes the plans of the service with the public key ``identity_public``, and keeps the last one.

    ``recheck``: seconds after which to look again without being told to. ``backoff``: how soon to look again while
    something is missing (microdescriptors arrive after their consensus). ``testing``: whether the network runs with
    TestingTorNetwork; None asks Tor.
    """

    log = Logger()

    def __init__(
        self,
        identity_public: bytes,
        in_thread: InThread,
        reactor: IReactorTime,
        recheck: float,
        backoff: Backoff,
        testing: bool | None = None,
    ) -> None:
        self.plan: PublicationPlan | None = None
        self.problem: str | None = "Tor has no consensus yet"
        self._identity = identity_public
        self._in_thread = in_thread
        self._reactor = reactor
        self._recheck = recheck
        self._backoff = backoff
        self._testing = testing
        self._ed25519_ids: dict[str, bytes] = {}
        self._short = 0
        self._news: Deferred[None] = Deferred()

    def notify(self) -> None:
        """A new consensus has arrived."""
        if not self._news.called:
            self._news.callback(None)

    async def follow(self, source: DirectorySource, on_plan: Callable[[PublicationPlan], None]) -> None:
        """Make a plan now and whenever it may have changed, until cancelled; after an error try again."""
        while True:
            self._news = Deferred()
            await self._refresh(source, on_plan)
            with suppress(TimeoutError):
                await within(self._delay(), self._reactor, self._news)

    async def _refresh(self, source: DirectorySource, on_plan: Callable[[PublicationPlan], None]) -> None:
        try:
            plan = self.plan = await self._make(source)
        except CancelledError:
            raise
        except Exception as error:
            self._short += 1
            self._note_problem(f"the responsible directories cannot be told: {error}")
            return
        self._note_problem(None)
        taken = self._tell(plan, on_plan)
        self._short = 0 if taken and not plan.missing_microdescriptors else self._short + 1

    def _tell(self, plan: PublicationPlan, on_plan: Callable[[PublicationPlan], None]) -> bool:
        """Return whether ``on_plan`` took the plan; an error of its own must not end the following."""
        try:
            on_plan(plan)
        except Exception:
            self.log.failure("a plan for publishing could not be taken up")
            return False
        return True

    async def _make(self, source: DirectorySource) -> PublicationPlan:
        if self._testing is None:
            self._testing = ("TestingTorNetwork", "1") in await source.get_conf("TestingTorNetwork")
        testing = self._testing
        text = await source.consensus()
        consensus = await self._in_thread(lambda: parse_consensus(text))
        if self._incomplete(consensus):
            microdescriptors = await source.microdescriptors()
            self._ed25519_ids = await self._in_thread(lambda: parse_microdescriptors(microdescriptors))
        known = self._ed25519_ids
        return await self._in_thread(lambda: plan_publication(consensus, known, self._identity, testing=testing))

    def _incomplete(self, consensus: Consensus) -> bool:
        return any(relay.hsdir and relay.microdescriptor not in self._ed25519_ids for relay in consensus.relays)

    def _note_problem(self, problem: str | None) -> None:
        if problem is not None and problem != self.problem:
            self.log.info("No plan for publishing: {problem}", problem=problem)
        self.problem = problem

    def _delay(self) -> float:
        return self._recheck if self._short == 0 else min(self._backoff(self._short), self._recheck)
