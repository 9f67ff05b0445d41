"""
A private Tor network on loopback, from Debian's tor.

Owns: starting authorities, relays, one client and traffic between the relays, and telling when they are usable. In: a
directory and numbers; out: ``NetworkState`` with the include file for other Tors and the ports of the client.

From a shell::

    python -m rustbalance.lab.network --directory DIR

prints its progress, then ``ready DIR/network.json``, and runs until its standard input closes or it is sent SIGTERM
(``--detached`` does not look at standard input). Any Tor with ``%include DIR/include.torrc`` in its torrc is then in
the network, such as those of a node with ``tor.torrc_include``; ``network.json`` has the ports of the client.
"""

import argparse
import os
import random
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import react
from twisted.internet.threads import deferToThreadPool

from rustbalance.files import private_directory
from rustbalance.lab import state
from rustbalance.lab.build import Layout, Size, build
from rustbalance.lab.child import ChildEnded
from rustbalance.lab.control import ControlLink, NotAnswered
from rustbalance.lab.leftovers import end_leftovers
from rustbalance.lab.ports import PortBlock
from rustbalance.lab.running import InputEnds, until_stopped
from rustbalance.lab.torrc import Timing
from rustbalance.lab.traffic import Traffic
from rustbalance.life import deferred, now, pause, within
from rustbalance.onion.consensus import MalformedConsensus

BOOT_DEADLINE = 180.0
POLL = 0.5
ATTEMPTS = 3
Progress = Callable[[str], None]


class TorNotFound(FileNotFoundError):
    """tor is not installed."""


class NetworkNotUsable(Exception):
    """The network did not come up; the message says why."""


class PrivateNetwork:
    """``authorities`` + ``relays`` Tors that vote every ``voting_interval`` seconds, a client, and traffic."""

    def __init__(
        self, directory: Path, reactor: Any, authorities: int = 3, relays: int = 9, voting_interval: int = 20
    ) -> None:
        self.directory = directory.absolute()
        self.include_path = self.directory / "include.torrc"
        self.size = Size(authorities, relays)
        self.timing = Timing(voting_interval)
        self.layout: Layout | None = None
        self._reactor = reactor
        self._lock: int | None = None
        self._ports: PortBlock | None = None
        self._traffic: Traffic | None = None

    async def start(self, progress: Progress = lambda _: None) -> state.NetworkState:
        """
        Build and start everything; return when the client sees every relay as a directory.

        :raises TorNotFound: tor is not installed.
        :raises rustbalance.lab.state.LabRuns: another process has a network in this directory.
        :raises NetworkNotUsable: it did not come up, with the last words of what failed.
        """
        for program in ("tor", "tor-gencert"):
            if shutil.which(program) is None:
                raise TorNotFound(f"{program} is not installed; on Debian and Ubuntu it is in the package tor")
        self._lock = state.hold(private_directory(self.directory))
        try:
            return await self._start(progress)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End every process of the network."""
        (self.directory / state.NETWORK_FILE).unlink(missing_ok=True)
        await self._end_all()
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def seconds(self) -> float:
        """Return the reactor's time."""
        seconds: float = self._reactor.seconds()
        return seconds

    @property
    def include_text(self) -> str:
        """What ``include_path`` holds; empty before the start."""
        return self.layout.include if self.layout else ""

    async def _start(self, progress: Progress) -> state.NetworkState:
        began, wall = self._reactor.seconds(), now().wall
        await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), end_leftovers, self.directory)
        for attempt in range(ATTEMPTS):
            try:
                layout = await within(BOOT_DEADLINE, self._reactor, self._boot(progress))
                break
            except ChildEnded as ended:
                await self._end_all()
                if "already in use" not in str(ended) or attempt + 1 == ATTEMPTS:
                    raise NetworkNotUsable(str(ended)) from None
        self._bring_to_life(layout)
        described = self._describe(layout, wall, self._reactor.seconds() - began)
        state.save(self.directory / state.NETWORK_FILE, described)
        return described

    async def _boot(self, progress: Progress) -> Layout:
        progress(f"making keys for {self.size.authorities} authorities")
        self._ports = PortBlock.reserve(random.Random())
        self.layout = await build(self.directory, self.size, self.timing, self._ports, self._reactor)
        self.include_path.write_text(self.layout.include)
        await pause(self._reactor, self.timing.until_good_start(now().wall))
        progress(f"starting {self.size.total} relays and a client")
        for tor in (*self.layout.relays, self.layout.client):
            tor.start()
        link = await self.layout.client.control()
        try:
            await self._until_usable(self.layout, link, progress)
        finally:
            await link.close()
        return self.layout

    def _bring_to_life(self, layout: Layout) -> None:
        ports = self._ports
        assert ports is not None
        place = self.directory / "traffic"
        self._traffic = Traffic(place, layout.include, ports.take(), ports.take(), self._reactor)
        self._traffic.start()

    async def _until_usable(self, layout: Layout, link: ControlLink, progress: Progress) -> None:
        said = ""
        while not (view := await look(link)).complete(self.size.total):
            for tor in (*layout.relays, layout.client):
                if tor.child is not None:
                    tor.child.raise_if_ended()
            if str(view) != said:
                said = str(view)
                progress(said)
            await pause(self._reactor, POLL)
        progress(str(view))

    async def _end_all(self) -> None:
        traffic, self._traffic = self._traffic, None
        if traffic is not None:
            await traffic.stop()
        tors = (*self.layout.relays, self.layout.client) if self.layout else ()
        await gatherResults([deferred(tor.stop()) for tor in tors], consumeErrors=True)
        if self._ports is not None:
            self._ports.release()
            self._ports = None

    def _describe(self, layout: Layout, wall: float, took: float) -> state.NetworkState:
        client = state.ClientState(
            directory=str(layout.client.directory),
            control_port=layout.client.control_port,
            socks_port=layout.socks_port,
        )
        return state.NetworkState(
            pid=os.getpid(),
            directory=str(self.directory),
            include_path=str(self.include_path),
            started_at=wall,
            boot_secs=round(took, 1),
            voting_interval=self.timing.voting_interval,
            authorities=self.size.authorities,
            relays=self.size.relays,
            client=client,
        )


