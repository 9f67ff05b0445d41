"""
``rustbalance bundle``: an invitation for one more node.

Owns: the command. In: a node's directory and a passphrase; out: one line, on stdout or in a file of mode 0600.
"""

import time
from pathlib import Path

import click

from rustbalance.cli.options import told
from rustbalance.provisioning.passphrase import get_passphrase, passphrase_options
from rustbalance.secrets import Secret

HOURS = 24.0
"""How long a bundle is valid unless told otherwise."""
EPILOG = """\b
Example:
  rustbalance bundle --dir ~/node --out node2.bundle
  rustbalance bundle --dir ~/node --passphrase-file phrase --hours 1 | ssh node2 'cat > node2.bundle'

The bundle holds the key of the address: send it to one machine, and the passphrase another way. It lets one node join,
once, within its time.
"""


@click.command(epilog=EPILOG, short_help="Make a join bundle for one more node.")
@click.option("--dir", "directory", required=True, type=click.Path(path_type=Path), help="The directory of this node.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write it there.")
@click.option(
    "--hours",
    type=click.FloatRange(0, 720, min_open=True),
    default=HOURS,
    show_default=True,
    help="How long it is valid.",
)
@passphrase_options
def bundle(
    directory: Path, out: Path | None, hours: float, passphrase_file: Path | None, passphrase_fd: int | None
) -> None:
    """Make a join bundle: encrypted, for one node, for a while."""
    from rustbalance.provisioning.node_files import CONFIG

    config = directory / CONFIG
    told(config, _check)
    with new_passphrase(passphrase_file, passphrase_fd) as passphrase:
        make(config, passphrase, out, hours)


def new_passphrase(file: Path | None, descriptor: int | None) -> Secret:
    """
    Return the passphrase for a new bundle.

    :raises click.UsageError: there is none, or it is too short.
    """
    from rustbalance.cluster.bundle import LEAST_PASSPHRASE

    passphrase = get_passphrase(file, descriptor, twice=True)
    if len(passphrase) < LEAST_PASSPHRASE:
        passphrase.wipe()
        raise click.UsageError(f"the passphrase must have at least {LEAST_PASSPHRASE} characters")
    return passphrase


def make(config: Path, passphrase: Secret, out: Path | None, hours: float) -> None:
    """Make a bundle from the configuration of a node, and write it to ``out``, or to stdout."""
    line = told(config, lambda path: _make(path, passphrase, hours * 3600))
    if out is None:
        click.echo(line)
        return
    _write(out, line)
    click.echo(f"bundle    {out}   (for one node, valid for {hours:g} hours)")
    click.echo(f"next      on the other machine: rustbalance join {out.name} --dir DIR")


def _check(config: Path) -> None:
    """Complain before anybody types a passphrase."""
    from rustbalance.config import load_config, wipe_secrets

    wipe_secrets(load_config(config))


def _make(config: Path, passphrase: Secret, lifetime: float) -> str:
    from rustbalance.cluster.bundle import BundleError
    from rustbalance.provisioning.new_bundle import CannotBundle, make_bundle

    try:
        return make_bundle(config, passphrase, lifetime, time.time())  # noqa: TID251  (a command reads the clock)
    except (CannotBundle, BundleError) as error:
        raise click.UsageError(str(error)) from None


def _write(out: Path, line: str) -> None:
    from rustbalance.files import write_atomically

    try:
        write_atomically(out, line.encode("ascii") + b"\n")
    except OSError as error:
        raise click.UsageError(f"{out} cannot be written: {error.strerror}") from None
