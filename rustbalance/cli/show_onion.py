"""
``rustbalance show-onion``: the address and nothing else.

Owns: the command. In: a key file, or the configuration that names one; out: the address on stdout.
"""

from pathlib import Path

import click

from rustbalance.cli.options import config_option, told

EPILOG = """\b
Example:
  rustbalance show-onion --key ~/node/master.key
  curl --socks5-hostname 127.0.0.1:9050 "http://$(rustbalance show-onion --config ~/node/config.toml)/"
"""


@click.command("show-onion", epilog=EPILOG)
@click.option("--key", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="The identity key.")
@config_option
def show_onion(key: Path | None, config: Path) -> None:
    """Print the master address."""
    from rustbalance.config import find_places

    click.echo(_address(key or told(config, find_places).identity_key_path))


def _address(path: Path) -> str:
    from rustbalance.key_files import KeyFileError, address_of_key

    try:
        return address_of_key(path).text
    except KeyFileError as error:
        raise click.UsageError(str(error)) from None
