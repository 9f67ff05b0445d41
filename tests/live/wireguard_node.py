"""
A daemon as small as it can be: one WireGuard carrier, told on standard input what to do, in lines of JSON.

The first line has the settings and the private key. Then C{{"peers": {id: address}}}, C{{"send": [id, hexadecimal]}},
C{{"status": true}}. It prints what happens in the same form, and ends when its input does.
"""

import hashlib
import os
import sys
from base64 import b64decode
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.stdio import StandardIO
from twisted.internet.task import react
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.protocols.basic import LineReceiver
from zope.interface import implementer

from rustbalance.mesh.wg_config import parse_endpoint
from rustbalance.mesh.wireguard import WireguardCarrier, WireguardSettings
from rustbalance.secrets import Secret


@dataclass(frozen=True)
class Record:
    """A member."""

    id: str
    addresses: tuple[str, ...]


def say(**event: Any) -> None:
    """Print an event."""
    sys.stdout.write(msgspec.json.encode(event).decode() + "\n")
    sys.stdout.flush()


class Orders(LineReceiver):
    """What the test wants."""

    delimiter = b"\n"
    MAX_LENGTH = 4 * 1024 * 1024

    def __init__(self, reactor: Any) -> None:
        self.done: Deferred[None] = Deferred()
        self._reactor = reactor
        self._carrier: WireguardCarrier | None = None
        self._key: Secret | None = None

    def lineReceived(self, line: bytes) -> None:
        """Obey."""
        order = msgspec.json.decode(line)
        if self._carrier is None:
            self._carrier = self._begin(order)
        elif "peers" in order:
            self._carrier.set_peers([Record(node, (address,)) for node, address in order["peers"].items()])
        elif "send" in order:
            self._carrier.send(order["send"][0], bytes.fromhex(order["send"][1]))
        elif "status" in order:
            say(status=msgspec.to_builtins(self._carrier.status()) | {"pid": self._carrier.pid})

    def _begin(self, order: dict[str, Any]) -> WireguardCarrier:
        self._key = Secret.copy_of(b64decode(order["key"]))
        settings = WireguardSettings(
            ip_address(order["tunnel_ip"]), external_endpoint=parse_endpoint(order["endpoint"]), interface="wg-rb"
        )
        carrier = WireguardCarrier(settings, self._key, self._reactor, os.urandom)
        carrier.receiver = self._received
        carrier.link_opened = lambda node: say(opened=node)
        carrier.moved = lambda address: say(moved=address)
        carrier.startService()
        return carrier

    def _received(self, frame: bytes) -> str:
        say(frame={"size": len(frame), "sha256": hashlib.sha256(frame).hexdigest()})
        return "somebody"

    def connectionLost(self, reason: Any = None) -> None:
        """Stop, and end."""
        stopping = self._carrier.stopService() if self._carrier is not None else None
        (stopping or Deferred.fromCoroutine(nothing())).addBoth(lambda _: self.done.callback(None))


async def nothing() -> None:
    """Be done at once."""


@implementer(ILogObserver)
def log(event: LogEvent) -> None:
    """Print what is logged."""
    level = event["log_level"].name
    if level != "debug":
        say(log=level, text=formatEvent(event), trace=str(event.get("log_failure", "")))


def main(reactor: Any) -> Deferred[None]:
    """Run until the input ends."""
    globalLogPublisher.addObserver(log)
    orders = Orders(reactor)
    StandardIO(orders, reactor=reactor)
    return orders.done


if __name__ == "__main__":
    react(main, ())
