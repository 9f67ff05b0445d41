"""The WireGuard carrier in three network namespaces, with the real ip, wg and wireguard-go."""

import hashlib
import os
import shutil
import signal
import stat
import threading
import time
from base64 import b64encode
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from rustbalance.life import deferred, pause
from rustbalance.mesh.wg_config import key_text
from rustbalance.onion.client_auth import x25519_public
from rustbalance.secrets import Secret
from tests.live.namespaces import Broken, Machine, Switch, run

BACK_SECS = 30
"""The issue's figure for an interface that was lost."""
PORT = 51820
#: Stands in front of a real program: notes how it is called, fails where a file says so, and becomes the real one.
WITNESS = """#!/bin/sh
printf 'CALL %s\\nSTDIN %s\\n%s\\n' "$(basename "$0") $*" "$(readlink /proc/self/fd/0)" "$(env)" >>{log}
[ -e {log}.fail ] && {{ echo "told to fail" >&2; exit 2; }}
exec {real} "$@"
"""


class Sampler(threading.Thread):
    """Looks into the arguments and the environment of every process of this machine, over and over."""

    def __init__(self, needles: list[bytes]) -> None:
        super().__init__(daemon=True)
        self.found: list[str] = []
        self.seen: set[bytes] = set()
        self.rounds = 0
        self._needles = needles
        self._over = threading.Event()

    def run(self) -> None:
        """Look until told to stop."""
        while not self._over.wait(0.005):
            self.rounds += 1
            for process in Path("/proc").glob("[0-9]*"):
                self._look(process)

    def stop(self) -> None:
        """Look no more."""
        self._over.set()
        self.join(10)

    def _look(self, process: Path) -> None:
        for name in ("cmdline", "environ"):
            try:
                data = (process / name).read_bytes()
            except OSError:
                continue
            if name == "cmdline":
                self.seen.add(data)
            self.found += [f"{name} of {data[:60]!r}" for needle in self._needles if needle in data]


def written(path: Path, since: float) -> bytes:
    """Return the start of a regular file that has changed since then, and nothing of any other."""
    try:
        kind = path.lstat()
        if not stat.S_ISREG(kind.st_mode) or kind.st_mtime < since - 1:
            return b""
        with path.open("rb") as file:
            return file.read(2**20)
    except OSError:
        return b""


class Node:
    """A machine and its keys."""

    def __init__(self, machine: Machine, key: Secret) -> None:
        self.machine = machine
        self.process = machine.process
        self.name = f"node-{machine.ip.rpartition('.')[2]}"
        self.public = key_text(x25519_public(key))
        with key.expose() as view:
            self.private = bytes(view)  # a key of this test alone, to be looked for

    def address(self, host: str | None = None) -> str:
        """Return the address that goes into its record."""
        return f"wireguard:{self.public}@{host or self.machine.ip}:{PORT}/{self.machine.tunnel_ip}"

    def begin(self) -> None:
        """Tell the node who it is."""
        endpoint = f"{self.machine.ip}:{PORT}"
        key = b64encode(self.private).decode()
        self.process.say(key=key, tunnel_ip=self.machine.tunnel_ip, endpoint=endpoint)

    def meet(self, *others: "Node", **more: str) -> None:
        """Have these peers and no others."""
        self.process.say(peers={other.name: other.address() for other in others} | more)

    async def up(self, seconds: float = 20) -> None:
        """Wait until the interface is there."""
        await self.process.until(lambda event: "is up" in event.get("text", ""), seconds)

    async def warned(self, text: str, start: int, seconds: float = BACK_SECS) -> str:
        """Wait for something to be logged at warning or above; return its level."""
        level: str = await self.process.until(
            lambda event: text in event.get("text", "") and event["log"] in ("warn", "error") and event["log"],
            seconds,
            start,
        )
        return level


