"""Two Tors that somebody else runs, as Debian's C{tor@default} and C{tor@standby}, and a command that restarts them."""

import os
import random
import signal
import subprocess
from pathlib import Path

from twisted.internet import reactor

from rustbalance.lab import torrc
from rustbalance.lab.ports import PortBlock
from rustbalance.life import deferred, pause
from rustbalance.ops.status import NodeStatus
from tests.live.nodes import NodeTestCase
from tests.live.pace import Pace

#: Does what C{systemctl restart tor@INSTANCE} does.
RESTART = """\
#!/bin/sh
cd {directory}/$1 && {{ test ! -e pid || kill -9 $(cat pid); }} 2>/dev/null
setsid tor -f torrc --defaults-torrc /dev/null >/dev/null 2>&1 &
echo $! > pid
echo $1 >> {directory}/restarts
"""


class ExternalPairTestCase(NodeTestCase):
    """C{self.node} with C{tor.mode = "external"}, a standby and C{tor.restart_command}."""

    timeout = 400

    async def prepare(self) -> None:
        """Make both Tors and a node for them; the Tors end with the test."""
        await super().prepare()
        self.script = self.directory / "restart"
        self.script.write_text(RESTART.format(directory=self.directory))
        self.script.chmod(0o700)
        ports = PortBlock.reserve(random.Random())
        self.addCleanup(ports.release)
        lines = ['mode = "external"', "scout = false", f'restart_command = ["{self.script}", "{{instance}}"]']
        for name, prefix in (("default", ""), ("standby", "standby_")):
            folder = self.directory / name
            folder.mkdir(mode=0o700)
            control, socks = ports.take(), ports.take()
            options = Path(self.network.include_path).read_text() + torrc.client(control, socks)
            (folder / "torrc").write_text(torrc.process(folder, os.getpid()) + options)
            lines += [f"{prefix}control_port = {control}", f"{prefix}socks_port = {socks}"]
            subprocess.run([self.script, name], check=True)
            self.addCleanup(self.end, name)
        text = "\n".join(
            line for line in self.node.config.read_text().splitlines() if not line.startswith("torrc_include")
        )
        self.node.config.write_text(text.replace("[tor]", "\n".join(["[tor]", *lines]), 1))

    def end(self, name: str) -> None:
        """End a Tor."""
        self.hit(name, signal.SIGKILL)

    def hit(self, name: str, number: signal.Signals) -> None:
        """Send a Tor a signal."""
        os.kill(int((self.directory / name / "pid").read_text()), number)

    async def ready(self) -> NodeStatus:
        """Wait until the primary is used and the points of both are out."""

        def well(status: NodeStatus) -> bool:
            used = status.pair is not None and status.pair.phase == "primary"
            serve = all(tor.phase == "serving" for tor in status.instances)
            return (
                used
                and serve
                and all(
                    one.confirmed == 8 and one.introduction_points + one.left_out == 6 for one in status.descriptors
                )
            )

        return await self.node.until(lambda status: bool(status.descriptors) and well(status), 120.0)

    @property
    def restarts(self) -> list[str]:
        """Which have been started by the command, in order."""
        return (self.directory / "restarts").read_text().split()


class ExternalPairTests(ExternalPairTestCase):
    """Its primary is lost in two ways."""

    async def test_hangs_and_ends(self) -> None:
        """A primary that hangs, or is gone, is restarted and gets its service back; visitors notice neither."""
        await self.prepare()
        self.node.start()
        status = await self.ready()
        self.assertEqual(
            [(tor.name, tor.mode) for tor in status.instances], [("primary", "external"), ("standby", "external")]
        )
        await self.page()
        visits = Pace(lambda: self.visitors.fetch(self.node.onion_address), 0.5)
        visits.begin()
        self.addCleanup(lambda: deferred(visits.end()))
        for number in (signal.SIGSTOP, signal.SIGKILL):
            await self.visitors.client.forget()
            await pause(reactor, 3.0)
            hit = reactor.seconds()
            self.hit("default", number)
            await self.node.until(lambda now: now.pair is not None and now.pair.active == "standby", 10.0)
            await self.ready()
            print(f"\n{number.name}: all is well again after {reactor.seconds() - hit:.1f} s")
            self.assertEqual(visits.failures(hit), [])
        self.assertEqual(self.restarts, ["default", "standby", "default", "default"])
