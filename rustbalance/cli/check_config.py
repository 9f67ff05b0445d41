"""
``rustbalance check-config``: everything that is wrong with a configuration.

Owns: the command. In: a file; out: nothing wrong, or a complaint a line and exit status 2. The key is opened as well,
so that a wrong one is found here and not at the next start.
"""

from pathlib import Path

import click

from rustbalance.cli.options import told

EPILOG = """\b
Example:
  rustbalance check-config /etc/rustbalance/config.toml

Every key is explained in docs/configuration.md and in the file that init writes.
"""


@click.command("check-config", epilog=EPILOG, short_help="Say everything that is wrong with a configuration.")
@click.argument("file", type=click.Path(path_type=Path))
def check_config(file: Path) -> None:
    """Check FILE: all complaints at once, each with key, value and rule."""
    told(file, _check)
    click.echo(f"{file}: no complaints")


def _check(file: Path) -> None:
    from rustbalance.config import Complaint, ConfigError, check_master_address, load_config, wipe_secrets
    from rustbalance.key_files import KeyFileError, address_of_key

    config = load_config(file)
    wipe_secrets(config)
    try:
        check_master_address(config, address_of_key(config.master.identity_key_path))
    except KeyFileError as error:
        raise ConfigError([Complaint("master.identity_key_path", str(error))]) from None
