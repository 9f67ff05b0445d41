"""
One WireGuard interface of ours.

Owns: making it, by the kernel or with wireguard-go, checking it, changing its peers, taking it down. In: settings, the
private key, peers; out: a network interface, and what it reports.

The interface bears an alias that says that it is ours and with which key. What a killed daemon left is taken down
and made anew; an interface of the same name that is somebody else's is left alone.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import TimeoutError
from twisted.logger import Logger

from rustbalance.life import pause, within
from rustbalance.mesh.tunnel_addresses import TunnelAddress
from rustbalance.mesh.wg_config import Change, WgPeer, arguments
from rustbalance.mesh.wg_report import Link, UnreadableReport, read_allowed_ips, read_handshakes, read_link
from rustbalance.mesh.wg_tool import Child, ToolFailed, Tools
from rustbalance.secrets import Secret

MTU = 1280
"""Fits through any link of 1360 and more, so that encrypted packets are not fragmented there."""
START_SECS = 10.0
"""For wireguard-go to open its socket; it takes 20 ms."""
LOOK_SECS = 0.02


class InterfaceFailed(Exception):
    """The interface cannot be made, or is not as we made it; the message says what is wrong."""


@dataclass(frozen=True)
class InterfaceSettings:
    """
    ``name``: at most 15 characters. ``listen_port``: UDP, outside the tunnel.

    ``prefix_length``: of the tunnel's network. ``userspace``: the program for a kernel that has no WireGuard.
    """

    name: str
    listen_port: int
    prefix_length: int
    userspace: str = "wireguard-go"


@dataclass(frozen=True)
class Report:
    """What the interface has: networks and the time of the last handshake, by the peers' public keys."""

    allowed_ips: Mapping[str, frozenset[str]]
    handshakes: Mapping[str, int]


