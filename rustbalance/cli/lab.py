"""
``rustbalance lab``: a private Tor network with nodes of ours, on loopback.

Owns: the commands. In: how long, how many nodes, where; out: what ``rustbalance.lab`` does and its exit status.
"""

import sys
from pathlib import Path
from typing import Any

import click

EPILOG = """\b
Example:
  rustbalance lab up
  rustbalance lab up --nodes 3 --seconds 90 --check
"""

MOST_NODES = 6
"""One begins, and five may join within five minutes."""

DIRECTORY = click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where it keeps its files; without it a directory for this user.",
)


@click.group(epilog=EPILOG)
def lab() -> None:
    """Run a private Tor network with nodes that serve one address, all on this machine."""


@lab.command(epilog=EPILOG)
@click.option("--seconds", type=click.FloatRange(min=1), help="Stop after this time; without it at Ctrl-C.")
@click.option("--check", is_flag=True, help="Fetch pages through Tor; a line per check, exit status 0 or 1.")
@click.option("--nodes", type=click.IntRange(1, MOST_NODES), default=2, show_default=True, help="How many nodes.")
@click.option(
    "--carrier", type=click.Choice(["direct", "tor"]), default="direct", show_default=True, help="How nodes talk."
)
@DIRECTORY
def up(seconds: float | None, check: bool, nodes: int, carrier: str, directory: Path | None) -> None:
    """Bring the network up, show the address and a live status."""
    from twisted.internet.defer import Deferred
    from twisted.internet.task import react

    from rustbalance.lab.demo import demo
    from rustbalance.lab.state import default_directory

    def begin(reactor: Any) -> Deferred[None]:
        return Deferred.fromCoroutine(
            _exit_with(demo(reactor, seconds, check, nodes, directory or default_directory(), carrier))
        )

    react(begin, ())


async def _exit_with(running: Any) -> None:
    """End with the demo's exit status, which is how ``react`` takes one."""
    raise SystemExit(await running)


@lab.command(epilog=EPILOG)
@DIRECTORY
def down(directory: Path | None) -> None:
    """Stop a network that was left running."""
    from rustbalance.lab import lab_down
    from rustbalance.lab.state import default_directory

    sys.exit(lab_down(directory or default_directory()))


@lab.command(epilog=EPILOG)
@DIRECTORY
def status(directory: Path | None) -> None:
    """Say what is running."""
    from rustbalance.lab import lab_status
    from rustbalance.lab.state import default_directory

    sys.exit(lab_status(directory or default_directory()))