class WireguardTests(TestCase):
    """Three nodes on a bridge."""

    timeout = 180

    def setUp(self) -> Deferred[None]:  # type: ignore[override]
        """Make the bridge; it goes with everything on it when the test ends."""
        self.switch = Switch(self.witnesses())
        self.addCleanup(lambda: deferred(self.switch.stop()))
        return deferred(self.switch.start())

    def witnesses(self) -> Path:
        """Return a folder with programs that note how ip, wg and wireguard-go are called."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        self.calls = folder / "calls"
        for name in ("ip", "wg", "wireguard-go"):
            real = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
            if real is None:
                raise Broken(f"this test needs {name}: deploy/prepare.sh system")
            (folder / name).write_text(WITNESS.format(log=self.calls, real=real))
            (folder / name).chmod(0o755)
        return folder

    async def node(self, **names: str) -> Node:
        """Return a node that has not begun."""
        return Node(await self.switch.machine(names), Secret.random(32))

    async def nodes(self, count: int) -> list[Node]:
        """Return nodes that have an interface and no peers."""
        made = [await self.node() for _ in range(count)]
        for node in made:
            node.begin()
        for node in made:
            await node.up()
        return made

    async def heard(self, sender: Node, receiver: Node, frame: bytes, seconds: float = 10) -> float:
        """Send a frame, again each second until it arrives whole; return after how many seconds it had."""
        digest = hashlib.sha256(frame).hexdigest()
        start, began = len(receiver.process.events), reactor.seconds()
        while reactor.seconds() - began < seconds:
            sender.process.say(send=[receiver.name, frame.hex()])
            try:
                await receiver.process.until(lambda event: event.get("frame", {}).get("sha256") == digest, 1, start)
            except Broken:
                continue
            return float(reactor.seconds() - began)
        raise Broken(f"{receiver.name} has not heard {sender.name} within {seconds} s")

    async def test_peers_come_and_go(self) -> None:
        """Two nodes talk, a third is added and removed while they do, and their session stays what it was."""
        a, b, c = await self.nodes(3)
        a.meet(b)
        b.meet(a)
        await self.heard(a, b, os.urandom(100))
        await self.heard(b, a, os.urandom(100))
        session = await a.machine.run("wg", "show", "wg-rb", "latest-handshakes")
        for node, others in ((a, (b, c)), (b, (a, c)), (c, (a, b))):
            node.meet(*others)
        for sender, receiver in ((a, c), (c, a), (b, c), (c, b), (a, b)):
            await self.heard(sender, receiver, os.urandom(5000))
        a.meet(b)
        await self.until_peers(a, {b.public})
        start = len(a.process.events)
        c.process.say(send=[a.name, b"nobody there".hex()])
        await self.heard(b, a, os.urandom(100))
        sizes = [event["frame"]["size"] for event in a.process.events[start:] if "frame" in event]
        self.assertEqual(sizes, [100])
        self.assertIn(session.strip(), await a.machine.run("wg", "show", "wg-rb", "latest-handshakes"))

    async def until_peers(self, node: Node, keys: set[str]) -> None:
        """Wait until the interface has exactly the peers with these keys."""
        for _ in range(100):
            if set((await node.machine.run("wg", "show", "wg-rb", "peers")).split()) == keys:
                return
            await pause(reactor, 0.1)
        raise Broken("the interface has other peers")

    async def test_large_frames(self) -> None:
        """Frames of every size up to 1 MiB arrive whole."""
        a, b = await self.nodes(2)
        a.meet(b)
        b.meet(a)
        for size in (1, 1219, 1220, 100_000, 2**20):
            await self.heard(a, b, os.urandom(size))
        self.assertIn('"mtu":1280,', await b.machine.run("ip", "-j", "link", "show", "dev", "wg-rb"))

    async def test_the_interface_is_made_anew(self) -> None:
        """Whether its process is killed or hangs, or it is deleted, set down or emptied: it is back within 30 s."""
        a, b = await self.nodes(2)
        a.meet(b)
        b.meet(a)
        await self.heard(a, b, os.urandom(100))

        async def process_gets(number: signal.Signals) -> None:
            os.kill((await a.machine.status())["pid"], number)

        breakages: dict[str, Any] = {
            "kill -9": lambda: process_gets(signal.SIGKILL),
            "delete": lambda: a.machine.run("ip", "link", "delete", "dev", "wg-rb"),
            "hang": lambda: process_gets(signal.SIGSTOP),
            "set down": lambda: a.machine.run("ip", "link", "set", "dev", "wg-rb", "down"),
            "small packets": lambda: a.machine.run("ip", "link", "set", "dev", "wg-rb", "mtu", "600"),
            "no address": lambda: a.machine.run("ip", "address", "flush", "dev", "wg-rb"),
            "no peer": lambda: a.machine.run("wg", "set", "wg-rb", "peer", b.public, "remove"),
        }
        for what, breaking in breakages.items():
            began, start = reactor.seconds(), len(a.process.events)
            await breaking()
            if what != "no peer":
                await a.process.until(lambda event: "is up" in event.get("text", ""), BACK_SECS, start)
                self.assertIn(await a.warned("failed", start), ("warn", "error"))
            await self.heard(b, a, os.urandom(3000), BACK_SECS)
            took = reactor.seconds() - began
            print(f"\n{what}: traffic is back after {took:.1f} s", end="")
            self.assertLess(took, BACK_SECS)

    async def test_three_failures_are_an_error(self) -> None:
        """An interface that cannot be made is a warning twice, an error the third time, and made when it can be."""
        (a,) = await self.nodes(1)
        start = len(a.process.events)
        Path(f"{self.calls}.fail").touch()
        os.kill((await a.machine.status())["pid"], signal.SIGKILL)
        await a.process.until(lambda event: event.get("log") == "error", BACK_SECS, start)
        levels = [event["log"] for event in a.process.events[start:] if event.get("log") in ("warn", "error")]
        self.assertEqual(levels, ["warn", "warn", "error"])
        status = await a.machine.status()
        self.assertIsNone(status["listening"])
        self.assertIn("told to fail", status["problem"])
        Path(f"{self.calls}.fail").unlink()
        await a.process.until(lambda event: "is up" in event.get("text", ""), BACK_SECS, start)

    async def test_what_a_killed_daemon_left(self) -> None:
        """An interface that bears our mark is taken over; one that does not is left alone and complained of."""
        ours, foreign = await self.node(), await self.node()
        for node, alias in ((ours, f"rustbalance {ours.public}"), (foreign, "made by hand")):
            await node.machine.run("sh", "-c", "exec wireguard-go wg-rb </dev/null >/dev/null 2>&1")
            await node.machine.run("ip", "link", "set", "dev", "wg-rb", "alias", alias, "up")
            node.begin()
        await ours.up()
        self.assertIn("there is a network interface wg-rb that is not ours", await self.complaint(foreign))
        self.assertIn("made by hand", await foreign.machine.run("ip", "link", "show", "dev", "wg-rb"))
        await foreign.machine.run("ip", "link", "delete", "dev", "wg-rb")
        await foreign.up(BACK_SECS)

    async def complaint(self, node: Node) -> str:
        """Wait for a warning and return it."""
        text: str = await node.process.until(lambda event: event.get("log") == "warn" and event["text"])
        return text

    async def test_names_and_nobody(self) -> None:
        """A peer's endpoint may be a name; one that cannot be looked up keeps nobody else waiting."""
        a, b = await self.node(elsewhere="192.0.2.2"), await self.node()
        for node in (a, b):
            node.begin()
        nobody = key_text(os.urandom(32))
        began = reactor.seconds()
        a.process.say(
            peers={"b": b.address("elsewhere"), "ghost": f"wireguard:{nobody}@nobody.invalid:1/10.200.200.77"}
        )
        b.meet(a)
        await a.process.until(lambda event: event.get("opened") == "b", 20)
        self.assertLess(reactor.seconds() - began, 20)
        self.assertIn("192.0.2.2:51820", await a.machine.run("wg", "show", "wg-rb", "endpoints"))
        status = await a.machine.status()
        self.assertEqual((status["links_up"], status["links_down"]), (1, 1))

    async def test_the_key_is_nowhere(self) -> None:
        """The private key reaches wg by a pipe, and is in no argument, no environment and no file at any time."""
        nodes = [await self.node() for _ in range(3)]
        needles = [
            needle
            for node in nodes
            for needle in (
                node.private,
                b64encode(node.private),
                b64encode(node.private)[:-1],
                node.private.hex().encode(),
            )
        ]
        sampler = Sampler(needles)
        sampler.start()
        self.addCleanup(sampler.stop)
        began = time.time()
        for node in nodes:
            node.begin()
        for node in nodes:
            await node.up()
            node.meet(*(other for other in nodes if other is not node))
        await self.heard(nodes[0], nodes[1], os.urandom(100))
        await self.heard(nodes[2], nodes[0], os.urandom(100))
        sampler.stop()
        self.assertEqual(sampler.found, [])
        self.assertGreater(sampler.rounds, 5)
        self.assertTrue(any(b"wireguard-go\0-f\0wg-rb" in seen for seen in sampler.seen), "the sampler sees children")
        self.check_witnesses(needles, len(nodes))
        for node in nodes:
            self.check_files(node, needles, began)

    async def test_the_sampler_sees(self) -> None:
        """What the test above looks with finds a key that is in an argument or in an environment."""
        sampler = Sampler([b"needle-in-arguments", b"needle-in-environment"])
        sampler.start()
        self.addCleanup(sampler.stop)
        await run("sh", "-c", "sleep 1", "needle-in-arguments", env={**os.environ, "KEY": "needle-in-environment"})
        sampler.stop()
        self.assertEqual({found.split()[0] for found in sampler.found}, {"cmdline", "environ"})

    def check_witnesses(self, needles: list[bytes], count: int) -> None:
        """See that no call of any child had the key, and that it came by a pipe."""
        calls = self.calls.read_bytes()
        self.assertEqual([needle for needle in needles if needle in calls], [])
        lines = calls.decode().splitlines()
        with_key = [index for index, line in enumerate(lines) if "private-key /dev/stdin" in line]
        self.assertEqual(len(with_key), count)
        for index in with_key:
            self.assertIn("STDIN pipe:", lines[index + 1])

    def check_files(self, node: Node, needles: list[bytes], since: float) -> None:
        """See that no file that was written since then has the key."""
        root = f"/proc/{node.process.pid}/root"
        for folder in ("run", "tmp", "var/tmp", "dev/shm", "etc"):
            for where, _, names in os.walk(f"{root}/{folder}"):
                for name in names:
                    data = written(Path(where, name), since)
                    self.assertFalse(any(needle in data for needle in needles), f"{where}/{name} has the key")

    async def test_nothing_is_left(self) -> None:
        """A node that stops takes its interface and its process down."""
        (a,) = await self.nodes(1)
        pid = (await a.machine.status())["pid"]
        self.switch.machines.remove(a.machine)
        await a.process.end()
        self.assertFalse(Path(f"/proc/{pid}").exists())
