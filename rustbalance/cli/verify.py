"""
``rustbalance verify``: whether the directories hold what they should.

Owns: the command and its exit status. In: the daemon's report over the control socket, once it has asked all
directories; out: a row for each directory and descriptor, or JSON, and 0 all well, 1 something stale, 2 no answer.
"""

import sys
import time
from pathlib import Path

import click
import msgspec

from rustbalance.cli.options import config_option, told
from rustbalance.ops.control_client import NoAnswer, NoDaemon, ask
from rustbalance.ops.directories import DirectoryReport

#: Seconds between two questions whether the check is over.
PERIOD = 0.25
#: Seconds after which we do not wait any more: longer than the daemon asks directories that do not answer.
PATIENCE = 120.0
STALE = 1

EPILOG = """\b
Example:
  rustbalance verify --config ~/node/config.toml
  rustbalance verify --json | jq '.rows[] | select(.finding != "verified")'

\b
Only the descriptor that visitors fetch now can be asked for; of the other one it is
known, on the node that publishes, what directories have confirmed.
What is found stale or missing on that node is posted there again.

Exit status: 0 all well, 1 something is stale or could not be checked, 2 no daemon.
"""


@click.command(epilog=EPILOG)
@config_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")
def verify(config: Path, as_json: bool) -> None:
    """Ask every responsible directory for our descriptor, now."""
    from rustbalance.config import find_places

    try:
        report = check(told(config, find_places).control_socket)
    except (NoDaemon, NoAnswer) as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(msgspec.json.encode(report).decode())
    else:
        from rustbalance.ops import directories_page

        directories_page.show(report)
    sys.exit(0 if report.good else STALE)


def check(path: Path) -> DirectoryReport:
    """
    Have the daemon at ``path`` check all directories, and return what it found.

    :raises NoDaemon: nobody listens there.
    :raises NoAnswer: the check takes longer than it may.
    """
    begun = ask(path, "verify", DirectoryReport)
    if not begun.running:
        return begun  # there is nobody to ask, so that was soon over
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        report = ask(path, "verification", DirectoryReport)
        if report.number > begun.number:
            return report
        time.sleep(PERIOD)
    raise NoAnswer(f"the directories have not been asked within {PATIENCE:g} seconds; the daemon's log may say why")
