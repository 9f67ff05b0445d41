"""The layout of a network."""

import random
import subprocess
from pathlib import Path

from twisted.internet import reactor  # noqa: TID251  (a real process needs the real one)
from twisted.trial.unittest import TestCase

from rustbalance.lab.build import Layout, Size, build
from rustbalance.lab.ports import PortBlock
from rustbalance.lab.tor import LabTor
from rustbalance.lab.torrc import Timing, process, traffic


class BuildTests(TestCase):
    """A small network that is never started."""

    timeout = 60

    async def build(self, directory: Path) -> Layout:
        directory.mkdir(mode=0o700, exist_ok=True)
        ports = PortBlock.reserve(random.Random())
        self.addCleanup(ports.release)
        return await build(directory, Size(1, 2), Timing(), ports, reactor)

    async def test_tor_accepts_every_torrc(self) -> None:
        """Names and options are such that tor starts with them, without a complaint about the options."""
        directory = Path(self.mktemp()).absolute()
        layout = await self.build(directory)
        self.assertEqual([tor.name for tor in layout.relays], ["a0", "r0", "r1"])
        talker = LabTor("traffic", directory / "traffic", layout.include + traffic(1, 2), None)
        for tor in (*layout.relays, layout.client, talker):
            path = tor.directory / "torrc"
            path.write_text(process(tor.directory, 1) + tor.options)
            done = subprocess.run(["tor", "-f", path, "--verify-config"], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stdout)
            self.assertNotIn("more than once", done.stdout)

    async def test_every_relay_has_its_weight(self) -> None:
        """The bandwidth file names each relay by the fingerprint that its key has."""
        directory = Path(self.mktemp()).absolute()
        layout = await self.build(directory)
        weights = (directory / "bandwidths").read_text()
        self.assertEqual(weights.count("node_id="), 3)
        relay = layout.relays[-1]
        path = relay.directory / "torrc"
        path.write_text(process(relay.directory, 1) + relay.options)
        listed = subprocess.run(["tor", "-f", path, "--list-fingerprint"], capture_output=True, text=True)
        fingerprint = listed.stdout.splitlines()[-1].removeprefix(f"{relay.name} ").replace(" ", "")
        self.assertIn(f"node_id=${fingerprint} ", weights)

    async def test_ports_differ(self) -> None:
        """No two Tors want the same port."""
        layout = await self.build(Path(self.mktemp()).absolute())
        options = "".join(tor.options.removeprefix(layout.include) for tor in (*layout.relays, layout.client))
        ports = [line.split()[1] for line in options.splitlines() if "Port 127.0.0.1:" in line]
        self.assertEqual(len(ports), 6)
        self.assertEqual(len(set(ports)), 6)

    async def test_afresh(self) -> None:
        """What an earlier network left in the directory is gone: old keys do not fit the new authorities."""
        directory = Path(self.mktemp()).absolute()
        (directory / "r0").mkdir(parents=True)
        (directory / "r0" / "cached-consensus").write_text("old")
        await self.build(directory)
        self.assertFalse((directory / "r0" / "cached-consensus").exists())

    def test_total(self) -> None:
        """Authorities are relays too."""
        self.assertEqual(Size(3, 9).total, 12)
