"""
Machines that are network namespaces, joined by a bridge.

Everything is below one user namespace that belongs to a child of ours: it needs no root, and namespaces, links and
mounts are gone with the processes in them, however those end. Each machine has a C{/run} of its own.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.utils import getProcessOutputAndValue
from twisted.python.failure import Failure

from rustbalance.life import pause, within

ROOT = Path(__file__).parent.parent.parent
NODE = "tests.live.wireguard_node"
#: What runs on a machine that others are to run things on.
IDLE = ("sh", "-c", "echo {} && exec cat")
SWITCH = "mount -t tmpfs tmpfs /run && ip link add br0 type bridge && ip link set br0 up && echo {} && exec cat"
MACHINE = 'mount -t tmpfs tmpfs /run && mount --bind "$1" /etc/hosts && ip link set lo up && shift && exec "$@"'


class Broken(Exception):
    """Something that the test needs did not work."""


class Process(ProcessProtocol):
    """A child that prints lines of JSON, which are kept as C{events}."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.complaints = b""
        self._rest = b""
        self._ended: Deferred[None] = Deferred()

    @property
    def pid(self) -> int:
        """The process id."""
        assert self.transport is not None
        assert self.transport.pid is not None
        return int(self.transport.pid)

    def outReceived(self, data: bytes) -> None:
        """Keep each line."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        self.events += [msgspec.json.decode(line) for line in lines]

    def errReceived(self, data: bytes) -> None:
        """Keep it for the message of a failure."""
        self.complaints += data

    def processEnded(self, reason: Failure) -> None:
        """Tell who waits."""
        self._ended.callback(None)

    def say(self, **order: Any) -> None:
        """Write a line to its standard input."""
        assert self.transport is not None
        self.transport.write(msgspec.json.encode(order) + b"\n")

    async def until(self, wanted: Callable[[dict[str, Any]], Any], seconds: float = 30, start: int = 0) -> Any:
        """Return the first event, from number C{start} on, for which C{wanted} returns something true: that."""
        deadline = reactor.seconds() + seconds
        while True:
            for event in self.events[start:]:
                found = wanted(event)
                if found:
                    return found
            if reactor.seconds() > deadline or self._ended.called:
                raise Broken(f"it did not happen within {seconds} s: {self.events[-10:]} {self.complaints.decode()}")
            await pause(reactor, 0.02)

    async def end(self) -> None:
        """Close its input, and kill it when that is not enough."""
        assert self.transport is not None
        self.transport.closeStdin()
        try:
            await within(10, reactor, self._ended)
        except Exception:
            self.transport.signalProcess("KILL")
            raise Broken(f"process {self.pid} did not end by itself: {self.complaints.decode()}") from None


async def run(*words: str, env: dict[str, str] | None = None) -> str:
    """
    Run a program and return its output.

    :raises Broken: it failed.
    """
    program = shutil.which(words[0])
    if program is None:
        raise Broken(f"there is no program {words[0]}")
    out, err, status = await getProcessOutputAndValue(program, words[1:], env=env or dict(os.environ))
    if status != 0:
        raise Broken(f"{' '.join(words)}: {status} {err.decode()}")
    return out.decode()  # type: ignore[no-any-return]


def spawn(words: tuple[str, ...], environment: dict[str, str], more: dict[int, int] | None = None) -> Process:
    """Start a program; ``more``: descriptors of ours that it has, by their numbers there."""
    process = Process()
    descriptors: dict[int, str | int] = {0: "w", 1: "r", 2: "r", **(more or {})}
    reactor.spawnProcess(process, words[0], words, env=environment, childFDs=descriptors)
    return process


class Machine:
    """A namespace with a node in it, at C{ip} on the bridge."""

    def __init__(self, number: int, process: Process) -> None:
        self.number = number
        self.ip = f"192.0.2.{number}"
        self.tunnel_ip = f"10.200.200.{number}"
        self.process = process

    @property
    def words(self) -> tuple[str, ...]:
        """What leads a command that is to be run inside."""
        program = shutil.which("nsenter") or "nsenter"
        return (program, "-t", str(self.process.pid), "-U", "-n", "-m", "--preserve-credentials")

    async def run(self, *words: str) -> str:
        """Run a program inside."""
        return await run(*self.words, *words)

    async def status(self) -> dict[str, Any]:
        """Ask the node."""
        start = len(self.process.events)
        self.process.say(status=True)
        found: dict[str, Any] = await self.process.until(lambda event: event.get("status"), 30, start)
        return found


class Switch:
    """The bridge, and the machines on it. C{path} is where the machines find programs first."""

    def __init__(self, path: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(dir="/tmp"))
        self.machines: list[Machine] = []
        self._path = path
        self._process: Process | None = None

    async def start(self) -> None:
        """Make the bridge."""
        words = ("unshare", "--user", "--map-root-user", "--net", "--mount", "sh", "-c", SWITCH)
        self._process = spawn((shutil.which("unshare") or "unshare", *words[1:]), dict(os.environ))
        await self._process.until(lambda event: event == {})

    async def stop(self) -> None:
        """End everything that was started, whatever happens."""
        shutil.rmtree(self.folder, ignore_errors=True)
        problems = []
        for process in [*(machine.process for machine in self.machines), self._process]:
            try:
                if process is not None:
                    await process.end()
            except Broken as error:
                problems.append(str(error))
        if problems:
            raise Broken("; ".join(problems))

    async def machine(self, names: dict[str, str], program: tuple[str, ...] = (sys.executable, "-m", NODE)) -> Machine:
        """Return a new machine, whose C{program} has started; C{names} is for its C{/etc/hosts}."""
        number = len(self.machines) + 1
        hosts = self.folder / f"hosts{number}"
        hosts.write_text("".join(f"{ip} {name}\n" for name, ip in names.items()))
        entered = (*self._inside("-m"), "unshare", "--net", "--mount", "--propagation", "private")
        node = ("sh", "-c", MACHINE, "sh", str(hosts), *program)
        search = {"PATH": f"{self._path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        process = spawn((shutil.which("nsenter") or "nsenter", *entered[1:], *node), {**os.environ, **search})
        machine = Machine(number, process)
        self.machines.append(machine)
        await self._plug(machine, self._port(machine))
        return machine

    async def cut(self, machine: Machine) -> None:
        """Pull the machine's cable; what it has open to others hears nothing of that."""
        await run(*self._inside(), "ip", "link", "set", self._port(machine), "down")

    async def mend(self, machine: Machine) -> None:
        """Put the cable back."""
        await run(*self._inside(), "ip", "link", "set", self._port(machine), "up")

    def _port(self, machine: Machine) -> str:
        return f"port{machine.number}"

    async def _plug(self, machine: Machine, port: str) -> None:
        await self._in_its_own_namespace(machine)
        pid = str(machine.process.pid)
        await run(*self._inside(), "ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", pid)
        await run(*self._inside(), "ip", "link", "set", port, "master", "br0", "up")
        await machine.run("ip", "address", "add", f"{machine.ip}/24", "dev", "eth0")
        await machine.run("ip", "link", "set", "eth0", "up")

    def _inside(self, *more: str) -> tuple[str, ...]:
        assert self._process is not None
        return ("nsenter", "-t", str(self._process.pid), "-U", "-n", *more, "--preserve-credentials")

    async def _in_its_own_namespace(self, machine: Machine) -> None:
        assert self._process is not None
        outer = os.readlink(f"/proc/{self._process.pid}/ns/net")
        ours = os.readlink("/proc/self/ns/net")
        for _ in range(500):
            if os.readlink(f"/proc/{machine.process.pid}/ns/net") not in (outer, ours):
                return
            await pause(reactor, 0.01)
        raise Broken(f"the machine did not start: {machine.process.complaints.decode()}")
