"""
Nodes of one cluster, each a process of its own as people run it.

Owns: their keys and configuration (carrier C{direct} on loopback), their processes, and what clients find at the
directories. In: the shared network; out: how long it took until something was so.
"""

import os
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import txtorcon
from stem.client.datatype import LinkByFingerprint
from stem.descriptor.hidden_service import HiddenServiceDescriptorV3, IntroductionPointV3
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import DeferredList
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.threads import deferToThread

from rustbalance.config import find_places
from rustbalance.key_files import create_master_key
from rustbalance.lab.child import Child, spawn
from rustbalance.lab.client import Visitor
from rustbalance.lab.ports import PortBlock
from rustbalance.lab.site import TargetSite
from rustbalance.life import deferred, pause
from rustbalance.ops.control_client import NoAnswer, NoDaemon, ask
from rustbalance.ops.status import NodeStatus
from tests.live.network import LiveTestCase

reactor: Any = global_reactor
POLL = 0.1
ENDING = 15.0
#: Seconds from a start to what is wanted, unless something is wrong.
STARTED_WITHIN = 120.0
#: Visits at once while something happens.
CROWD = 4
#: Seconds from kill -9 of the publisher until another holds the lease, and until its points are withdrawn.
TAKEN_OVER, WITHDRAWN = 12.0, 15.0
NODES = ("alpha", "beta", "gamma")

CONFIGURATION = """\
state_dir = "state"
listen = "unix:state/front.sock"
[node]
id = "{name}"
priority = {priority}
[master]
identity_key_path = "{key}"
[target]
address = "unix:{target}"
[tor]
standby_mode = "off"
torrc_include = "{include}"
[coordination]
mode = "direct"
listen = "{listen}"
peers = {peers}
cluster_token_file = "{token}"
"""


def figure(text: str) -> None:
    """Print a measured figure."""
    print(f"\n    {text}", file=sys.stderr, flush=True)


class Member:
    """
    One node of the cluster: its directory, and its process once C{start} was called.

    C{words} lead its command: those that bring it to the machine where it is to run.
    """

    def __init__(self, name: str, directory: Path, words: Sequence[str] = ()) -> None:
        self.name = name
        self.directory = directory
        self.config = directory / "config.toml"
        self.child: Child | None = None
        self._words = words

    def configure(self, **settings: object) -> None:
        """Make the directory and write the configuration."""
        self.directory.mkdir(mode=0o700)
        self.config.write_text(CONFIGURATION.format(name=self.name, **settings))
        self.config.chmod(0o600)

    def start(self) -> None:
        """Start the process; also again after it has ended."""
        command = (sys.executable, "-m", "twisted", "--log-format=text", "rustbalance", "--config", str(self.config))
        self.child = spawn(reactor, self.name, (*self._words, *command), self.directory)

    async def status(self) -> NodeStatus | None:
        """Return what the node says about itself, None when it does not answer."""
        try:
            return await deferToThread(ask, find_places(self.config).control_socket, "status", NodeStatus)
        except (NoDaemon, NoAnswer):
            return None

    @property
    def process(self) -> Child:
        """Its process."""
        assert self.child is not None
        return self.child

    def kill(self) -> None:
        """Kill the daemon and its Tors, as the end of the machine would."""
        self.signal(signal.SIGKILL)

    def signal(self, number: signal.Signals) -> None:
        """Send the daemon and its Tors a signal."""
        tors = self.tors()
        self.process.send(number)
        _signal(tors, number)

    def kill_tors(self) -> None:
        """Kill its Tors only."""
        _signal(self.tors(), signal.SIGKILL)

    def tors(self) -> list[int]:
        """Return the process ids of its Tors, which are the daemon's children."""
        daemon = self.process.pid
        return [int(pid) for pid in Path(f"/proc/{daemon}/task/{daemon}/children").read_text().split()]

    @property
    def log(self) -> str:
        """What the daemon has said."""
        return (self.directory / "output.log").read_text() if self.child is not None else ""

    @property
    def tor_log(self) -> str:
        """What its Tor has said since its last start."""
        path = self.directory / "state/tor/primary/tor.log"
        return path.read_text() if path.exists() else ""


def _signal(processes: list[int], number: signal.Signals) -> None:
    for pid in processes:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


