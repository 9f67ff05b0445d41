"""
The WireGuard tunnel between two whole nodes is broken in one way after another, and mends itself.

They stand on machines of their own (network namespaces on a bridge); the tools and C{wireguard-go} are the real ones.
"""

import os
import shutil
import signal
from pathlib import Path
from typing import Any

from twisted.internet import reactor as global_reactor  # noqa: TID251  (real processes)

from rustbalance.ops.status import Health, NodeStatus
from tests.drills.drill import Drill
from tests.live.cluster import Member, published_points
from tests.live.joined import JoinedTestCase
from tests.live.machines import words
from tests.live.namespaces import Broken
from tests.live.test_cluster_wireguard import tunnel_ip

reactor: Any = global_reactor
PORT = 51820
#: The issue's figure for an interface that is lost; and for a tunnel that looks well and brings nothing through.
BACK, THROUGH = 30.0, 90.0
#: Seconds for two nodes to have joined and to hear each other.
JOINED = 120.0
WORKER_LOST = ((44, signal.SIGKILL, "is killed (SIGKILL)"), (45, signal.SIGSTOP, "hangs (SIGSTOP)"))
REBUILT = "the interface is made anew, and the nodes hear each other"
#: Stands in front of ip(8), and fails where a file says so.
UNWILLING = """#!/bin/sh
[ -e {sign} ] && {{ echo "told to fail" >&2; exit 2; }}
exec {real} "$@"
"""


def hear_each_other(found: dict[str, NodeStatus]) -> bool:
    """Has each of two nodes a link to the other, and heard of it just now?"""
    views = [status.cluster for status in found.values() if status.cluster is not None]
    links = [view.links_up for view in views]
    fresh = [
        one.silent_secs is not None and one.silent_secs < 4.0
        for view in views
        for one in view.members
        if one.id != view.me
    ]
    return links == [1, 1] and len(fresh) == 2 and all(fresh)


class TunnelDrills(JoinedTestCase):
    """The breakages happen on the machine of C{self.broken}, C{self.two}."""

    timeout = 900

    async def joined(self) -> None:
        """Make two nodes, one of which joins the other, and wait until all is well."""
        await self.begin()
        self.unwilling()
        one, two = await self.machines(2)
        self.two = two
        await self.first("wireguard", words(one), "--endpoint", f"{one.ip}:{PORT}")
        self.broken = await self.another("second", words(two), "--endpoint", f"{two.ip}:{PORT}")
        self.broken.start()
        await self.until("they hear each other", hear_each_other, JOINED)
        await self.until("all points are published", lambda found: published_points(found) >= 9, JOINED)
        await self.until("all are well", all_well, JOINED)

    def unwilling(self) -> None:
        """Put a program in front of ip(8) that fails when C{self.sign} is there."""
        folder, real = self.directory / "bin", shutil.which("ip", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
        if real is None:
            raise Broken("these drills need ip: deploy/prepare.sh system")
        self.sign = self.directory / "fail"
        folder.mkdir()
        (folder / "ip").write_text(UNWILLING.format(sign=self.sign, real=real))
        (folder / "ip").chmod(0o755)
        self.patch(os, "environ", {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"})

    async def back(self, drill: Drill, began: float, made: int) -> None:
        """Wait until the interface has been made once more than C{made} times, and the nodes hear each other."""

        def well(found: dict[str, NodeStatus]) -> bool:
            return self.made(self.broken) > made and hear_each_other(found)

        await self.until("the tunnel is back", well, drill.bound + 30)
        drill.mended(self, began)
        await self.until("all are well", all_well, 60)

    def made(self, member: Member) -> int:
        """Return how often the node has said that its interface is up."""
        return member.log.count("the WireGuard interface wg-rb is up")

    def worker(self) -> int | None:
        """Return the process id of its wireguard-go, None where the kernel does its work."""
        found = [pid for pid in self.broken.tors() if Path(f"/proc/{pid}/comm").read_text().startswith("wireguard-go")]
        return found[0] if found else None

    async def on_two(self, drill: int, injected: str, *command: str, bound: float = BACK) -> None:
        """Break it by a command on that machine."""
        made, began = self.made(self.broken), reactor.seconds()
        await self.two.run(*command)
        await self.back(Drill(drill, injected, REBUILT, bound), began, made)

    async def test_interface(self) -> None:
        """However it is lost it is back within 30 s, and a tunnel that only looks well is made anew too."""
        await self.joined()
        await self.three_failures()
        await self.on_two(42, "the tunnel's interface is deleted (ip link del)", "ip", "link", "del", "dev", "wg-rb")
        await self.on_two(43, "it is set down (ip link set down)", "ip", "link", "set", "dev", "wg-rb", "down")
        for drill, number, how in (
            (44, signal.SIGKILL, "is killed (SIGKILL)"),
            (45, signal.SIGSTOP, "hangs (SIGSTOP)"),
        ):
            pid, made, began = self.worker(), self.made(self.broken), reactor.seconds()
            if pid is not None:
                os.kill(pid, number)
                await self.back(Drill(drill, f"wireguard-go {how}", REBUILT, BACK), began, made)
        await self.swallowed()

    async def swallowed(self) -> None:
        """All that is looked at is as it should be, but nothing gets through the interface in either direction."""
        own = tunnel_ip(await self.broken.status())
        made, began = self.made(self.broken), reactor.seconds()
        await self.two.run("tc", "qdisc", "replace", "dev", "wg-rb", "root", "blackhole")
        await self.two.run("ip", "route", "del", "local", own, "dev", "wg-rb", "table", "local")
        injected = "the interface is up and swallows everything, both ways"
        await self.back(Drill(46, injected, "no node is heard: the tunnel is built anew", THROUGH), began, made)
        self.assertIn("brings nobody within reach: the tunnel is being built anew (attempt 1)", self.broken.log)

    async def three_failures(self) -> None:
        """An interface that cannot be made is an error at the third time, and is made as soon as it can be."""
        before, made, began = len(self.broken.log), self.made(self.broken), reactor.seconds()
        self.sign.touch()
        await self.two.run("wg", "set", "wg-rb", "listen-port", "1")
        failed = "the WireGuard interface wg-rb failed (3 in a row)"
        await self.until("the third failure", lambda _: failed in self.broken.log[before:], BACK)
        said = [line for line in self.broken.log[before:].splitlines() if "interface wg-rb failed" in line]
        levels = [line.partition("#")[2].partition("]")[0] for line in said[:3]]
        self.assertEqual(levels, ["warn", "warn", "error"], said)
        Drill(40, "the interface is lost and cannot be made", "the third failure is an error in the log", BACK).mended(
            self, began
        )
        began = reactor.seconds()
        self.sign.unlink()
        await self.back(Drill(41, "what kept it from being made is gone", REBUILT, BACK), began, made)


def all_well(found: dict[str, NodeStatus]) -> bool:
    """Do all say that nothing is wrong?"""
    return bool(found) and all(one.health is Health.HEALTHY for one in found.values())
