"""
``rustbalance forget``: let go of a node that is gone for good.

Owns: the command. In: the name of a node; out: what the daemon says to it, and 0, or 2 with the reason why not.
"""

from pathlib import Path

import click

from rustbalance.cli.options import config_option, told
from rustbalance.ops.control_client import NoAnswer, NoDaemon, ask
from rustbalance.ops.verbs import Done

EPILOG = """\b
Example:
  rustbalance forget old-node --config ~/node/config.toml

\b
Run it on any one node; the others hear of it. A node that is only cut off
comes back by itself. One that must not come back (a stolen machine) still
has the cluster token: change that.
"""


@click.command(epilog=EPILOG)
@config_option
@click.argument("node")
def forget(config: Path, node: str) -> None:
    """Take a NODE that is gone for good off the list of members."""
    from rustbalance.config import find_places

    try:
        click.echo(ask(told(config, find_places).control_socket, "forget", Done, node=node).sentence)
    except (NoDaemon, NoAnswer) as error:
        raise click.ClickException(str(error).removeprefix("the daemon answered: ")) from None
