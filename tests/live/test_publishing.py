"""Publishing through real Tors: what directories hold, what clients read, and how a plain onion service does it."""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import txtorcon
from stem.descriptor.hidden_service import HiddenServiceDescriptorV3
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from rustbalance.coordination.making import coordination
from rustbalance.coordination.node_key import node_key
from rustbalance.coordination.settings import CoordinationSettings
from rustbalance.files import private_directory
from rustbalance.key_files import write_service_keys
from rustbalance.lab import torrc
from rustbalance.lab.ports import PortBlock
from rustbalance.lab.state import NETWORK_FILE, ClientState, NetworkState, load
from rustbalance.lab.tor import LabTor
from rustbalance.life import deferred, pause
from rustbalance.life import now as clocks
from rustbalance.onion.inner import InnerLayer
from rustbalance.onion.keys import MasterKey
from rustbalance.onion.plan import PublicationPlan, SeatPlan
from rustbalance.publishing.builder import Builder
from rustbalance.publishing.counters import RevisionStore
from rustbalance.publishing.delivery import State
from rustbalance.publishing.publisher import Publisher
from rustbalance.publishing.settings import PublishSettings
from rustbalance.secrets import Secret
from rustbalance.tor.events import Event, UploadBegan
from rustbalance.tor.managed import ManagedSettings, ManagedTor
from rustbalance.tor.pair import TorPair
from tests.live.network import LiveTestCase, ended, until_ready

reactor: Any = global_reactor
PUBLISHED_WITHIN = 60.0
#: Seconds from the first stream that Tor closes until everything is where it should be.
BROKEN_OFF_FOR = 10.0


class Node:
    """A managed Tor and a publisher, in this process, forwarding to nowhere."""

    def __init__(self, network: NetworkState, **figures: float) -> None:
        self.directory = Path(tempfile.mkdtemp(dir="/tmp", prefix="rb-pub-"))
        self.master = MasterKey.from_seed(Secret.random(32))
        settings = ManagedSettings(
            self.directory / "tor", torrc_include=Path(network.include_path), forward_to="127.0.0.1:1"
        )
        self.tor = ManagedTor("primary", settings, self.master, reactor)
        self.store = RevisionStore(self.directory / "counters.json")
        self.pair = TorPair(self.tor, None, reactor)
        self.publisher = Publisher(
            self.pair,
            self.master,
            PublishSettings(**figures),  # type: ignore[arg-type]
            self.store,
            reactor,
            os.urandom,
            "alpha",
        )
        self.node_key = node_key(None, self.directory / "node.key")
        alone = CoordinationSettings(node="alpha", directory=self.directory)
        self.coordination = coordination(alone, self.node_key, self.publisher, None, reactor, os.urandom)

    def start(self) -> None:
        """Start both."""
        self.pair.startService()
        self.publisher.startService()
        self.coordination.startService()

    async def stop(self) -> None:
        """Stop both and remove everything."""
        await self.coordination.stopService()
        self.node_key.wipe()
        self.publisher.stopService()
        await self.pair.stopService()
        self.master.wipe()
        shutil.rmtree(self.directory)

    @property
    def plan(self) -> PublicationPlan:
        """What has to be published where."""
        plan = self.publisher._ring.plan
        assert plan is not None
        return plan

    def confirmed(self) -> list[tuple[int, int]]:
        """Return for both descriptors: confirmed and responsible directories."""
        return [(each.confirmed, each.directories) for each in self.publisher.status()]

    def revisions(self) -> list[int]:
        """Return both counters, 0 for what was never published."""
        return [each.revision or 0 for each in self.publisher.status()]

    def complete(self) -> bool:
        """Tell whether every directory has confirmed both descriptors."""
        status = self.publisher.status()
        return bool(status) and all(each.published and each.confirmed == each.directories for each in status)

    def auth_keys(self) -> set[bytes]:
        """Return the introduction points that are out there."""
        return {point.auth_key for text in self.publisher._jobs.texts.values() for point in text.inner.points}


class Cut:
    """Closes the next ``left`` streams by which the Tor of ``node`` uploads something."""

    def __init__(self, node: Node, left: int) -> None:
        assert node.tor.control is not None
        self.left = left
        self._control = node.tor.control
        self._control.subscribe(self.heard)

    def heard(self, event: Event) -> None:
        """Close it, for no reason."""
        if isinstance(event, UploadBegan) and self.left:
            self.left -= 1
            deferred(self._control.ask(f"CLOSESTREAM {event.stream} 1"))


