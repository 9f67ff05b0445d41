"""Tests for L{rustbalance.cluster.failover}."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.failover import Cease, Claim, Failover, FailoverMachine, Publish, Seat, Step, Wait, Withdraw
from rustbalance.testing.machines import holes, unreachable

INPUTS = ("start", "stop", "held", "lapsed", "outranked", "barred", "slept", "woken")
RISE = ("start", "lapsed", "woken", "woken")


def after(*inputs: str) -> tuple[Failover, list[Step]]:
    """Return a machine after these inputs, and the steps of the last one."""
    seat = Seat(lambda: 1.0, lambda: 2.0, 8.0)
    machine = FailoverMachine(seat)
    for name in inputs:
        seat.outbox.clear()
        getattr(machine, name)()
    return machine, list(seat.outbox)


class FailoverTests(SynchronousTestCase):
    """From hearing nothing of a publisher to being it, and back."""

    def test_total(self) -> None:
        """Every state answers every input."""
        self.assertEqual(holes(FailoverMachine), set())
        self.assertEqual(unreachable(FailoverMachine, "stopped"), set())

    def test_rise(self) -> None:
        """When no lease runs: wait for our turn, claim, leave time for contradiction, publish."""
        self.assertEqual(after(*RISE[:1])[0].phase(), "standby")
        self.assertEqual(after(*RISE[:2])[1], [Wait(1.0)])
        self.assertEqual(after(*RISE[:3])[1], [Claim(), Wait(2.0)])
        machine, steps = after(*RISE)
        self.assertEqual(steps, [Wait(None), Publish()])
        self.assertEqual(machine.phase(), "publishing")

    def test_gives_way_on_the_way_up(self) -> None:
        """A suspect that hears of a publisher, and a claimant that is outranked, stand by; no claim is left behind."""
        for inputs in ((*RISE[:2], "held"), (*RISE[:2], "outranked"), (*RISE[:3], "outranked")):
            machine, steps = after(*inputs)
            self.assertEqual((machine.phase(), steps), ("standby", [Wait(None)]))

    def test_takes_its_claim_back(self) -> None:
        """A claimant that cannot publish after all says so."""
        for reason in ("barred", "slept"):
            machine, steps = after(*RISE[:3], reason)
            self.assertEqual((machine.phase(), steps), ("standby", [Wait(None), Withdraw()]))

    def test_lets_go(self) -> None:
        """A publisher first ceases, then tells, then leaves the seat to others for a while."""
        for reason, tells in (("outranked", False), ("barred", True), ("slept", True)):
            machine, steps = after(*RISE, reason)
            self.assertIsInstance(steps[0], Cease)
            self.assertEqual([type(step) for step in steps[1:]], [Withdraw, Wait] if tells else [Wait])
            self.assertEqual(machine.phase(), "stepping down")
            self.assertEqual(after(*RISE, reason, "lapsed")[0].phase(), "stepping down")
            self.assertEqual(after(*RISE, reason, "woken")[0].phase(), "standby")
            self.assertEqual(after(*RISE, reason, "held")[0].phase(), "standby")

    def test_stop(self) -> None:
        """From anywhere it ends; who has claimed or publishes releases the lease."""
        for count in range(1, 5):
            machine, steps = after(*RISE[:count], "stop")
            self.assertEqual(machine.phase(), "stopped")
            self.assertEqual(Withdraw() in steps, count > 2)
            self.assertEqual(any(isinstance(step, Cease) for step in steps), count == 4)

    @given(st.lists(st.sampled_from(INPUTS), max_size=30))
    def test_any_history(self, inputs: list[str]) -> None:
        """In any order of events, nobody publishes without a claim or ceases without having published."""
        seat = Seat(lambda: 1.0, lambda: 2.0, 8.0)
        machine = FailoverMachine(seat)
        claimed = publishing = False
        for name in inputs:
            getattr(machine, name)()
            for step in seat.outbox:
                if isinstance(step, Publish):
                    self.assertTrue(claimed)
                    publishing = True
                elif isinstance(step, Cease):
                    self.assertTrue(publishing)
                    publishing = claimed = False
                elif isinstance(step, Claim):
                    claimed = True
            seat.outbox.clear()
            self.assertEqual(publishing, machine.phase() == "publishing")
