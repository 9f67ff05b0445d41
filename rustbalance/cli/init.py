"""
``rustbalance init``: a node that starts.

Owns: the command and what it tells. In: a directory and a target; out: keys and a configuration in it, or one
line that says why not. Making the node is ``new_node.py``.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rustbalance.provisioning.passphrase import passphrase_options

if TYPE_CHECKING:
    from rustbalance.provisioning.node_files import NewNode

EPILOG = """\b
Example:
  rustbalance init --dir ~/node --target 127.0.0.1:8000
  rustbalance init --dir ~/node --target 127.0.0.1:8000 --bundle node2.bundle
  rustbalance init --dir ~/node --target http://xxx.onion --identity-key /var/lib/tor/hs/hs_ed25519_secret_key

The target is one of ADDRESS.onion[:PORT], HOST:PORT, unix:PATH, or http(s):// with a host.
"""

FILE = click.Path(path_type=Path, dir_okay=False, exists=True, resolve_path=True)


@click.command(epilog=EPILOG, short_help="Make the first node of a cluster.")
@click.option("--dir", "directory", required=True, type=click.Path(path_type=Path), help="Where the node lives.")
@click.option("--target", required=True, help="The site behind the address.")
@click.option("--identity-key", type=FILE, help="Keep this key's address (32, 64 or Tor's 96 bytes); else a new one.")
@click.option("--carrier", type=click.Choice(["tor", "wireguard", "direct"]), default="tor", help="How nodes talk.")
@click.option("--endpoint", metavar="IP:PORT", help="Where other nodes reach this one (wireguard, direct).")
@click.option(
    "--bundle",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also make a join bundle for a second node, as rustbalance bundle does, and write it there.",
)
@click.option("--force", is_flag=True, help="Replace what is there; an old key is kept under another name.")
@click.option("--lab-include", type=FILE, hidden=True, help="A file for every torrc, as private networks need.")
@passphrase_options
def init(
    directory: Path,
    target: str,
    identity_key: Path | None,
    carrier: str,
    endpoint: str | None,
    bundle: Path | None,
    force: bool,
    lab_include: Path | None,
    passphrase_file: Path | None,
    passphrase_fd: int | None,
) -> None:
    """Make the keys and the configuration of the first node in a directory, and a join bundle where one is wanted."""
    from rustbalance.cli.bundle import HOURS, make, new_passphrase
    from rustbalance.provisioning.new_node import create_node
    from rustbalance.provisioning.node_files import CannotMake

    if bundle is None and (passphrase_file, passphrase_fd) != (None, None):
        raise click.UsageError("a passphrase is for a join bundle: give --bundle FILE as well")
    passphrase = None if bundle is None else new_passphrase(passphrase_file, passphrase_fd)
    try:
        made = create_node(
            *(directory, target),
            identity_key=identity_key,
            carrier=carrier,
            endpoint=endpoint,
            torrc_include=lab_include,
            force=force,
        )
    except CannotMake as error:
        raise click.UsageError(str(error)) from None
    tell(made, first=passphrase is None)
    if passphrase is not None:
        with passphrase:
            make(made.config, passphrase, bundle, HOURS)


def tell(made: "NewNode", *, first: bool = True) -> None:
    """Say what was made, what comes next, and what this machine still lacks; ``first``: other nodes may follow it."""
    click.echo(f"address   {made.address.text}")
    click.echo(f"key       {made.key}   (keep a copy in a safe place: whoever has it is the service)")
    if made.old_key is not None:
        click.echo(f"old key   {made.old_key}")
    click.echo(f"config    {made.config}")
    click.echo(f"next      rustbalance run --config {made.config}")
    if first:
        click.echo(
            f"one more  rustbalance bundle --dir {made.config.parent}   (then on another machine: rustbalance join)"
        )
    for complaint in made.missing:
        click.echo(f"rustbalance: before it can start: {complaint}", err=True)
