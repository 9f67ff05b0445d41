"""
Passphrases of join bundles.

Owns: the ways in which one may be given. In: a terminal, a file or a descriptor, never argv; out: ``Secret``, into
which the kernel has read it.
"""

import os
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from rustbalance.secret_files import SecretFileError, read_secret
from rustbalance.secrets import Secret

LONGEST = 1024
TERMINAL = "/dev/tty"
Command = TypeVar("Command", bound=Callable[..., Any])


def passphrase_options(command: Command) -> Command:
    """Add the two options; without either of them the terminal is asked."""
    from_file = click.option(
        "--passphrase-file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Read the passphrase from a file of mode 0600.",
    )
    from_descriptor = click.option(
        "--passphrase-fd", type=click.IntRange(0, 65535), metavar="N", help="Read it from file descriptor N."
    )
    return from_file(from_descriptor(command))


def get_passphrase(file: Path | None, descriptor: int | None, *, twice: bool) -> Secret:
    """
    Return the passphrase; ``twice``: whoever types it types it again, so that a slip of the finger is noticed.

    :raises click.UsageError: there is none; says how to give it.
    """
    if file is not None and descriptor is not None:
        raise click.UsageError("give --passphrase-file or --passphrase-fd, not both")
    try:
        if file is not None:
            return read_secret(file)
        return read_line(descriptor) if descriptor is not None else _ask(twice=twice)
    except SecretFileError as error:
        raise click.UsageError(f"--passphrase-file: {error}") from None
    except OSError as error:
        raise click.UsageError(f"the passphrase cannot be read: {error.strerror}") from None


def _ask(*, twice: bool) -> Secret:
    try:
        terminal = os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        raise click.UsageError(
            "there is no terminal to ask for a passphrase; give --passphrase-file FILE or --passphrase-fd N"
        ) from None
    try:
        return prompt(terminal, twice=twice)
    finally:
        os.close(terminal)


def prompt(terminal: int, *, twice: bool) -> Secret:
    """
    Ask on an open terminal, without showing what is typed.

    :raises click.UsageError: nothing was typed, or something else the second time.
    """
    with _silent(terminal):
        first = _typed(terminal, b"Passphrase of the bundle: ")
        if twice:
            with _typed(terminal, b"The same again: ") as second:
                if first != second:
                    first.wipe()
                    raise click.UsageError("the two passphrases differ")
        return first


def _typed(terminal: int, question: bytes) -> Secret:
    os.write(terminal, question)
    try:
        return read_line(terminal)
    finally:
        os.write(terminal, b"\r\n")


@contextmanager
def _silent(terminal: int) -> Iterator[None]:
    """Switch the echo off for a while; what was typed ahead is thrown away, as it may have been shown."""
    before = termios.tcgetattr(terminal)
    quiet = [*before]
    quiet[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSAFLUSH, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, before)


def read_line(descriptor: int) -> Secret:
    """
    Return what comes before the first newline or the end.

    :raises click.UsageError: that is nothing, or too much.
    """
    with Secret(LONGEST + 1) as room, room.expose() as view:
        count = 0
        while count <= LONGEST and (got := os.readv(descriptor, [view[count : count + 1]])):
            if view[count] == ord("\n"):
                break
            count += got
        if not 0 < count <= LONGEST:
            raise click.UsageError(f"a passphrase must have 1 to {LONGEST} bytes")
        return Secret.copy_of(view[:count])
