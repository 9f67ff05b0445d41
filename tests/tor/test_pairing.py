"""Tests for L{rustbalance.tor.pairing}."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.testing.machines import holes, unreachable
from rustbalance.tor.failures import TorFailure
from rustbalance.tor.pairing import PROBATION, Core, Pairing, PairingMachine, Say, Side, Use

INPUTS = ("primary_up", "primary_down", "standby_up", "standby_down", "looked")


def feed(machine: Pairing, name: str, failure: TorFailure = TorFailure.ENDED) -> None:
    """Give the machine one input by name."""
    if name.endswith("down"):
        getattr(machine, name)(failure, "signal 9")
    else:
        getattr(machine, name)()


class PairingTests(SynchronousTestCase):
    """Who is active, after what."""

    def setUp(self) -> None:
        self.core = Core()
        self.machine = PairingMachine(self.core)

    def after(self, *names: str, failure: TorFailure = TorFailure.ENDED) -> list[Side | None]:
        """Return who came into use by these inputs."""
        self.core.outbox.clear()
        for name in names:
            feed(self.machine, name, failure)
        return [command.side for command in self.core.outbox if isinstance(command, Use)]

    @property
    def said(self) -> list[str]:
        """What the operator has been told by the last inputs."""
        return [command.text for command in self.core.outbox if isinstance(command, Say)]

    def test_total(self) -> None:
        """Every state answers every input, and no state is a dead letter."""
        self.assertEqual(holes(PairingMachine), set())
        self.assertEqual(unreachable(PairingMachine, "neither"), set())

    def test_start(self) -> None:
        """Whoever is there first is used; the primary then takes its place at once, and nobody is told of a failure."""
        self.assertEqual(self.after("standby_up"), [Side.STANDBY])
        self.assertEqual(self.after("primary_up"), [Side.PRIMARY])
        self.assertEqual((self.said, self.machine.phase(), self.core.switches), ([], "primary", 0))

    def test_takes_over_at_once(self) -> None:
        """One failure of the primary, one switch, one line that says why."""
        self.after("primary_up", "standby_up")
        self.assertEqual(self.after("primary_down"), [Side.STANDBY])
        self.assertEqual(self.said, ["Primary Tor control port failed (ended): signal 9; trying standby"])
        self.assertEqual(self.after("primary_down"), [])
        self.assertEqual((self.said, self.machine.phase()), ([], "standby"))

    def test_probation(self) -> None:
        """The primary gets its place back after three good looks in a row, and not before."""
        self.after("primary_up", "standby_up", "primary_down")
        self.assertEqual(self.after("looked", "primary_up", *["looked"] * (PROBATION - 1)), [])
        self.assertEqual(self.machine.phase(), "probation")
        self.assertEqual(self.after("looked"), [Side.PRIMARY])
        self.assertEqual(self.said, ["Primary Tor control port reconnected; it is used again"])

    def test_relapse(self) -> None:
        """A primary that fails on probation begins again, and that is no switch and no line."""
        self.after("primary_up", "standby_up", "primary_down", "primary_up", "looked", "looked")
        self.assertEqual(self.after("primary_down", "primary_up", "looked", "looked"), [])
        self.assertEqual((self.said, self.core.switches), ([], 1))
        self.assertEqual(self.after("looked"), [Side.PRIMARY])

    def test_flapping(self) -> None:
        """Twenty failures in a row, none of them twice well, are one switch."""
        self.after("primary_up", "standby_up")
        self.assertEqual(self.after(*["primary_down", "primary_up", "looked", "looked"] * 20), [Side.STANDBY])

    def test_standby_fails(self) -> None:
        """While the primary is on probation it is used at once when the standby goes."""
        self.after("primary_up", "standby_up", "primary_down", "primary_up")
        self.assertEqual(self.after("standby_down"), [Side.PRIMARY])
        self.assertEqual(len(self.said), 2)

    def test_neither(self) -> None:
        """Whoever comes back first is used, without probation: there is no other."""
        self.after("primary_up", "standby_up")
        self.assertEqual(self.after("primary_down", "standby_down"), [Side.STANDBY, None])
        self.assertEqual(self.after("primary_up"), [Side.PRIMARY])

    def test_socks(self) -> None:
        """What has failed is named."""
        self.after("primary_up", "standby_up")
        self.after("primary_down", failure=TorFailure.SOCKS)
        self.assertIn("Primary Tor SOCKS port failed", self.said[0])

    @settings(deadline=None)
    @given(st.lists(st.sampled_from(INPUTS), max_size=60))
    def test_always_one_that_is_up(self, names: list[str]) -> None:
        """After whatever has happened the one in use is up, and none is in use only when none is up."""
        core = Core()
        machine = PairingMachine(core)
        up: set[Side] = set()
        for name in names:
            side, _, what = name.partition("_")
            if what == "up":
                up.add(Side(side))
            elif what == "down":
                up.discard(Side(side))
            feed(machine, name)
        used = [command.side for command in core.outbox if isinstance(command, Use)]
        current = used[-1] if used else None
        self.assertEqual(current is None, not up)
        self.assertTrue(current is None or current in up)
        self.assertTrue(all(one is not other for one, other in pairwise(used)))
