"""
Making the text of a descriptor.

Owns: the blinded key and the descriptor signing key of each period that we publish for, in locked memory, wiped when
the period is over. In: the master key, a plan, an inner layer; out: signed texts with a counter never used before.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rustbalance.onion.descriptor import encode
from rustbalance.onion.inner import InnerLayer
from rustbalance.onion.keys import BlindedKey, DescriptorSigningKey, MasterKey, subcredential
from rustbalance.onion.plan import SeatPlan
from rustbalance.onion.revision import revision_at
from rustbalance.publishing.counters import RevisionStore
from rustbalance.secrets import Secret


@dataclass(frozen=True)
class Built:
    """One descriptor's text, for the directories of ``plan``; so many points that there were are ``left_out`` of it."""

    plan: SeatPlan
    inner: InnerLayer
    revision: int
    text: bytes
    left_out: int = 0


class PeriodKeys:
    """
    What signs the descriptors of one period.

    Like Tor we keep one descriptor signing key for as long as the blinded key it certifies.
    """

    def __init__(self, master: MasterKey, plan: SeatPlan) -> None:
        self.blinded: BlindedKey = master.blind(plan.period)
        with Secret.random(32) as seed:
            self.signing = DescriptorSigningKey(seed)
        self.subcredential = subcredential(master.public, self.blinded.public)

    def wipe(self) -> None:
        """Forget both."""
        self.blinded.wipe()
        self.signing.wipe()


class Builder:
    """Builds the descriptors of the service whose identity is ``master``; ``master`` remains the caller's to wipe."""

    def __init__(self, master: MasterKey, store: RevisionStore, random_bytes: Callable[[int], bytes]) -> None:
        self._master = master
        self._store = store
        self._random_bytes = random_bytes
        self._keys: dict[bytes, PeriodKeys] = {}

    def prepare(self, plans: Iterable[SeatPlan]) -> None:
        """Have the keys of these periods, and wipe those of every other."""
        wanted = {plan.blinded_public: plan for plan in plans}
        for blinded_public in set(self._keys) - set(wanted):
            self._keys.pop(blinded_public).wipe()
        for blinded_public, plan in wanted.items():
            if blinded_public not in self._keys:
                self._keys[blinded_public] = PeriodKeys(self._master, plan)

    def wipe(self) -> None:
        """Wipe the keys of all periods."""
        self.prepare(())

    def next_revision(self, plan: SeatPlan, wall: float) -> int:
        """
        Return the counter for a text built at the Unix time ``wall``, which is later than now to run ahead.

        It is on disk when this returns, which takes as long as an fsync: call it in a thread.

        :raises KeyError: ``plan`` was not prepared, or is over.
        :raises rustbalance.publishing.counters.CounterExhausted: there is none.
        :raises OSError: it could not be written.
        """
        blinded = self._keys[plan.blinded_public].blinded
        return self._store.next(plan.blinded_public, revision_at(blinded.revision_key(), plan, wall))

    def build(self, plan: SeatPlan, inner: InnerLayer, revision: int, now: float, max_size: int) -> Built:
        """
        Return the descriptor of ``plan`` with the points of ``inner``, built at the Unix time ``now``.

        :raises KeyError: ``plan`` was not prepared, or is over.
        :raises rustbalance.onion.descriptor.NoPoints: there are none.
        :raises rustbalance.onion.descriptor.TooManyPoints: clients would refuse it.
        :raises rustbalance.onion.descriptor.DescriptorTooLarge: directories would refuse it.
        """
        keys = self._keys[plan.blinded_public]
        text = encode(
            inner,
            keys.blinded,
            keys.subcredential,
            revision=revision,
            now=int(now),
            signing_key=keys.signing,
            random_bytes=self._random_bytes,
            max_size=max_size,
        )
        return Built(plan, inner, revision, text)
