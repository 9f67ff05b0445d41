"""
``rustbalance place-key``: the key for Tors that run as users of their own.

Owns: the command. In: the configuration of the node; out: the service directories of its external Tors, a line for
each. Nothing changes where everything is in place, so it may stand in front of each start of the daemon.
"""

from pathlib import Path

import click

from rustbalance.cli.options import config_option, told

EPILOG = """\b
Example:
  sudo rustbalance place-key --config /etc/rustbalance/config.toml
  ExecStartPre=+/opt/rustbalance/venv/bin/rustbalance place-key --config FILE

\b
Run it as root where Tor runs as another user than the node (Debian's tor@default,
tor@standby). Tor takes a service only from a directory of its own user, so each
is made with the rights of the user who owns the directory above it.
docs/tors.md has the whole way.
"""


@click.command("place-key", epilog=EPILOG, short_help="Give the key to Tors that run as users of their own.")
@config_option
def place_key(config: Path) -> None:
    """Make the service directories of tor.mode = "external", with the key in them."""
    told(config, _place)


def _place(file: Path) -> None:
    from rustbalance.config import Complaint, ConfigError, check_master_address, load_config, wipe_secrets
    from rustbalance.key_files import KeyFileError, load_master_key
    from rustbalance.provisioning.placing import CannotPlace, place_keys

    config = load_config(file)
    wipe_secrets(config)
    try:
        key = load_master_key(config.master.identity_key_path)
    except KeyFileError as error:
        raise ConfigError([Complaint("master.identity_key_path", str(error))]) from None
    try:
        check_master_address(config, key.address)
        if config.tor.mode == "managed":
            click.echo('nothing to do: with tor.mode = "managed" the node has directories of its own')
        for placed in place_keys(config, key):
            done = "has been given the key" if placed.new else "has the key already"
            click.echo(f"{placed.instance}: {placed.directory} {done}, for the user {placed.user}")
    except CannotPlace as error:
        raise click.ClickException(str(error)) from None
    finally:
        key.wipe()