class WgInterface:
    """The interface ``settings.name``, with the key pair that is given. ``gone`` is called when its process ends."""

    log = Logger()

    def __init__(
        self, settings: InterfaceSettings, private_key: Secret, public_key: str, tools: Tools, reactor: Any
    ) -> None:
        self.gone: Callable[[], None] = lambda: None
        self._settings = settings
        self._private_key = private_key
        self._public_key = public_key
        self._tools = tools
        self._reactor = reactor
        self._process: Child | None = None
        self._ours = False

    @property
    def name(self) -> str:
        """The name of the network interface."""
        return self._settings.name

    @property
    def pid(self) -> int | None:
        """The process id of wireguard-go, None when there is none."""
        return self._process.pid if self._process is not None else None

    async def make(self, tunnel_ip: TunnelAddress, peers: Sequence[WgPeer]) -> None:
        """
        Make the interface anew, whatever was there of ours.

        :raises InterfaceFailed: the name is somebody else's, or neither the kernel nor wireguard-go makes one.
        :raises ToolFailed: a later step went wrong; ``remove`` clears up.
        """
        await self._clear()
        await self._add()
        name, settings = self._settings.name, self._settings
        await self._tools.run("ip", "link", "set", "dev", name, "alias", self._alias)
        listen = ("private-key", "/dev/stdin", "listen-port", str(settings.listen_port))
        await self._tools.run("wg", "set", name, *listen, *arguments(peers), secret=self._private_key)
        # Without duplicate address detection: an IPv6 address could not be used for its first second.
        nodad = ("nodad",) if tunnel_ip.version == 6 else ()
        own = f"{tunnel_ip}/{settings.prefix_length}"
        await self._tools.run("ip", "address", "replace", own, "dev", name, *nodad)
        await self._tools.run("ip", "link", "set", "dev", name, "mtu", str(MTU), "up")

    async def check(self, tunnel_ip: TunnelAddress) -> Report:
        """
        Return what the interface reports.

        :raises InterfaceFailed: it is not there, down, or has not our address, packet size, key or port.
        """
        if self._process is not None and self._process.ending is not None:
            raise InterfaceFailed(f"{self._settings.userspace}: {self._process.ending}")
        try:
            link = await self._link()
            found = {
                "it is down": link.up,
                f"it has lost the address {tunnel_ip}": str(tunnel_ip) in link.addresses,
                f"its MTU is {link.mtu}": link.mtu == MTU,
                "it has another key": await self._show("public-key") == self._public_key,
                "it listens on another port": await self._show("listen-port") == str(self._settings.listen_port),
            }
            report = Report(
                read_allowed_ips(await self._show("allowed-ips")),
                read_handshakes(await self._show("latest-handshakes")),
            )
        except (ToolFailed, UnreadableReport) as error:
            raise InterfaceFailed(str(error)) from None
        for fault, fine in found.items():
            if not fine:
                raise InterfaceFailed(fault)
        return report

    async def change(self, changes: Sequence[Change]) -> None:
        """
        Change the peers; those that are not named keep their sessions.

        :raises ToolFailed: wg(8) refuses.
        """
        await self._tools.run("wg", "set", self._settings.name, *arguments(changes))

    async def remove(self) -> None:
        """Take down what ``make`` made, as far as it came; what is not there any longer is no error."""
        name, refusal = self._settings.name, ""
        if self._ours:
            try:
                await self._tools.run("ip", "link", "delete", "dev", name)
            except ToolFailed as error:
                refusal = str(error)
        ours, self._ours = self._ours, False
        if self._process is not None:
            await self._process.end(self._reactor)
            self._process = None
        if ours and refusal and await self._is_there():
            self.log.error("the network interface {name} is left behind: {refusal}", name=name, refusal=refusal)

    @property
    def _alias(self) -> str:
        return f"rustbalance {self._public_key}"

    async def _link(self) -> Link:
        output = await self._tools.run("ip", "-j", "-d", "address", "show", "dev", self._settings.name)
        return read_link(output, self._settings.name)

    async def _is_there(self) -> bool:
        with suppress(ToolFailed, UnreadableReport):
            return bool(await self._link())
        return False

    async def _show(self, what: str) -> str:
        return (await self._tools.run("wg", "show", self._settings.name, what)).rstrip("\n")

    async def _clear(self) -> None:
        """Take down what is there from before: of this process, or of one that was killed."""
        await self.remove()
        try:
            link = await self._link()
        except ToolFailed as error:
            if error.status is None:
                raise InterfaceFailed(str(error)) from None
            return  # there is no such interface
        except UnreadableReport as error:
            raise InterfaceFailed(str(error)) from None
        if link.alias != self._alias and not await self._is_half_made(link):
            raise InterfaceFailed(
                f"there is a network interface {self._settings.name} that is not ours; remove it or choose another name"
            )
        await self._tools.run("ip", "link", "delete", "dev", self._settings.name)

    async def _is_half_made(self, link: Link) -> bool:
        """Say whether it may be ours from before it got its alias: a WireGuard interface with nothing in it."""
        with suppress(ToolFailed):
            return not link.up and not link.alias and await self._show("public-key") == "(none)"
        return False

    async def _add(self) -> None:
        """Ask the kernel first; wireguard-go is for those that have no WireGuard."""
        program = self._settings.userspace
        self._ours = True
        try:
            await self._tools.run("ip", "link", "add", "dev", self._settings.name, "type", "wireguard")
        except ToolFailed as error:
            self._ours = False
            if not self._tools.has(program):
                raise InterfaceFailed(f"{error.complaint}, and there is no {program} to do without") from None
            await self._start(program)

    async def _start(self, program: str) -> None:
        process = self._process = self._tools.start(program, "-f", self._settings.name, tied=True)
        self._ours = True
        process.ended().addCallback(lambda _: self._ended(process))
        with suppress(TimeoutError):
            await within(START_SECS, self._reactor, self._answer(process))
            return
        raise InterfaceFailed(f"{program}: no answer within {START_SECS:g} s")

    async def _answer(self, process: Child) -> None:
        """Wait until wg(8) finds it; it says nothing itself when it is ready."""
        while True:
            if process.ending is not None:
                # Its first words are a box that praises the kernel's own WireGuard, which this kernel lacks.
                raise InterfaceFailed(f"{self._settings.userspace}: {process.complaint.rpartition('┘')[2].strip()}")
            try:
                await self._show("listen-port")
            except ToolFailed:
                await pause(self._reactor, LOOK_SECS)
            else:
                return

    def _ended(self, process: Child) -> None:
        if process is self._process:
            self.gone()
