"""
``rustbalance status``: how the node is.

Owns: the command, its exit status and ``--watch``. In: the daemon's answer over the control socket; out: a table or
JSON, and 0 healthy, 1 degraded, 2 down or no daemon.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from rustbalance.cli.options import config_option, told
from rustbalance.ops.control_client import NoAnswer, NoDaemon, ask
from rustbalance.ops.status import Health, NodeStatus

EXIT = {Health.HEALTHY: 0, Health.DEGRADED: 1, Health.DOWN: 2}
#: Seconds between two looks of --watch.
PERIOD = 2.0

EPILOG = """\b
Example:
  rustbalance status --config ~/node/config.toml
  rustbalance status --json | jq .health

Exit status: 0 healthy, 1 degraded, 2 down or no daemon.
"""


@click.command(epilog=EPILOG)
@config_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")
@click.option("--watch", is_flag=True, help="Look again every two seconds until Ctrl-C.")
def status(config: Path, as_json: bool, watch: bool) -> None:
    """Ask the running node how it is."""
    from rustbalance.config import find_places

    path = told(config, find_places).control_socket
    answers = _looks(path) if watch else iter([_look(path)])
    sys.exit(_print_each(answers) if as_json else _show_each(answers, live=watch))


def _look(path: Path) -> NodeStatus | str:
    """Return the status, or the reason why there is none."""
    try:
        return ask(path, "status", NodeStatus)
    except (NoDaemon, NoAnswer) as error:
        return str(error)


def _looks(path: Path) -> Iterator[NodeStatus | str]:
    while True:
        yield _look(path)
        time.sleep(PERIOD)


def _exit_status(answer: NodeStatus | str) -> int:
    return EXIT[Health.DOWN] if isinstance(answer, str) else EXIT[answer.health]


def _print_each(answers: Iterator[NodeStatus | str]) -> int:
    """Print a line of JSON for each answer; a missing daemon is one of them."""
    last = EXIT[Health.DOWN]
    try:
        for answer in answers:
            last = _exit_status(answer)
            value = {"health": "down", "problems": [answer]} if isinstance(answer, str) else answer
            click.echo(msgspec.json.encode(value).decode())
            sys.stdout.flush()
    except KeyboardInterrupt:
        pass
    return last


def _show_each(answers: Iterator[NodeStatus | str], live: bool) -> int:
    """Show each answer; a live one takes the place of the one before."""
    from rustbalance.ops import status_page

    if not live:
        answer = next(answers)
        if isinstance(answer, str):
            raise click.ClickException(answer)
        status_page.show(answer)
        return _exit_status(answer)
    last = EXIT[Health.DOWN]
    try:
        with status_page.screen() as update:
            for answer in answers:
                last = _exit_status(answer)
                update(answer)
    except KeyboardInterrupt:
        pass
    return last
