"""
What ip(8), wg(8) and wireguard-go do, in memory, for what the real ones cannot be made to do here.

C{tests/live/test_wireguard.py} runs the same code with the real ones.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from rustbalance.mesh.wg_config import key_text
from rustbalance.mesh.wg_tool import Child, ToolFailed, Tools
from rustbalance.onion.client_auth import x25519_public
from rustbalance.secrets import Secret


@dataclass
class Device:
    """A WireGuard interface."""

    alias: str = ""
    up: bool = False
    addresses: set[str] = field(default_factory=set)
    key: str = "(none)"
    port: str = "0"
    peers: dict[str, dict[str, str]] = field(default_factory=dict)
    handshakes: dict[str, int] = field(default_factory=dict)
    mtu: int = 1420


class FakeChild(Child):
    """A wireguard-go."""

    pid = 4711

    def __init__(self, gone: Callable[[], object]) -> None:
        super().__init__()
        self._gone = gone

    def die(self, ending: str = "it exited with status 0") -> None:
        """End."""
        if self.ending is None:
            self.ending = ending
            self._gone()
            self._tell(ending)

    def signal(self, name: str) -> None:
        """End when asked."""
        self.die(f"it was ended by signal {name}")


class FakeTools(Tools):
    """
    One machine. C{calls} has every command in one string; C{broken} has beginnings of commands that fail.

    C{kernel}: it has WireGuard of its own. C{userspace}: wireguard-go is installed; C{excuse}: why it ends at once.
    """

    def __init__(self, reactor: Any, *, kernel: bool = False, userspace: bool = True, excuse: str = "") -> None:
        super().__init__(reactor)
        self.devices: dict[str, Device] = {}
        self.calls: list[str] = []
        self.broken: set[str] = set()
        self.children: list[FakeChild] = []
        self.kernel, self.userspace, self.excuse = kernel, userspace, excuse

    def has(self, program: str) -> bool:
        """Say whether it is installed."""
        return program != "wireguard-go" or self.userspace

    def start(self, *words: str, secret: Secret | None = None, tied: bool = False) -> Child:
        """Start wireguard-go."""
        self.calls.append(" ".join(words))
        name = words[-1]
        child = FakeChild(lambda: self.devices.pop(name, None))
        self.children.append(child)
        if self.excuse:
            child.childDataReceived(2, f"└─┘\n{self.excuse}\n".encode())
            child.die()
        else:
            self.devices[name] = Device()
        return child

    async def run(self, *words: str, secret: Secret | None = None, deadline: float = 0.0) -> str:
        """Do what the program does."""
        call = " ".join(words)
        self.calls.append(call)
        if any(call.startswith(broken) for broken in self.broken):
            raise ToolFailed(words, 2, "told to fail")
        match words:
            case ("ip", "link", "add", "dev", name, "type", "wireguard"):
                if not self.kernel:
                    raise ToolFailed(words, 2, "Error: Unknown device type.")
                self.devices[name] = Device()
                return ""
            case ("ip", *rest):
                return self._ip(words, rest)
            case ("wg", verb, name, *rest):
                device = self._device(words, name, 1)
                return self._show(device, rest[0]) if verb == "show" else self._set(device, rest, secret)
        raise ToolFailed(words, 255, "what?")

    def _device(self, words: tuple[str, ...], name: str, status: int) -> Device:
        if name not in self.devices:
            raise ToolFailed(words, status, f'Device "{name}" does not exist.')
        return self.devices[name]

    def _ip(self, words: tuple[str, ...], rest: list[str]) -> str:
        name = rest[rest.index("dev") + 1]
        device = self._device(words, name, 1)
        match rest:
            case ["-j", "-d", "address", "show", *_]:
                return _link(name, device)
            case ["link", "delete", *_]:
                del self.devices[name]
                for child in self.children:
                    child.die()
            case ["link", "set", _, _, "alias", alias]:
                device.alias = alias
            case ["link", "set", _, _, "mtu", mtu, "up"]:
                device.up, device.mtu = True, int(mtu)
            case ["address", "replace", address, *_]:
                device.addresses.add(address.partition("/")[0])
            case _:
                raise ToolFailed(words, 255, "what?")
        return ""

    def _show(self, device: Device, what: str) -> str:
        match what:
            case "public-key":
                return f"{device.key}\n"
            case "listen-port":
                return f"{device.port}\n"
            case "allowed-ips":
                return "".join(f"{key}\t{peer['allowed-ips']}\n" for key, peer in device.peers.items())
            case _:
                return "".join(f"{key}\t{device.handshakes.get(key, 0)}\n" for key in device.peers)

    def _set(self, device: Device, words: list[str], secret: Secret | None) -> str:
        peer: dict[str, str] = {}
        rest = iter(words)
        for word in rest:
            match word:
                case "private-key":
                    assert next(rest) == "/dev/stdin"
                    assert secret is not None
                    device.key = key_text(x25519_public(secret))
                case "listen-port":
                    device.port = next(rest)
                case "peer":
                    key = next(rest)
                    peer = device.peers.setdefault(key, {})
                case "remove":
                    del device.peers[key]
                case _:
                    peer[word] = next(rest)
        return ""


def _link(name: str, device: Device) -> str:
    flags = ["POINTOPOINT", *(["UP"] if device.up else [])]
    addresses = [{"local": address} for address in device.addresses]
    link = {"ifname": name, "flags": flags, "mtu": device.mtu, "ifalias": device.alias, "addr_info": addresses}
    return msgspec.json.encode([link]).decode()
