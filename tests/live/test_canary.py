"""The canary on real nodes: what it tells whom, what the target sees of it, and what it finds out."""

import json
import re
import sys
import time
from pathlib import Path
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from rustbalance.lab.child import spawn
from rustbalance.life import deferred, pause, within
from rustbalance.ops.status import NodeStatus
from tests.live.cluster import NODES, ClusterTestCase, published_points
from tests.live.nodes import NodeTestCase

reactor: Any = global_reactor
PATH = "/__rustbalance/health"
TOKEN = "a-token-for-the-operator"
#: Another spelling of the same path, and what only some servers would take for it.
SAME = ("/__rustbalance//health", "/%5F_rustbalance/./health?x", "http://{host}/__rustbalance/health")
NEAR = (
    "/__rustbalance/health/",
    "/__RustBalance/Health",
    "/__rustbalance%2fhealth",
    "/%255f_rustbalance/health",
    "/__rustbalance/health;x=1",
    "/__rustbalance\\health",
    "/.rb/x",
    "/%2erb/x",
    "http://{host}/__rustbalance/health/x",
)
FIELDS = [
    "status",
    "node_id",
    "is_publisher",
    "uptime_secs",
    "target_healthy",
    "last_publish_age_secs",
    "active_peers",
    "instance",
]
#: Visits that each of three nodes may need until it has seen all of them.
MOST_VISITS = 60


def figure(text: str) -> None:
    """Print a measured figure."""
    print(f"\n    {text}", file=sys.stderr, flush=True)


