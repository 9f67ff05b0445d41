"""
``rustbalance join``: a node from a bundle.

Owns: the command. In: a bundle and its passphrase; out: a directory whose configuration starts as it is. Joining itself
is done by the daemon, through the master address.
"""

import time
from pathlib import Path
from typing import BinaryIO

import click

from rustbalance.cli.init import FILE, tell
from rustbalance.provisioning.passphrase import get_passphrase, passphrase_options

EPILOG = """\b
Example:
  rustbalance join node2.bundle --dir ~/node
  rustbalance run --config ~/node/config.toml

The bundle comes from: rustbalance bundle, on a node of the cluster. It can be - for stdin.
"""
_LONGEST = 128 * 1024


@click.command(epilog=EPILOG, short_help="Make a node from a join bundle.")
@click.argument("bundle_file", type=click.File("rb"))
@click.option("--dir", "directory", required=True, type=click.Path(path_type=Path), help="Where the node lives.")
@click.option("--endpoint", metavar="IP:PORT", help="Where other nodes reach this one (wireguard, direct).")
@click.option("--id", "name", metavar="NAME", help="The name of this node; else the host's with something random.")
@click.option("--target", help="Another target than the other nodes have.")
@click.option("--force", is_flag=True, help="Replace what is there; an old key is kept under another name.")
@click.option("--lab-include", type=FILE, hidden=True, help="A file for every torrc, as private networks need.")
@passphrase_options
def join(
    bundle_file: BinaryIO,
    directory: Path,
    endpoint: str | None,
    name: str | None,
    target: str | None,
    force: bool,
    lab_include: Path | None,
    passphrase_file: Path | None,
    passphrase_fd: int | None,
) -> None:
    """Make a node from BUNDLE_FILE that joins the cluster when it starts."""
    from rustbalance.cluster.bundle import BundleError, open_bundle
    from rustbalance.provisioning.joined_node import create_joined_node
    from rustbalance.provisioning.node_files import CannotMake, check_room, normal

    line = bundle_file.read(_LONGEST).decode("ascii", "replace")
    try:
        check_room(normal(directory), force)
        with get_passphrase(passphrase_file, passphrase_fd, twice=False) as passphrase:
            opened = open_bundle(line, passphrase, time.time())  # noqa: TID251  (a command reads the clock)
        made = create_joined_node(
            directory, opened, name=name, endpoint=endpoint, target=target, torrc_include=lab_include, force=force
        )
    except (BundleError, CannotMake) as error:
        raise click.UsageError(str(error)) from None
    tell(made, first=False)