@dataclass(frozen=True)
class View:
    """What a client sees of the network: its bootstrap in percent, directories listed, relays described."""

    percent: int
    directories: int
    described: int

    def complete(self, relays: int) -> bool:
        """Say whether nothing of ``relays`` relays is missing."""
        return self.percent == 100 and self.directories == relays and self.described >= relays

    def __str__(self) -> str:
        return (
            f"client at {self.percent} %, {self.directories} directories in the consensus, {self.described} described"
        )


async def look(link: ControlLink) -> View:
    """Ask a client how much of the network it sees."""
    percent = re.search(r"PROGRESS=(\d+)", await link.ask("status/bootstrap-phase"))
    try:
        directories = len((await link.consensus()).relays)
    except (MalformedConsensus, NotAnswered):
        directories = 0
    return View(int(percent[1]) if percent else 0, directories, await link.described() if directories else 0)


async def run(reactor: Any, arguments: Sequence[str] = ()) -> None:
    """Run a network until the reactor is told to stop; the command line is described at the top of this file."""
    options = _parser().parse_args(arguments or None)
    network = PrivateNetwork(options.directory, reactor, options.authorities, options.relays, options.voting_interval)
    if not options.detached:
        InputEnds(0, reactor, reactor.stop).startReading()
    await until_stopped(reactor, _serve(network), network.stop)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m rustbalance.lab.network", description="A private Tor network.")
    parser.add_argument("--directory", type=Path, default=state.default_directory() / "network")
    parser.add_argument("--authorities", type=int, default=3)
    parser.add_argument("--relays", type=int, default=9)
    parser.add_argument("--voting-interval", type=int, default=20, help="seconds")
    parser.add_argument("--detached", action="store_true", help="do not end when standard input closes")
    return parser


async def _serve(network: PrivateNetwork) -> None:
    began = network.seconds()
    await network.start(lambda what: print(f"{network.seconds() - began:5.1f} s  {what}", flush=True))
    print(f"ready {network.directory / state.NETWORK_FILE}", flush=True)
    await Deferred()


if __name__ == "__main__":
    react(run, [sys.argv[1:]])
