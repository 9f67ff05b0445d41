"""
Performing what the cores decide.

Owns: one coroutine for each command of ``schedule`` and ``uploads``, and the texts that are out. In: a command and a
control connection; out: what came of it, told to the core it came from, whose next commands go to ``do``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from twisted.internet.defer import CancelledError, DeferredLock
from twisted.logger import Logger

from rustbalance.life import InThread
from rustbalance.moment import Moment
from rustbalance.onion.address import OnionAddress
from rustbalance.onion.inner import InnerLayer
from rustbalance.onion.merge import Merged
from rustbalance.onion.plan import PublicationPlan, SeatPlan
from rustbalance.publishing import commands as where
from rustbalance.publishing import schedule as when
from rustbalance.publishing.builder import Builder, Built
from rustbalance.publishing.commands import Post, Raise
from rustbalance.publishing.offers import Offers, expiry
from rustbalance.publishing.report import Points
from rustbalance.publishing.ring_source import RingSource
from rustbalance.publishing.schedule import Schedule
from rustbalance.publishing.settings import PublishSettings
from rustbalance.publishing.uploads import Uploads
from rustbalance.tor.control import ControlError, ControlTimeout, TorControl

Command = when.Command | where.Command


class Cluster(Protocol):
    """Who decides which points are published, and by whom; ``rustbalance.coordination`` does."""

    def own_points(self, instance: str, inner: InnerLayer) -> None:
        """Our Tor of that name has these introduction points now and no others."""

    def used_revision(self, blinded_public: bytes, revision: int) -> None:
        """We have used this counter; nobody may use a lower one."""

    def able(self, able: bool) -> None:
        """A Tor of ours can, or cannot, be asked to post."""


class Nobody:
    """A cluster that has not been joined yet."""

    def own_points(self, instance: str, inner: InnerLayer) -> None:
        """Let it pass."""

    def used_revision(self, blinded_public: bytes, revision: int) -> None:
        """Let it pass."""

    def able(self, able: bool) -> None:
        """Let it pass."""


@dataclass
class Jobs:
    """
    ``now`` reads both clocks. ``problems`` has what went wrong last and has not gone well since, under "build".

    ``texts`` are out, or on their way, by blinded key; ``reason``: why they were made.
    """

    address: OnionAddress
    settings: PublishSettings
    schedule: Schedule
    uploads: Uploads
    offers: Offers
    ring: RingSource
    builder: Builder
    in_thread: InThread
    random_bytes: Callable[[int], bytes]
    now: Callable[[], Moment]
    do: Callable[[Sequence[Command]], None]
    cluster: Cluster = field(default_factory=Nobody)
    texts: dict[bytes, Built] = field(default_factory=dict)
    reason: str = ""
    problems: dict[str, str] = field(default_factory=dict)
    _dropped: tuple[str, ...] = ()
    _building: DeferredLock = field(default_factory=DeferredLock)

    log = Logger()

    async def publish(self, reason: str) -> None:
        """Build both descriptors, each in a turn of its own of the event loop, and have them posted."""
        plan = self.ring.plan
        try:
            if plan is None:
                raise LookupError("the responsible directories are not known")
            expires = await self._publish(plan, reason)
        except CancelledError:
            raise
        except Exception as error:
            self._note("build", f"the descriptors cannot be built: {error}")
            self.do(self.schedule.not_built(self.now()))
        else:
            self.problems.pop("build", None)
            self.do(self.schedule.built(expires, self.now()))

    async def _publish(self, plan: PublicationPlan, reason: str) -> float:
        merged = self.offers.merged(self.settings.max_intro_points, self.random_bytes)
        self._note_dropped(merged.dropped)
        self.builder.prepare(plan)
        self.reason = reason
        errors = [error for seat in plan if (error := await self._publish_one(seat, merged, plan)) is not None]
        kept = {seat.blinded_public for seat in plan}
        self.texts = {blinded: text for blinded, text in self.texts.items() if blinded in kept}
        if errors:
            raise errors[0]
        return expiry(merged.inner)

    async def _publish_one(self, seat: SeatPlan, merged: Merged, plan: PublicationPlan) -> Exception | None:
        """Publish one descriptor; what is wrong with it is returned, and no reason to keep the other one back."""
        try:
            built = self.texts[seat.blinded_public] = await self._build(seat, merged, plan.max_descriptor_size)
        except CancelledError:
            raise
        except Exception as error:
            return error
        directories = self._directories(seat)
        self.do(self.uploads.publish(seat.seat, seat.blinded_public, built.revision, directories, self.now()))
        return None

    def _directories(self, seat: SeatPlan) -> tuple[str, ...]:
        """Return who is responsible for ``seat`` by now: the ring may have changed while the text was made."""
        current = (each for each in self.ring.plan or () if each.blinded_public == seat.blinded_public)
        return next(current, seat).directories

    async def _build(self, seat: SeatPlan, what: Merged | Built, max_size: int, lead: float = 0.0) -> Built:
        async with self._building:
            wall = self.now().wall + lead
            revision = await self.in_thread(lambda: self.builder.next_revision(seat, wall))
        self.cluster.used_revision(seat.blinded_public, revision)
        built = self.builder.build(seat, what.inner, revision, self.now().wall, max_size)
        return replace(built, left_out=what.left_out)

    async def raise_counter(self, command: Raise) -> None:
        """Build a descriptor that was refused again, with a higher counter; not when what is there may be better."""
        if self.schedule.answer(self.now()) is not when.Answer.CERTAIN:
            self.do(self.uploads.withheld(command.blinded, self.now()))
            return
        refused = self.texts.get(command.blinded)
        plan = self.ring.plan
        try:
            if refused is None or plan is None:
                raise LookupError("it has been replaced")
            built = await self._build(refused.plan, refused, plan.max_descriptor_size, command.lead)
        except CancelledError:
            raise
        except Exception as error:
            self.log.error("Could not raise a revision counter: {error}", error=str(error))
            self.do(self.uploads.not_raised(command.blinded, self.now()))
            return
        self.log.info("A directory holds a higher revision of the {seat} descriptor: raising ours", seat=command.seat)
        # When a new publish overtook us, its text is the one to keep, and nobody waits for this one any more.
        if self.texts.get(command.blinded) is refused:
            self.texts[command.blinded] = built
            self.do(self.uploads.raised(command.blinded, built.revision, self.now()))

    async def post(self, control: TorControl | None, command: Post) -> None:
        """
        Hand a text to Tor for some directories; without one they are tried again later.

        Tor has got it when this is cancelled: the command is in the queue of the connection, which is worked off.
        """
        if command.elsewhere:
            self.log.warn(
                "No directory has answered for the {seat} descriptor: another Tor, if any, posts it", seat=command.seat
            )
        try:
            if control is None:
                raise LookupError("no Tor can be asked")
            text = self.texts[command.blinded].text
            unknown = await control.post_descriptor(text, self.address, command.directories)
        except ControlTimeout as error:
            # Tor may have taken it all the same: the directories' deadline decides.
            self.log.warn("Tor did not say whether it posts: {error}", error=str(error))
        except (ControlError, LookupError) as error:
            self.log.warn("Tor does not post the {seat} descriptor: {error}", seat=command.seat, error=str(error))
            self.do(self.uploads.not_posted(command, command.directories, str(error), self.now()))
        else:
            self.do(self.uploads.not_posted(command, unknown, "unknown to Tor", self.now()))

    def abandon(self) -> None:
        """Forget the texts that are out, and what was wrong with them: another node publishes."""
        self.texts.clear()
        self.problems.pop("build", None)

    def redirect(self) -> None:
        """See that directories which have become responsible get what the others have."""
        for seat in self.ring.plan or ():
            self.do(self.uploads.redirect(seat.blinded_public, seat.directories, self.now()))

    def points(self, blinded: bytes) -> Points:
        """Return how many introduction points the descriptor under that key lists."""
        built = self.texts.get(blinded)
        return Points(0) if built is None else Points(len(built.inner.points), built.left_out)

    def _note_dropped(self, dropped: tuple[str, ...]) -> None:
        if dropped != self._dropped and dropped:
            self.log.warn("Left out of the descriptors: {dropped}", dropped="; ".join(dropped))
        self._dropped = dropped

    def _note(self, kind: str, problem: str) -> None:
        """Keep a problem for the status and log it when it is news."""
        if problem != self.problems.get(kind):
            self.log.error("Publishing: {problem}", problem=problem)
        self.problems[kind] = problem
