"""
``rustbalance drain`` and ``rustbalance undrain``: out of service, and back.

Owns: the commands, and the wait until nobody is served any more. In: the daemon's answers over the control socket; out:
one line, and 0, or 1 when there are still connections at the end of the wait, or the node is in service again.
"""

import sys
import time
from pathlib import Path

import click

from rustbalance.cli.options import config_option, told
from rustbalance.ops.control_client import Answer, NoAnswer, NoDaemon, ask
from rustbalance.ops.draining import Draining
from rustbalance.ops.status import NodeStatus

#: Seconds between two looks.
PERIOD = 0.5
LEFT = 1

DRAIN_EPILOG = """\b
Example:
  rustbalance drain --wait 60 && systemctl stop rustbalance

The drain ends with `rustbalance undrain`, or when the daemon starts again.
"""
UNDRAIN_EPILOG = """\b
Example:
  rustbalance undrain --config ~/node/config.toml
"""


@click.command(epilog=DRAIN_EPILOG)
@config_option
@click.option(
    "--wait", type=click.FloatRange(0, 86400), metavar="SECONDS", help="Wait so long for the last connection to end."
)
def drain(config: Path, wait: float | None) -> None:
    """Take the node out of service: its points are withdrawn, what is running is finished."""
    socket = _socket(config)
    answer = _told(socket, "drain")
    click.echo(answer.sentence)
    if wait is not None:
        sys.exit(_wait(socket, wait))


@click.command(epilog=UNDRAIN_EPILOG)
@config_option
def undrain(config: Path) -> None:
    """Put the node back into service."""
    click.echo(_told(_socket(config), "undrain").sentence)


def _socket(config: Path) -> Path:
    from rustbalance.config import find_places

    return told(config, find_places).control_socket


def _told(socket: Path, verb: str) -> Draining:
    return _ask(socket, verb, Draining)


def _ask(socket: Path, verb: str, form: type[Answer]) -> Answer:
    try:
        return ask(socket, verb, form)
    except (NoDaemon, NoAnswer) as error:
        raise click.ClickException(str(error)) from None


def _wait(socket: Path, seconds: float) -> int:
    """
    Return 0 once there is no connection left, 1 when the time is over or the node is in service again.

    It only looks: whoever has put the node back meanwhile, or started the daemon anew, means it.
    """
    end = time.monotonic() + seconds
    while True:
        status = _ask(socket, "status", NodeStatus)
        left = status.proxy.connections_active
        if not status.drained:
            click.echo("the node has been put back into service meanwhile")
            return LEFT
        if not left:
            click.echo("nobody is served here any more")
            return 0
        if time.monotonic() >= end:
            click.echo(f"{left} connections are left after {seconds:g} s")
            return LEFT
        time.sleep(PERIOD)
