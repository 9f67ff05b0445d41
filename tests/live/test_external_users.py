"""
Two Tors that run as users of their own, as Debian has them, and a node that is neither of these users.

Who runs the tests as root gets a node without any of root's powers: a third user, as far as files go. Others need sudo.
"""

import grp
import os
import pwd
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from rustbalance.lab.child import spawn
from rustbalance.lab.client import Visitor
from rustbalance.lab.node import LabNode
from rustbalance.lab.ports import PortBlock
from rustbalance.lab.site import TargetSite
from rustbalance.life import deferred, pause
from rustbalance.onion.address import OnionAddress
from rustbalance.ops.status import NodeStatus
from rustbalance.tor.service_dir import ob_config
from tests.live.network import LiveTestCase

#: Users that every Debian with tor has.
USERS = {"default": "debian-tor", "standby": "daemon"}
#: What Debian's own defaults say, with a directory for each that only its user may enter.
TORRC = """\
DataDirectory {folder}/lib
User {user}
ControlSocket {folder}/run/control GroupWritable RelaxDirModeCheck
ControlSocketsGroupWritable 1
CookieAuthentication 1
CookieAuthFileGroupReadable 1
CookieAuthFile {folder}/run/control.authcookie
SocksPort 127.0.0.1:{socks}
Log notice file {folder}/lib/log
__OwningControllerProcess {owner}
RunAsDaemon 0
"""
TOR = """\
mode = "external"
scout = false
control_socket = "{folder}/default/run/control"
socks_port = {ports[default]}
standby_control_socket = "{folder}/standby/run/control"
standby_socks_port = {ports[standby]}
"""
NODE = """\
hidden_service_dir = "{folder}/default/lib/rustbalance"
standby_hidden_service_dir = "{folder}/standby/lib/rustbalance"
"""
ROOT = os.geteuid() == 0
AS_ROOT = () if ROOT else ("sudo", "-n")


def may_sudo() -> bool:
    """Say whether we may do things as root without being asked for a password."""
    sudo = shutil.which("sudo")
    return sudo is not None and subprocess.run((sudo, "-n", "true"), capture_output=True, check=False).returncode == 0