async def until(what: str, condition: Callable[[], bool], seconds: float = PUBLISHED_WITHIN) -> None:
    """Wait until ``condition`` holds; fail with ``what`` when it takes longer."""
    end = clocks().mono + seconds
    while not condition():
        if clocks().mono > end:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        await pause(reactor, 0.1)


async def plant(node: Node, seat: SeatPlan, directories: tuple[str, ...], lead: float) -> int:
    """Do what another publisher of the same address would do; return its counter."""
    other = Builder(node.master, RevisionStore(node.directory / "other.json"), os.urandom)
    other.prepare([seat])
    wall = clocks().wall
    revision = other.next_revision(seat, wall + lead)
    inner: InnerLayer = node.publisher._jobs.texts[seat.blinded_public].inner
    text = other.build(seat, inner, revision, wall, 50_000).text
    assert node.tor.control is not None
    await node.tor.control.post_descriptor(text, node.master.address, directories)
    await pause(reactor, 3)
    other.wipe()
    return revision


class PublishingTestCase(LiveTestCase):
    """A node on the shared network."""

    def node(self, **figures: float) -> Node:
        """Return a node that has been started and is stopped with the test."""
        node = Node(self.network, **figures)
        self.addCleanup(lambda: deferred(node.stop()))
        node.start()
        return node

    async def client(self) -> Any:
        """Return txtorcon's connection to the client Tor; nothing of ours is in the way."""
        where = (reactor, "127.0.0.1", self.client_tor.control_port)
        connection = await txtorcon.build_tor_connection(where, build_state=False)
        self.addCleanup(connection.transport.loseConnection)
        return connection


class PublishedTests(PublishingTestCase):
    """What a lone node publishes."""

    def test_at_all_directories_and_readable(self) -> Deferred[None]:
        """Both descriptors are confirmed everywhere, and clients get what stem reads as our points."""
        return deferred(self.check_readable())

    async def check_readable(self) -> None:
        """Fetch from each directory of the period that clients are in."""
        node = self.node()
        await until("both descriptors are confirmed by all directories", node.complete)
        self.assertEqual(node.publisher.problems(), ())
        client = await self.client()
        fetched: dict[str, str] = {}
        await client.add_event_listener("HS_DESC_CONTENT", lambda text: self.note_content(text, node, fetched))
        seat = await self.seat_of_clients(node, client, fetched)
        await until("each directory has given it", lambda: set(fetched) == set(seat.directories), 30)
        for text in fetched.values():
            self.check_text(node, seat, text)

    async def seat_of_clients(self, node: Node, client: Any, fetched: dict[str, str]) -> SeatPlan:
        """Ask all directories of both, and return the seat whose period clients are in."""
        both = sorted({relay for seat in node.plan for relay in seat.directories})
        servers = " ".join(f"SERVER={relay}" for relay in both)
        await client.queue_command(f"HSFETCH {node.master.address.label} {servers}")
        await until("one directory has given it", lambda: bool(fetched), 30)
        text = HiddenServiceDescriptorV3.from_str(next(iter(fetched.values())))
        key = text.signing_cert.signing_key()
        return next(seat for seat in node.plan if seat.blinded_public == key)

    def note_content(self, text: str, node: Node, fetched: dict[str, str]) -> None:
        """Keep what a directory gave of ours, by its fingerprint; a directory without it gives an empty text."""
        head, _, body = text.partition("\n")
        if head.startswith(node.master.address.label) and body.startswith("hs-descriptor"):
            fetched[head.split()[2][1:41]] = body.removesuffix("OK").rstrip("\r\n") + "\n"

    def check_text(self, node: Node, seat: SeatPlan, text: str) -> None:
        """Let stem read it."""
        found = HiddenServiceDescriptorV3.from_str(text, validate=True)
        inner = found.decrypt(node.master.address.text)
        number = [each.seat for each in node.plan].index(seat.seat)
        self.assertEqual(found.revision_counter, node.revisions()[number])
        keys = {point.auth_key_cert.key for point in inner.introduction_points}
        self.assertEqual(keys, node.auth_keys())

    def test_published_again(self) -> Deferred[None]:
        """On request both counters rise; when Tor dies the new points follow by themselves, with still higher ones."""
        return deferred(self.check_again())

    async def check_again(self) -> None:
        """Ask for a publish, then kill Tor."""
        node = self.node()
        await until("the first publish", node.complete)
        before, keys = node.revisions(), node.auth_keys()
        node.publisher.publish_now()
        await until("higher counters everywhere", lambda: node.complete() and self.above(node.revisions(), before))
        before, pid = node.revisions(), node.tor.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await until(
            "new points everywhere",
            lambda: node.complete() and self.above(node.revisions(), before) and not node.auth_keys() & keys,
        )

    def above(self, counters: list[int], others: list[int]) -> bool:
        """Tell whether both are higher."""
        return all(one > other for one, other in zip(counters, others, strict=True))

    def test_broken_off(self) -> Deferred[None]:
        """
        What Tor breaks off, as it does when its own service comes to the point of uploading, is uploaded again at once,
        and so is a newer text that has come meanwhile; there is no other sign of it than the end of the streams.
        """
        return deferred(self.check_broken_off())

    async def check_broken_off(self) -> None:
        """Close each stream of a publish as soon as Tor has it, with another publish behind it, and then of one."""
        node = self.node()
        await until("the first publish", node.complete)
        for publishes in (2, 1):
            await pause(reactor, 2)
            before, began = node.revisions(), clocks().mono
            cut = Cut(node, len(set(node.plan.first.directories) | set(node.plan.second.directories)))
            for _ in range(publishes):
                node.publisher.publish_now()
                await pause(reactor, 0.05)
            await until("all are cut", lambda cut=cut: not cut.left)  # type: ignore[misc]
            await until(
                "it is everywhere",
                lambda before=before: node.complete() and self.above(node.revisions(), before),  # type: ignore[misc]
                BROKEN_OFF_FOR,
            )
            print(f"\n    broken off and everywhere all the same after {clocks().mono - began:.1f} s", file=sys.stderr)

    def test_planted_counter(self) -> Deferred[None]:
        """Directories that hold a much higher counter, as another publisher's, end up with ours above it."""
        return deferred(self.check_planted())

    async def check_planted(self) -> None:
        """Post a text that is ten minutes ahead to two directories, then publish."""
        node = self.node()
        await until("the first publish", node.complete)
        seat = node.plan.first
        planted = await plant(node, seat, seat.directories[:2], 600.0)
        node.publisher.publish_now()
        await until("a higher counter everywhere", lambda: node.complete() and node.revisions()[0] > planted)


