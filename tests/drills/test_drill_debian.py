"""Debian's own units: C{tor@default} and C{tor@standby} in a booted machine, and the node as a unit of its own user."""

import os
import random
import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor as global_reactor  # noqa: TID251  (real processes)
from twisted.internet.defer import TimeoutError
from twisted.internet.threads import deferToThread

from rustbalance.lab.client import Visitor
from rustbalance.lab.ports import PortBlock
from rustbalance.lab.site import TargetSite
from rustbalance.life import deferred, pause, within
from rustbalance.ops.control_client import NoAnswer, NoDaemon, ask
from rustbalance.ops.status import NodeStatus
from tests.drills.booted import Booted
from tests.drills.drill import Drill
from tests.live.network import LiveTestCase
from tests.live.pace import Pace

reactor: Any = global_reactor
#: Seconds until a Tor that was killed, or hung, serves again and is out; until as many visits after a reload went well.
KILLED, HUNG, RELOADED = 60.0, 60.0, 30.0
VISITS = 20
PROGRAM = str(Path(sys.executable).with_name("rustbalance"))
HOME = "/var/lib/rustbalance"
CONFIG = f"{HOME}/config.toml"
UNIT = f"""\
[Unit]
Wants=tor@default.service tor@standby.service
After=tor@default.service tor@standby.service

[Service]
User=rustbalance
ExecStartPre=+{PROGRAM} place-key --config {CONFIG}
ExecStart={sys.executable} -m twisted rustbalance --config {CONFIG}
Environment=PYTHONDONTWRITEBYTECODE=1
Restart=always
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ReadWritePaths={HOME}
PrivateTmp=yes
"""
RULE = """\
polkit.addRule(function(action, subject) {
    if (action.id == "org.freedesktop.systemd1.manage-units" && subject.user == "rustbalance" &&
        action.lookup("verb") == "restart" &&
        ["tor@default.service", "tor@standby.service"].indexOf(action.lookup("unit")) >= 0) {
        return polkit.Result.YES;
    }
});
"""
TOR = """\
mode = "external"
torrc_include = "/etc/tor/network"
control_socket = "/run/tor/control"
socks_port = {default}
standby_control_socket = "/run/tor-instances/standby/control"
standby_socks_port = {standby}
restart_command = ["systemctl", "--no-ask-password", "restart", "tor@{{instance}}"]
"""
#: What makes Tor keep the service when it reads its configuration again; SETCONF would be forgotten then.
SERVICE = """\
PublishHidServDescriptors 0
HiddenServiceDir {directory}
HiddenServicePort 80 127.0.0.1:{port}
HiddenServiceNumIntroductionPoints 3
HiddenServiceOnionBalanceInstance 1
"""
TORRCS = {"default": "/etc/tor/torrc", "standby": "/etc/tor/instances/standby/torrc"}
PLACES = {"default": "/var/lib/tor/rustbalance", "standby": "/var/lib/tor-instances/standby/rustbalance"}
NODE = """\
hidden_service_dir = "{default}"
standby_hidden_service_dir = "{standby}"
"""
GIVEN_BACK = "and it gets its service back; the standby has the visitors meanwhile"