class OtherUsersTests(LiveTestCase):
    """The key is placed for each by C{rustbalance place-key}, and the node uses what was placed."""

    timeout = 200

    def setUp(self) -> Deferred[None]:  # type: ignore[override]
        """Make the place of each Tor, and a node for them."""
        self.assertTrue(ROOT or may_sudo(), "only root, or who has sudo without a password, can act for three users")
        self.folder = Path(tempfile.mkdtemp(prefix="rb-users-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.addCleanup(subprocess.run, (*AS_ROOT, "rm", "-rf", self.folder), check=True)
        return super().setUp().addCallback(lambda _: deferred(self.prepare()))

    async def prepare(self) -> None:
        """Start both Tors, write the node's configuration, and find a visitor."""
        ports = PortBlock.reserve(random.Random())
        self.addCleanup(ports.release)
        taken = {name: ports.take() for name in USERS}
        for name, user in USERS.items():
            self.start_tor(name, user, taken[name])
        site = TargetSite(reactor)
        self.addCleanup(lambda: deferred(site.stop()))
        self.node = LabNode("node", self.folder / "node", await site.start(), self.include, reactor)
        self.addCleanup(lambda: deferred(self.node.stop()))
        text = self.node.config.read_text()
        text = "\n".join(line for line in text.splitlines() if not line.startswith(("torrc_include", "listen")))
        text = text.replace("\n[tor]", "\n[tor]\n" + TOR.format(folder=self.folder, ports=taken), 1)
        text = text.replace("\n[node]", "\n[node]\n" + NODE.format(folder=self.folder), 1)
        self.node.config.write_text("local_port = 0\n" + text)
        self.visitors: Visitor = await self.visitor()

    @property
    def include(self) -> Path:
        """What leads to the network."""
        return Path(self.network.include_path)

    def start_tor(self, name: str, user: str, socks: int) -> None:
        """Start one as its own user, in a place that this one can be given only by root."""
        folder = self.folder / name
        folder.mkdir()
        for inside, mode in (("lib", "2700"), ("run", "2755")):
            self.root("install", "-d", "-o", user, "-g", self.group(user), "-m", mode, str(folder / inside))
        text = TORRC.format(folder=folder, user=user, socks=socks, owner=os.getpid())
        (folder / "torrc").write_text(text + self.include.read_text())
        command = (*AS_ROOT, "tor", "-f", str(folder / "torrc"), "--defaults-torrc", "/dev/null")
        tor = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self.addCleanup(deferToThread, tor.wait, 20)
        self.addCleanup(tor.send_signal, signal.SIGTERM)

    def root(self, *words: str) -> str:
        """Run something as root and return what it says."""
        return subprocess.run((*AS_ROOT, *words), check=True, capture_output=True, text=True).stdout

    def group(self, user: str) -> str:
        """Return the group of a user."""
        return grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name

    def start_node(self, *groups: str) -> None:
        """Start the node as who runs the tests, in these groups only, and without powers to get round permissions."""
        numbers = ",".join(str(grp.getgrnam(group).gr_gid) for group in groups)
        words = ["setpriv", f"--groups={numbers}" if groups else "--clear-groups"]
        who = (f"--reuid={os.getuid()}", f"--regid={os.getgid()}")
        words += ("--bounding-set=-all", "--inh-caps=-all") if ROOT else who
        command = (*AS_ROOT, *words, sys.executable, "-m", "twisted", "rustbalance", "--config", str(self.node.config))
        self.node.child = spawn(reactor, "node", command, self.folder / "node")

    def place_keys(self) -> list[str]:
        """Do what the operator does as root."""
        program = Path(sys.executable).with_name("rustbalance")
        return self.root(str(program), "place-key", "--config", str(self.node.config)).splitlines()

    async def problems(self, *parts: str) -> None:
        """Wait until the status has a problem of each Tor that has all these parts."""

        def told(status: NodeStatus) -> bool:
            said = [str(tor.problem) for tor in status.instances]
            return len(said) == 2 and all(part in problem for problem in said for part in parts)

        await self.node.until(told, 30.0)

    async def page(self) -> bool:
        """Visit until a page comes."""
        for _ in range(60):
            if (await self.visitors.fetch(self.node.onion_address)).ok:
                return True
            await pause(reactor, 0.25)
        return False

    async def test_placed(self) -> None:
        """It says which group is missing, then what to run; that done, both serve, and nobody else can read the key."""
        self.start_node()
        await self.problems("only the group", "may: add this node's user to it")
        await self.node.stop()
        self.start_node(*map(self.group, USERS.values()))
        await self.problems("run as root: rustbalance place-key", "/lib/rustbalance")
        told = self.place_keys()
        for (name, user), line in zip(USERS.items(), told, strict=True):
            self.assertIn(f"{self.folder}/{name}/lib/rustbalance has been given the key, for the user {user}", line)
        status = await self.node.until(self.everybody, 90.0)
        self.assertEqual({tor.problem for tor in status.instances}, {None})
        self.assertTrue(await self.page())
        self.assertTrue(all("has the key already" in line for line in self.place_keys()))
        for name, user in USERS.items():
            service = self.folder / name / "lib" / "rustbalance"
            found = self.root("find", str(service), "-printf", "%u %m %f\\n").splitlines()
            self.assertEqual({line.split()[0] for line in found}, {user})
            self.assertEqual({line.split()[1][-2:] for line in found}, {"00"}, found)

    def everybody(self, status: NodeStatus) -> bool:
        """Say whether the points of both are out."""
        points = [one.introduction_points + one.left_out for one in status.descriptors if one.confirmed == 8]
        return points == [6, 6] and all(tor.phase == "serving" for tor in status.instances)

    async def test_keys_are_missing(self) -> None:
        """Where only C{ob_config} was placed Tor makes a key of its own: that is seen, and taken away again."""
        address = OnionAddress.parse(self.node.onion_address)
        for name, user in USERS.items():
            service = self.folder / name / "lib" / "rustbalance"
            given = self.folder / f"{name}.ob_config"
            given.write_bytes(ob_config(address))
            self.root("install", "-d", "-o", user, "-g", self.group(user), "-m", "0700", str(service))
            self.root("install", "-o", user, "-m", "0600", str(given), str(service / "ob_config"))
        self.start_node(*map(self.group, USERS.values()))
        await self.problems("the key of another service", "rustbalance place-key")
        for name in USERS:
            self.root("rm", "-rf", str(self.folder / name / "lib" / "rustbalance"))
        self.place_keys()
        await self.node.until(self.everybody, 120.0)
