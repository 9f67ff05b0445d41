"""The options of the private network's Tors."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.lab import torrc
from rustbalance.lab.torrc import AuthorityIdentity, Timing

IDENTITY = AuthorityIdentity("a0", "A" * 40, "B" * 40, 5001, 5002)


def keys(text: str) -> list[str]:
    """Return the option names of a torrc."""
    return [line.split()[0] for line in text.splitlines()]


class TorrcTests(SynchronousTestCase):
    """What each kind of Tor is told."""

    def test_authority_line(self) -> None:
        """The line has everything that tor(1) asks of DirAuthority."""
        self.assertEqual(IDENTITY.line, f"DirAuthority a0 orport=5001 v3ident={'A' * 40} 127.0.0.1:5002 {'B' * 40}")

    def test_include_is_fit_for_clients_and_services(self) -> None:
        """The include file has no port, no directory and nothing that only a relay may set."""
        self.assertEqual(
            set(keys(torrc.include([IDENTITY, IDENTITY]))),
            {"TestingTorNetwork", "PathsNeededToBuildCircuits", "DirAuthority"},
        )

    def test_no_option_twice(self) -> None:
        """An authority's parts do not contradict each other: only DirAuthority may be repeated."""
        parts = (
            torrc.process(Path("/x"), 1),
            torrc.include([IDENTITY]),
            torrc.relay("a0", 5001),
            torrc.authority(5002, Path("/x/bandwidths"), Timing()),
        )
        names = keys("".join(parts))
        self.assertEqual(sorted(names), sorted(set(names)))

    def test_ends_with_its_owner(self) -> None:
        """Every Tor watches the process that owns it."""
        self.assertIn("__OwningControllerProcess 4711\n", torrc.process(Path("/x"), 4711))

    def test_equal_bandwidths(self) -> None:
        """The file begins with its time and has a line for each relay."""
        lines = torrc.bandwidths(["A" * 40, "B" * 40], 1700000000).splitlines()
        self.assertEqual(lines, ["1700000000", f"node_id=${'A' * 40} bw=1000", f"node_id=${'B' * 40} bw=1000"])

    def test_client_without_socks(self) -> None:
        """A port of 0 means none."""
        self.assertIn("SocksPort 0\n", torrc.client(5003, 0))
        self.assertIn("SocksPort 127.0.0.1:5004\n", torrc.client(5003, 5004))

    def test_visitor_has_learned(self) -> None:
        """It waits as long as the authorities let a client learn, and learns nothing else."""
        self.assertIn("cbtmintimeout=2000 ", torrc.authority(5000, Path("/w"), Timing()))
        self.assertIn("LearnCircuitBuildTimeout 0\nCircuitBuildTimeout 2\n", torrc.visitor(5003, 5004))


class TimingTests(SynchronousTestCase):
    """When to start."""

    def test_starts_at_once_right_after_a_vote(self) -> None:
        """There is time enough before the next vote."""
        self.assertEqual(Timing().until_good_start(1000.0), 0.0)
        self.assertEqual(Timing().until_good_start(1001.9), 0.0)

    def test_waits_for_the_next_interval(self) -> None:
        """Too late for this vote: start when it is over."""
        self.assertEqual(Timing().until_good_start(1003.0), 7.0)