class PlainServiceTests(PublishingTestCase):
    """Beside a Tor that publishes the same address by itself."""

    timeout = 700.0

    def test_same_directories_in_both_segments(self) -> Deferred[None]:
        """In either half of the day a plain service uploads to exactly the directories that we plan, key by key."""
        return deferred(self.check_segments())

    async def check_segments(self) -> None:
        """Compare now, and again when the plan has changed or the other half of the day has come."""
        node = self.node()
        uploads: dict[bytes, set[str]] = {}
        await self.plain_service(node, uploads)
        await until("the first publish", lambda: bool(node.publisher.status()), 90)
        await self.check_same(node, uploads)
        half = self.half(node.plan)
        await until("the other half of the day", lambda: self.half(node.plan) != half, 300)
        await self.check_same(node, uploads)
        await until("both descriptors are confirmed by all directories, ours on top", node.complete)

    def half(self, plan: PublicationPlan) -> bool:
        """Tell the halves of the day apart: by the time since the second descriptor's run began."""
        return plan.valid_after - plan.second.srv_run_start >= 12 * self.network.voting_interval

    async def check_same(self, node: Node, uploads: dict[bytes, set[str]]) -> None:
        """Wait until the plain service has uploaded both descriptors to where we would."""
        await until(
            "a plain service uploads to the same directories",
            lambda: all(uploads.get(seat.blinded_public) == set(seat.directories) for seat in node.plan),
            90,
        )

    async def plain_service(self, node: Node, uploads: dict[bytes, set[str]]) -> None:
        """Run a plain service with the same key; ``uploads`` gets its directories, by blinded key."""
        directory = node.directory / "plain"
        ports = PortBlock.reserve(random.SystemRandom())
        self.addCleanup(ports.release)
        control = ports.take()
        write_service_keys(private_directory(private_directory(directory) / "service"), node.master)
        include = Path(self.network.include_path).read_text()
        options = include + torrc.client(control, 0) + torrc.onion_service(directory / "service", 1)
        plain = LabTor("plain", directory, options, reactor, control)
        plain.start()
        self.addCleanup(lambda: deferred(plain.stop()))
        link = await plain.control()
        await link.listen("HS_DESC", lambda text: self.note_upload(text, uploads))

    def note_upload(self, text: str, uploads: dict[bytes, set[str]]) -> None:
        """Keep where an upload goes."""
        action, _, _, relay, *rest = text.split()
        if action == "UPLOAD":
            uploads.setdefault(b64decode(rest[0] + "="), set()).add(relay[1:41])