class Raw(Protocol):
    """Sends bytes as they are, and keeps what comes back until the end."""

    def __init__(self, request: bytes) -> None:
        self.answer: Deferred[bytes] = Deferred()
        self._request = request
        self._got = b""

    def connectionMade(self) -> None:
        """Ask."""
        assert self.transport is not None
        self.transport.write(self._request)

    def dataReceived(self, data: bytes) -> None:
        """Keep it."""
        self._got += data

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008  (Twisted's default)
        """That was it."""
        self.answer.callback(self._got)


class PageTests(NodeTestCase):
    """One node with the canary on."""

    def configure(self, *lines: str) -> None:
        """Write lines into the table C{[canary]}, and let nobody but visitors ask the target."""
        config = self.node.config
        text = re.sub(r"(?m)^\[canary\].*$", "\n".join(("[canary]", *lines)), config.read_text())
        config.write_text(re.sub(r"(?m)^\[health\].*$", "[health]\nhttp_probe_enabled = false", text))

    async def serving(self) -> None:
        """Start the node with a log that holds everything, and wait until both descriptors are published."""
        options = ("--log-format=text", "--log-level=debug")
        command = (sys.executable, "-m", "twisted", *options, "rustbalance", "--config", str(self.node.config))
        self.node.child = spawn(reactor, "node", command, self.directory / "node")
        await self.node.published()

    async def ask(self, target: str, *fields: str, method: str = "GET") -> bytes:
        """Return the whole answer to a request for C{target}, spelled as it is."""
        host = self.node.onion_address
        lines = (f"{method} {target.format(host=host)} HTTP/1.1", f"Host: {host}", "Connection: close", *fields, "", "")
        raw = Raw("\r\n".join(lines).encode())
        factory: Any = Factory.forProtocol(lambda: raw)
        way = self.visitors.client.endpoint(host, 80, "canary")
        return await within(60.0, reactor, deferred(self._connected(way.connect(factory), raw)))

    async def _connected(self, connecting: Deferred[Any], raw: Raw) -> bytes:
        await connecting
        return await raw.answer

    @property
    def log(self) -> str:
        """What the daemon has said."""
        return (self.directory / "node" / "output.log").read_text()

    async def test_for_everybody(self) -> None:
        """
        Without a token everybody is told that it works, in any spelling that is the same path, by GET and by HEAD;
        near misses are the plain 404. The target hears of none of it.
        """
        await self.prepare()
        self.configure("enabled = true")
        await self.serving()
        await self.page()
        before = self.site.requests
        for target in (PATH, *SAME):
            head, _, body = (await self.ask(target)).partition(b"\r\n\r\n")
            self.assertIn(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n", head)
            self.assertEqual(body, b'{"status":"ok"}', target)
            self.assertEqual(await self.ask(target, method="HEAD"), head + b"\r\n\r\n")
        missing = {await self.ask(target) for target in NEAR} | {await self.ask(PATH, method="POST")}
        self.assertEqual(len(missing), 1, missing)
        self.assertTrue(missing.pop().startswith(b"HTTP/1.1 404 Not Found\r\n"))
        self.assertEqual(self.site.requests, before)
        self.assertIn(b"404", await self.ask("/__rustbalance/healthx"))
        self.assertEqual(self.site.requests, before + 1)

    async def test_for_the_operator(self) -> None:
        """With a token its bearer gets the details, and everybody else what an unknown path of ours gets."""
        await self.prepare()
        self.configure("enabled = true", f'token = "{TOKEN}"', "startup_delay_secs = 0", "interval_secs = 5")
        await self.serving()
        head, _, body = (await self.ask(PATH, f"Authorization: Bearer {TOKEN}")).partition(b"\r\n\r\n")
        self.assertIn(b"200 OK", head)
        details = json.loads(body)
        self.assertEqual(list(details), FIELDS)
        self.assertEqual((details["status"], details["node_id"], details["is_publisher"]), ("ok", "node", True))
        self.assertEqual((details["target_healthy"], details["active_peers"]), (True, 0))
        self.assertIn(details["instance"], ("primary", "standby"))
        self.assertIsInstance(details["last_publish_age_secs"], int)
        twin = await self.ask("/.rb/unknown")
        self.assertTrue(twin.startswith(b"HTTP/1.1 404 Not Found\r\n"))
        for fields in ((), ("Authorization: Bearer x",), (f"Authorization: Bearer {TOKEN}x",)):
            self.assertEqual(await self.ask(PATH, *fields), twin)
        await self.node.until(
            lambda status: status.canary is not None and status.canary.passed_age_secs is not None, 60
        )
        self.assertIn("Canary self-test passed (200, status=ok), answered by node node (", self.log)
        self.assertNotIn(TOKEN, self.log)
        self.assertEqual(self.site.requests, 0)

    async def test_off(self) -> None:
        """Where nobody has asked for a canary its path is the target's, and nothing visits the address."""
        await self.prepare()
        self.configure()
        await self.serving()
        before = self.site.requests
        self.assertIn(b"404", await self.ask(PATH))
        self.assertEqual(self.site.requests, before + 1)
        status = await self.node.status()
        assert status is not None
        self.assertIsNone(status.canary)

    async def test_three_failures(self) -> None:
        """
        When visitors get no further than Tor, three visits fail: one error, a diagnosis, one repair however often it
        fails after that; and all is said to be well when it is.
        """
        await self.prepare()
        self.configure("enabled = true", "startup_delay_secs = 10", "interval_secs = 2", "timeout_secs = 10")
        await self.serving()
        await self.node.until(
            lambda status: status.canary is not None and status.canary.passed_age_secs is not None, 60
        )
        ways_in = list((self.directory / "node" / "state").glob("front*.sock"))
        self.assertTrue(ways_in)
        began, before = time.monotonic(), len(self.log)
        for place in ways_in:
            place.rename(hidden(place))
        status = await self.node.until(lambda status: _failures(status) >= 3, 90)
        figure(f"from the break to the third failure: {time.monotonic() - began:.1f} s")
        await self.node.until(lambda status: any("cannot be reached" in one for one in status.problems), 10)
        status = await self.node.until(lambda status: _failures(status) >= 8, 120)
        assert status.canary is not None
        self.assertEqual(status.canary.diagnosis, "nothing is wrong here, as far as can be seen")
        said = self.log[before:]
        self.assertEqual(said.count("Canary self-test FAILED 3 times in a row"), 1)
        self.assertEqual(said.count("the descriptors are being published again (attempt 1)"), 1)
        self.assertEqual(said.count("the descriptors are being published again"), 1)
        for place in ways_in:
            hidden(place).rename(place)
        began = time.monotonic()
        await self.node.until(lambda status: _failures(status) == 0 and not status.problems, 60)
        figure(f"from the mending to a visit that passes: {time.monotonic() - began:.1f} s")
        self.assertEqual(self.log.count("Canary self-test recovered"), 1)


def hidden(place: Path) -> Path:
    """Return where a socket is out of the way."""
    return place.with_name(f"away-{place.name}")


def _failures(status: NodeStatus) -> int:
    return 0 if status.canary is None else status.canary.failures


class TableTests(ClusterTestCase):
    """Three nodes with the canary on."""

    async def test_all_are_seen(self) -> None:
        """Each node sees all three of them answer, provably, within 60 visits, and each through its two Tors."""
        await self.prepare()
        for member in self.members.values():
            text = member.config.read_text().replace('standby_mode = "off"', 'standby_mode = "service"')
            canary = "[canary]\nenabled = true\ninterval_secs = 1\nstartup_delay_secs = 5\n"
            member.config.write_text(text + canary)
        self.start()
        await self.until("all points published", lambda found: published_points(found) == 18, 120)
        started = {name: _visits(status) for name, status in (await self.statuses()).items()}
        await self.until("everybody has seen everybody", _all_seen, 240)
        took = {name: _visits(status) - started[name] for name, status in (await self.statuses()).items()}
        figure(f"visits until a node has seen all three: {sorted(took.values())}")
        self.assertLessEqual(max(took.values()), MOST_VISITS)
        await self.until("and through both Tors of each", _both_seen, 240)
        took = {name: _visits(status) - started[name] for name, status in (await self.statuses()).items()}
        figure(f"visits until it has seen both Tors of all three: {sorted(took.values())}")

    async def statuses(self) -> dict[str, NodeStatus]:
        """Return what all nodes say about themselves."""
        found = {name: await member.status() for name, member in self.members.items()}
        await pause(reactor, 0)
        return {name: status for name, status in found.items() if status is not None}


def _visits(status: NodeStatus) -> int:
    return 0 if status.canary is None else status.canary.visits


def _all_seen(found: dict[str, NodeStatus]) -> bool:
    seen = [{one.node for one in status.canary.seen} for status in found.values() if status.canary is not None]
    return len(seen) == len(NODES) and all(nodes == set(NODES) for nodes in seen)


def _both_seen(found: dict[str, NodeStatus]) -> bool:
    wanted = {(node, instance) for node in NODES for instance in ("primary", "standby")}
    seen = [{(one.node, one.instance) for one in status.canary.seen} for status in found.values() if status.canary]
    return len(seen) == len(NODES) and all(pairs == wanted for pairs in seen)
