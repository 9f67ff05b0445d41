"""
``rustbalance run``: the daemon in the foreground.

Owns: the way from our command to twistd's. In: the configuration's path; out: twistd, in this process.
"""

import sys
from pathlib import Path

import click

from rustbalance.cli.options import config_option, told

EPILOG = """\b
Example:
  rustbalance run --config ~/node/config.toml

Stop it with Ctrl-C. The same as: twistd -n rustbalance --config FILE
"""


@click.command(epilog=EPILOG)
@config_option
def run(config: Path) -> None:
    """Run the node in the foreground."""
    told(config, _check)
    from twisted.scripts import twistd

    sys.argv = ["twistd", "--nodaemon", "--pidfile=", "rustbalance", "--config", str(config.absolute())]
    twistd.run()


def _check(config: Path) -> None:
    """Complain here, where all complaints fit; the daemon reads the file again, and its secrets when it starts."""
    from rustbalance.config import load_config, wipe_secrets

    wipe_secrets(load_config(config))