class OwnNetworkTestCase(LiveTestCase):
    """A test that does to relays what nobody else's test should see, on a network of its own."""

    timeout = 500.0

    def setUp(self) -> Deferred[None]:  # type: ignore[override]
        """Boot a network."""
        return deferToThread(self.boot).addCallback(self._found)

    def boot(self) -> tuple[NetworkState, ClientState]:
        """Boot it, and return it and its client, which nobody else uses; it ends with the test, or this process."""
        directory = tempfile.mkdtemp(prefix="rb-deaf-", dir="/tmp")
        command = [sys.executable, "-m", "rustbalance.lab.network", "--directory", directory]
        child = subprocess.Popen(
            command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self.addCleanup(lambda: deferToThread(ended, child, directory))
        said = until_ready(child)
        found = load(Path(directory) / NETWORK_FILE, NetworkState)
        self.assertIsNotNone(found, said)
        assert found is not None
        return found, found.client

    async def expendable(self, node: Node) -> str:
        """
        Return a directory of both descriptors, no authority, that the node's Tor can do without for a while.

        A guard in use is the last resort, as Tor goes on building through one that hangs for minutes; of the others,
        that of the fewest circuits.
        """
        assert node.tor.control is not None
        circuits = await node.tor.control.get_info("circuit-status")
        guards = await node.tor.control.get_info("entry-guards")
        used = "".join(line for line in guards.splitlines() if line.endswith(" up"))
        both = set(node.plan.first.directories) & set(node.plan.second.directories)
        relays = [relay for relay in both if self.name(relay).startswith("r")]
        return min(relays, key=lambda relay: (relay in used, circuits.count(relay)))

    def name(self, fingerprint: str) -> str:
        """Return the name of a relay of the network, which is that of its directory."""
        files = Path(self.network.directory).glob("*/fingerprint")
        return next(each.parent.name for each in files if fingerprint in each.read_text())

    def process(self, fingerprint: str) -> int:
        """Return the process id of a relay."""
        return int((Path(self.network.directory) / self.name(fingerprint) / "child.pid").read_text().split()[0])


class DeafDirectoryTests(OwnNetworkTestCase):
    """A directory that is there and does not answer."""

    def test_the_rest_is_published(self) -> Deferred[None]:
        """With one directory stopped the others confirm, it fails at the deadline, and gets it when it runs again."""
        return deferred(self.check_rest())

    async def check_rest(self) -> None:
        """Stop a directory of both descriptors that the node's Tor does not depend on."""
        node = Node(self.network, directory_deadline=15.0, directory_quiet=15.0, retry_least=2.0, retry_most=20.0)
        self.addCleanup(lambda: deferred(node.stop()))
        node.start()
        await until("the first publish", node.complete)
        relay = await self.expendable(node)
        process = self.process(relay)
        os.kill(process, signal.SIGSTOP)
        self.addCleanup(os.kill, process, signal.SIGCONT)
        before = node.revisions()
        began = clocks().mono
        node.publisher.publish_now()
        await until("the deaf one is given up", lambda: node.revisions() > before and self.given_up(node, relay), 40)
        self.assertGreaterEqual(clocks().mono - began, 15.0)
        await until("all others have it", lambda: node.confirmed() == self.without(node, relay), 90)
        self.assertTrue(all(each.published for each in node.publisher.status()))
        self.assertIn("no answer", str(node.publisher.status()[0].problem))
        os.kill(process, signal.SIGCONT)
        await until("the deaf one has it", node.complete, 120)

    def given_up(self, node: Node, relay: str) -> bool:
        """Tell whether the relay's deadline has passed."""
        tracks = node.publisher._uploads._tracks.values()
        return any(relay in track.copies and track.copies[relay].state is State.EXPIRED for track in tracks)

    def without(self, node: Node, relay: str) -> list[tuple[int, int]]:
        """Return for both descriptors: directories other than the relay, and all; the day may end meanwhile."""
        seats = [seat.directories for seat in (node.plan.first, node.plan.second)]
        return [(len(seat) - seat.count(relay), len(seat)) for seat in seats]