class DebianDrills(LiveTestCase):
    """C{tor.mode = "external"} as docs/tors.md has it, with systemd, polkit and three users."""

    timeout = 500

    async def test_debian(self) -> None:
        """Killed, hung and reloaded: each is mended without root, and visits go on."""
        self.assertEqual(os.geteuid(), 0, "only root can boot a machine: nspawn and the overlay need it")
        await self.prepare()
        await self.ready(90.0)
        await self.page()
        self.visits = Pace(lambda: self.visitors.fetch(self.address), 0.5)
        self.visits.begin()
        self.addCleanup(lambda: deferred(self.visits.end()))
        await self.hit(
            Drill(23, "Debian's tor@default is killed (SIGKILL)", f"systemd starts it, {GIVEN_BACK}", KILLED), "KILL"
        )
        before = await self.restarts()
        how = "the node, an ordinary user, has systemd restart it, as polkit allows"
        await self.hit(Drill(24, "Debian's tor@default hangs (SIGSTOP)", f"{how}, {GIVEN_BACK}", HUNG), "STOP")
        self.assertEqual(await self.restarts(), before + 1)
        await self.reloaded()
        await self.only_that()

    async def prepare(self) -> None:
        """Boot the machine, and do there what docs/tors.md says."""
        ports = PortBlock.reserve(random.Random())
        self.addCleanup(ports.release)
        socks = {name: ports.take() for name in ("default", "standby")}
        include = Path(self.network.include_path).read_text()
        torrc = {name: f"SocksPort 127.0.0.1:{port}\n%include /etc/tor/network\n" for name, port in socks.items()}
        files = {"/etc/systemd/system/rustbalance.service": UNIT, "/etc/polkit-1/rules.d/50-rustbalance.rules": RULE}
        self.seen: NodeStatus | None = None
        files |= {"/etc/tor/torrc": torrc["default"], "/etc/tor/network": include}
        self.machine = machine = Booted(files)
        self.addCleanup(lambda: deferred(machine.stop()))
        await machine.start()
        site = TargetSite(reactor)
        self.addCleanup(lambda: deferred(site.stop()))
        await machine.run("tor-instance-create", "standby")
        await machine.run("useradd", "--system", "--no-create-home", "--home-dir", HOME, "rustbalance")
        for group in ("debian-tor", "_tor-standby"):
            await machine.run("adduser", "rustbalance", group)
        await machine.run("install", "-d", "-m", "0700", "-o", "rustbalance", "-g", "rustbalance", HOME)
        await self.as_node("init", "--dir", HOME, "--target", await site.start())
        port = ports.take()
        self.configure(machine.root / CONFIG.lstrip("/"), socks, port)
        await machine.run(PROGRAM, "place-key", "--config", CONFIG)
        for name, path in TORRCS.items():
            service = SERVICE.format(directory=PLACES[name], port=port)
            (machine.root / path.lstrip("/")).write_text(torrc[name] + service)
        self.address = (await self.as_node("show-onion", "--config", CONFIG)).strip()
        self.visitors: Visitor = await self.visitor()
        await machine.run("systemctl", "start", "rustbalance")

    async def as_node(self, *words: str) -> str:
        """Call a command as the node's user."""
        return await self.machine.run("runuser", "-u", "rustbalance", "--", PROGRAM, *words)

    def configure(self, path: Path, socks: dict[str, int], port: int) -> None:
        """Edit what init has written."""
        lines = (line for line in path.read_text().splitlines() if not line.startswith("listen"))
        text = "\n".join([f"local_port = {port}", *lines])
        text = text.replace("\n[tor]", "\n[tor]\n" + TOR.format(**socks), 1)
        path.write_text(text.replace("\n[node]", "\n[node]\n" + NODE.format(**PLACES), 1))

    async def look(self) -> NodeStatus | None:
        """Ask the node."""
        self.seen = await self.status()
        return self.seen

    async def status(self) -> NodeStatus | None:
        """Return what the node says, None when it does not answer."""
        try:
            return await deferToThread(
                ask, self.machine.root / f"{HOME}/state/control.sock".lstrip("/"), "status", NodeStatus
            )
        except (NoDaemon, NoAnswer):
            return None

    async def ready(self, seconds: float = 60.0) -> None:
        """Wait until the primary is used and the points of both are out."""

        def well(status: NodeStatus | None) -> bool:
            if status is None or status.pair is None or status.pair.phase != "primary":
                return False
            points = [one.introduction_points + one.left_out for one in status.descriptors if one.confirmed == 8]
            return points == [6, 6] and all(tor.phase == "serving" for tor in status.instances)

        await self.until(well, seconds)

    async def until(self, wanted: Any, seconds: float) -> None:
        """Wait until the node says what is wanted."""

        async def asking() -> None:
            while not wanted(await self.look()):
                await pause(reactor, 0.1)

        try:
            await within(seconds, reactor, deferred(asking()))
        except TimeoutError:
            log = await self.machine.run("journalctl", "-u", "rustbalance", "-n", "60", "--no-pager", "-o", "cat")
            self.fail(f"it did not happen within {seconds:g} s: {self.seen}\n{log}")

    async def page(self) -> None:
        """Visit until a page comes."""
        for _ in range(100):
            if (await self.visitors.fetch(self.address)).ok:
                return
            await pause(reactor, 0.25)
        self.fail("no page")

    async def hit(self, drill: Drill, signal: str) -> None:
        """Send tor@default a signal, and see it lost and back."""
        began = reactor.seconds()
        await self.machine.run("systemctl", "kill", "--signal", signal, "tor@default")
        await self.until(
            lambda status: status is not None and status.pair is not None and status.pair.active == "standby", 15.0
        )
        await self.ready(drill.bound + 30)
        self.noted(drill, began)

    def noted(self, drill: Drill, began: float) -> None:
        """Note the row."""
        drill.mended(self, began, visits=len(self.visits.since(began)), failed=len(self.visits.failures(began)))

    async def reloaded(self) -> None:
        """Debian's log rotation reloads both at once: what stands in their torrc stays, introduction points and all."""
        began, given_back = reactor.seconds(), await self.said("it is given back")
        await self.machine.run("systemctl", "reload", "tor@default", "tor@standby")
        fresh = await self.visitors.fetch(self.address, fresh_descriptor=True)
        self.assertTrue(fresh.ok, fresh)
        repair = f"nothing is lost, as the service stands in their torrc; the time is that of {VISITS} visits"
        while len(self.visits.since(began)) < VISITS:
            await pause(reactor, 0.1)
        self.assertEqual((self.visits.failures(began), await self.said("it is given back")), ([], given_back))
        self.noted(Drill(25, "log rotation reloads both of Debian's Tors", repair, RELOADED), began)

    async def restarts(self) -> int:
        """Return how often the node has had tor@default restarted."""
        return await self.said("by tor.restart_command", '"name": "primary"')

    async def said(self, *words: str) -> int:
        """Return how many lines of the node's log have these words."""
        log = await self.machine.run("journalctl", "-u", "rustbalance", "--no-pager", "-o", "cat")
        return sum(all(word in line for word in words) for line in log.splitlines())

    async def only_that(self) -> None:
        """The node's user may restart these two units and do nothing else to them or to others, nor read the key."""
        user = ("runuser", "-u", "rustbalance", "--")
        for words in (
            ("systemctl", "--no-ask-password", "stop", "tor@default"),
            ("systemctl", "--no-ask-password", "restart", "rustbalance"),
            ("ls", PLACES["default"]),
        ):
            text = await self.machine.run("sh", "-c", '"$@" 2>&1 || echo refused', "sh", *user, *words)
            self.assertIn("refused", text)
        found = await self.machine.run("find", PLACES["default"], "-printf", "%u %m\\n")
        self.assertEqual({line.split()[0] for line in found.splitlines()}, {"debian-tor"})
