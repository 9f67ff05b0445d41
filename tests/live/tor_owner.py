"""
A daemon as small as it can be: it runs one managed Tor and prints its phase, until it is killed.

Run as ``python -m tests.live.tor_owner DIRECTORY INCLUDE``, where INCLUDE describes the network.
"""

import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from rustbalance.onion.keys import MasterKey
from rustbalance.secrets import Secret
from rustbalance.tor.control import TorControl
from rustbalance.tor.events import Event
from rustbalance.tor.managed import ManagedSettings, ManagedTor


class Announcer:
    """Prints what it is told."""

    def on_ready(self, control: TorControl) -> None:
        """Say so."""
        print("ready", flush=True)

    def on_lost(self, reason: str) -> None:
        """Say so."""
        print("lost", flush=True)

    def on_event(self, event: Event) -> None:
        """Say nothing."""


def main(reactor: Any, directory: str, include: str) -> Deferred[None]:
    """Run for ever."""
    key = MasterKey.from_seed(Secret.random(32))
    settings = ManagedSettings(Path(directory), torrc_include=Path(include), forward_to="127.0.0.1:9")
    instance = ManagedTor("owned", settings, key, reactor)
    instance.subscribe(Announcer())
    instance.startService()
    return Deferred()


if __name__ == "__main__":
    react(main, sys.argv[1:])
