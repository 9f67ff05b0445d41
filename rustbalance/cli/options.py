"""
What several commands share.

Owns: the ``--config`` option with the place where it looks by itself, and how a bad configuration is told. In: a
command; out: the same command with a ``config`` argument of type ``Path``.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

DEFAULT_CONFIG = Path("/etc/rustbalance/config.toml")

Command = TypeVar("Command", bound=Callable[..., Any])
Read = TypeVar("Read")


def config_option(command: Command) -> Command:
    """Add ``--config FILE``, which may also stand in the environment."""
    return click.option(
        "-c",
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="RUSTBALANCE_CONFIG",
        default=DEFAULT_CONFIG,
        show_default=True,
        show_envvar=True,
        metavar="FILE",
        help="The configuration of the node.",
    )(command)


class BadConfig(click.ClickException):
    """The configuration cannot be used; a complaint a line."""


def existing(config: Path) -> Path:
    """
    Return the path of a configuration that is there.

    :raises click.UsageError: it is not; says how to name another.
    """
    if not os.path.isfile(config):
        raise click.UsageError(f"there is no configuration at {config}; name one with --config FILE, or make one: init")
    return config


def told(config: Path, read: Callable[[Path], Read]) -> Read:
    """
    Return what ``read`` makes of the configuration.

    :raises BadConfig: it has complaints.
    """
    from rustbalance.config import ConfigError

    try:
        return read(existing(config))
    except ConfigError as error:
        count = len(error.complaints)
        head = f"{config} cannot be used; {count} complaint{'s' if count > 1 else ''}:"
        raise BadConfig("\n  ".join([head, *map(str, error.complaints)])) from None