class ClusterTestCase(LiveTestCase):
    """A test with the nodes C{self.members} of one address, not yet started; everything ends with the test."""

    timeout = 400

    async def begin(self) -> None:
        """Make a directory, the site and a visitor; there are no nodes yet."""
        self.directory = Path(tempfile.mkdtemp(prefix="rb-c-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        site = self.site = TargetSite(reactor)
        await site.start(self.directory / "site.sock")
        self.addCleanup(lambda: deferred(site.stop()))
        self.members: dict[str, Member] = {}
        self.addCleanup(lambda: deferred(self._end()))
        self.hung: set[str] = set()
        self.visitors: Visitor = await self.visitor()

    async def prepare(self) -> None:
        """Make everything, three nodes on loopback included."""
        await self.begin()
        ports = PortBlock.reserve(random.Random())
        self.addCleanup(ports.release)
        self.configure({name: f"127.0.0.1:{ports.take()}" for name in NODES}, {})

    def configure(self, places: dict[str, str], words: dict[str, Sequence[str]]) -> None:
        """Make the keys, and nodes that listen at C{places}; C{words} lead the command of each."""
        key = create_master_key(self.directory / "master.key")
        self.address = key.address
        key.wipe()
        token = self.directory / "token"
        token.write_text(random.SystemRandom().randbytes(32).hex())
        token.chmod(0o600)
        for number, (name, place) in enumerate(places.items()):
            member = self.members[name] = Member(name, self.directory / name, words.get(name, ()))
            member.configure(
                priority=100 + number,
                key=self.directory / "master.key",
                target=self.directory / "site.sock",
                include=self.network.include_path,
                listen=place,
                peers=[other for other in places.values() if other != place],
                token=token,
            )

    async def _end(self) -> None:
        children = [member.child for member in self.members.values() if member.child is not None]
        await DeferredList([deferred(child.stop(ENDING)) for child in children])

    def start(self) -> None:
        """Start all of them at once."""
        for member in self.members.values():
            member.start()

    async def until(
        self, what: str, condition: Callable[[dict[str, NodeStatus]], bool], seconds: float = STARTED_WITHIN
    ) -> float:
        """Wait until all that the running nodes say of themselves satisfies C{condition}; return how long it took."""
        began = reactor.seconds()
        while True:
            running = [member for member in self.members.values() if member.child is not None and member.child.alive]
            asked = [member for member in running if member.name not in self.hung]
            answers = {member.name: await member.status() for member in asked}
            found = {name: status for name, status in answers.items() if status is not None}
            if condition(found):
                return float(reactor.seconds() - began)
            if reactor.seconds() > began + seconds:
                raise AssertionError(f"not within {seconds:g} s: {what}\n{found}\n{self.last_words()}")
            await pause(reactor, POLL)

    async def lead(self) -> str:
        """Return who publishes."""
        named: set[str | None] = set()

        def agreed(found: dict[str, NodeStatus]) -> bool:
            named.add(publisher(found))
            return named != {None}

        await self.until("one publisher", agreed, 10)
        [name] = named - {None}
        assert name is not None
        return name

    async def killed(self, points: int) -> str:
        """Kill the publisher; see another one take over, and publish the others' C{points}; return who it was."""
        first = await self.lead()
        began = reactor.seconds()
        self.members[first].kill()
        await self.until(
            "another publisher", lambda found: publisher(found) not in (None, first) and first not in found, 30
        )
        taken = reactor.seconds() - began
        await self.until(f"{points} points published", lambda found: published_points(found) == points, 30)
        withdrawn = reactor.seconds() - began
        figure(f"kill -9 of the publisher: another holds the lease after {taken:.1f} s (target {TAKEN_OVER:g})")
        figure(f"a descriptor without its points is confirmed after {withdrawn:.1f} s (target {WITHDRAWN:g})")
        self.assertLessEqual(taken, TAKEN_OVER)
        self.assertLessEqual(withdrawn, WITHDRAWN)
        return first

    def last_words(self) -> str:
        """Return the end of what each node and its Tor have logged."""
        return "\n".join(
            f"--- {member.name}\n{member.log[-4000:]}\n--- its Tor\n{member.tor_log[-2000:]}"
            for member in self.members.values()
        )

    async def found_by_clients(self) -> dict[str, str]:
        """
        Return the introduction points that a client finds at the directories now, in the order of the descriptor.

        Their authentication keys, and the address of the relay of each.
        """
        where = (reactor, "127.0.0.1", self.client_tor.control_port)
        connection = await txtorcon.build_tor_connection(where, build_state=False)
        texts: list[str] = []

        def heard(text: str) -> None:
            if text.startswith(self.address.label) and "hs-descriptor" in text:  # other tests fetch others here
                texts.append(text)

        await connection.add_event_listener("HS_DESC_CONTENT", heard)
        await connection.queue_command("SIGNAL NEWNYM")
        await connection.queue_command(f"HSFETCH {self.address.label}")
        for _ in range(200):
            if texts:
                break
            await pause(reactor, 0.1)
        connection.transport.loseConnection()
        return self._points(texts[0])

    async def own_points(self, member: Member) -> dict[str, str]:
        """Return the introduction points that the node's Tor has, in the same form."""
        where = UNIXClientEndpoint(reactor, str(member.directory / "state/tor/primary/control.sock"))
        connection = await txtorcon.build_tor_connection(where, build_state=False)
        text = None
        while text is None:
            with suppress(txtorcon.TorProtocolError):  # while it rotates its descriptors Tor has none for a moment
                text = await connection.get_info_raw(f"hs/service/desc/id/{self.address.label}")
            await pause(reactor, POLL)
        connection.transport.loseConnection()
        return self._points(text)

    def _points(self, event: str) -> dict[str, str]:
        text = event.partition("\n")[2].removesuffix("OK").rstrip("\r\n") + "\n"
        descriptor = HiddenServiceDescriptorV3.from_str(text, validate=True)
        points = descriptor.decrypt(self.address.text).introduction_points
        return {point.auth_key_cert.key.hex(): relay_of(point) for point in points}


def relay_of(point: IntroductionPointV3) -> str:
    """Return the RSA identity of the point's relay, by which a client finds the point."""
    return next(str(one.fingerprint) for one in point.link_specifiers if isinstance(one, LinkByFingerprint))


def publisher(found: dict[str, NodeStatus]) -> str | None:
    """Return whom all of these nodes name as the publisher, None when they do not agree on one."""
    named = {status.cluster.publisher for status in found.values() if status.cluster is not None}
    return named.pop() if len(named) == 1 else None


def published_points(found: dict[str, NodeStatus], *, everywhere: bool = False) -> int:
    """
    Return of how many points the publisher's confirmed descriptors are made, 0 as long as they are not confirmed.

    Those that are left out, because another one is at the same relay, are counted too. ``everywhere``: confirmed by all
    directories, not only by enough of them.
    """
    status = found.get(publisher(found) or "")
    if status is None or len(status.descriptors) != 2 or not all(one.published for one in status.descriptors):
        return 0
    if everywhere and any(one.confirmed < one.directories for one in status.descriptors):
        return 0
    return min(one.introduction_points + one.left_out for one in status.descriptors)
