"""
Doing what has been decided about failures.

Owns: the repairs of this node: that they are done, and said. In: failures from whoever notices them, and what does each
kind of repair; out: repairs, lines of the log, sentences. ``rustbalance.health.repair`` decides.
"""

from collections.abc import Callable, Collection, Mapping

from twisted.logger import Logger

from rustbalance.health.repair import PLANS, Act, Action, Escalated, Failure, Repairs
from rustbalance.life import now as read_clocks
from rustbalance.moment import Moment

#: Does one repair, to what the subject names, and returns at once.
Remedy = Callable[[str], object]


class Repairer:
    """``remedies`` has one for each action; ``impossible`` says which would do nothing for a subject at present."""

    log = Logger()

    def __init__(
        self,
        remedies: Mapping[Action, Remedy],
        clocks: Callable[[], Moment] = read_clocks,
        impossible: Callable[[str], Collection[Action]] = lambda _: (),
    ) -> None:
        self._remedies = remedies
        self._now = clocks
        self._impossible = impossible
        self._repairs = Repairs()

    def report(self, failure: Failure, subject: str = "") -> None:
        """Do what is to be done about it now; report it for as long as it lasts."""
        for done in self._repairs.report(failure, subject, self._now(), self._impossible(subject)):
            if isinstance(done, Escalated):
                self.log.error("{sentence}", sentence=done.sentence)
            else:
                self.log.warn("{sentence}", sentence=done.sentence)
                self._perform(done)

    def recovered(self, failure: Failure, subject: str = "") -> None:
        """Note that it is over."""
        if self._repairs.recovered(failure, subject, self._now()):
            self.log.info("over: {what}", what=PLANS[failure].name(subject))

    def problems(self) -> tuple[str, ...]:
        """Return, for each failure that lasts, what is wrong and what is being done about it."""
        return self._repairs.sentences(self._now())

    def _perform(self, act: Act) -> None:
        try:
            self._remedies[act.action](act.subject)
        except Exception:
            self.log.failure("a repair could not be done: {action}", action=act.action.value)
