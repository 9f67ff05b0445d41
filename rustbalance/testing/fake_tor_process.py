"""
A FakeTor as a process of its own, to be started where a tor is expected.

Owns: reading the few lines of a torrc that matter, listening on its control socket, and ending as tor does. In:
``-f TORRC``; out: a process that is bootstrapped at once and has the services of its torrc and
the circuits of a file beside it. ``write_program`` makes a
file that can stand for ``tor.binary``.
"""

import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXServerEndpoint
from twisted.internet.task import react

from rustbalance.testing.fake_tor import FakeControlConnection, FakeTor

#: A file beside the torrc that holds what GETINFO circuit-status is to say.
CIRCUITS = "circuits"
_LINE = re.compile(r"^(\w+) +(.*)$", re.MULTILINE)


class OwnedConnection(FakeControlConnection):
    """A connection whose end is the end of the process when it has taken ownership."""

    def connectionLost(self, reason: object = None) -> None:
        """Go with the owner."""
        super().connectionLost(reason)
        if self.tor.owned:
            self.tor.info["ended"] = "yes"
            over.callback(None)


over: Deferred[None] = Deferred()


class FakeTorWithOwner(FakeTor):
    """A FakeTor that ends with the connection that owns it."""

    def connection(self) -> FakeControlConnection:
        """Return the server side of a new connection."""
        return OwnedConnection(self)


def from_torrc(text: str) -> tuple[FakeTor, Path]:
    """Return a Tor that has read ``text``, and the path of its control socket."""
    lines = [(key, _bare(value)) for key, value in _LINE.findall(text)]
    tor = FakeTorWithOwner(options=[(key, value) for key, value in lines if key.startswith("HiddenService")])
    settings = dict(lines)
    tor.publishing = settings.get("PublishHidServDescriptors", "1")
    return tor, Path(_bare(settings["ControlPort"].removeprefix("unix:")))


def write_program(path: Path) -> str:
    """Make ``path`` a program that runs this module, and return it as text."""
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -m {__spec__.name} "$@"\n')
    path.chmod(0o700)
    return str(path)


def main(reactor: Any, *arguments: str) -> Deferred[None]:
    """Listen until the owner leaves or a signal comes."""
    torrc = Path(arguments[arguments.index("-f") + 1])
    tor, control = from_torrc(torrc.read_text())
    with suppress(FileNotFoundError):
        tor.info["circuit-status"] = torrc.with_name(CIRCUITS).read_text()
    listening = UNIXServerEndpoint(reactor, str(control)).listen(tor.factory())
    listening.addErrback(over.errback)
    return over


def _bare(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value


if __name__ == "__main__":
    react(main, sys.argv[1:])
