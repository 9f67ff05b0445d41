"""
Making a node: a directory with a key and a configuration that starts unedited.

Owns: what is in that directory, and that nothing is written before everything was checked. In: the directory, the
target, perhaps a key; out: ``NewNode``. Everything is private from its first moment: 0700 and 0600.
"""

import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path

from rustbalance.cli.target import parse_target
from rustbalance.config import ConfigError, load_config
from rustbalance.config.addresses import LONGEST_UNIX_PATH
from rustbalance.config.complaints import Refused
from rustbalance.config.crosschecks import DEEPEST_STATE
from rustbalance.config.writing import Value, render
from rustbalance.files import UnsafePath, private_directory, write_atomically
from rustbalance.key_files import SECRET_HEADER, KeyFileError, create_master_key, load_master_key
from rustbalance.onion.address import OnionAddress
from rustbalance.onion.keys import MasterKey
from rustbalance.secret_files import SecretFileError, create_secret

CONFIG, KEY, STATE = "config.toml", "master.key", "state"

OPENING = """\
A node of RustBalance, made by rustbalance init. It starts as it is:
  rustbalance run --config {config}
Every key that this version has is here; those that are commented out show their default.
Relative paths start at this file's directory. After a change: rustbalance check-config {config}
"""


class CannotMake(Exception):
    """The node was not made, and nothing was changed; the message says what to do."""


@dataclass(frozen=True)
class NewNode:
    """
    What was made.

    ``old_key`` is where a key went that was in the way; ``missing`` says what this machine still lacks.
    """

    address: OnionAddress
    config: Path
    key: Path
    old_key: Path | None
    missing: tuple[str, ...]


def create_node(
    directory: Path,
    target: str,
    *,
    identity_key: Path | None = None,
    torrc_include: Path | None = None,
    force: bool = False,
) -> NewNode:
    """
    Make a node in ``directory`` that serves ``target`` (see ``target.py`` for the forms).

    :param identity_key: a key to keep the address of; without one a new one is made.
    :param force: replace a configuration and a key that are there.
    :raises CannotMake: something is wrong with what was asked for.
    """
    directory = Path(os.path.normpath(directory.absolute()))
    settings = _settings(directory, target, torrc_include)
    _check_room(directory, force)
    given = _open_key(identity_key)
    if given is not None and settings.get("target.onion_address") == given.address.text:
        raise CannotMake("--target is the address of --identity-key itself: visitors would go in circles")
    old_key = None
    try:
        private_directory(directory)
        old_key = _step_aside(directory / KEY)
        address = _write_key(directory / KEY, given)
        config = directory / CONFIG
        write_atomically(config, render(settings, OPENING.format(config=config)).encode())
    except (OSError, UnsafePath, KeyFileError, SecretFileError) as error:
        if old_key is not None:
            old_key.replace(directory / KEY)
        raise CannotMake(f"cannot write to {directory}: {error}") from None
    return NewNode(address, config, directory / KEY, old_key, _missing(config))


def _settings(directory: Path, target: str, torrc_include: Path | None) -> dict[str, Value]:
    try:
        aimed = parse_target(target, Path.cwd())
    except Refused as refusal:
        raise CannotMake(f"--target {refusal}") from None
    settings: dict[str, Value] = {
        "state_dir": STATE,
        "node.id": node_id(socket.gethostname()),
        "master.identity_key_path": KEY,
        **_front(directory),
        **aimed,
    }
    if torrc_include is not None:
        settings["tor.torrc_include"] = str(torrc_include.absolute())
    return settings


def node_id(host_name: str) -> str:
    """Return the name that a node has by default: that of its host, in the characters that a name may have."""
    cleaned = re.sub(r"[^a-z0-9]+", "-", host_name.partition(".")[0].lower()).strip("-")
    return cleaned[:64].strip("-") or "node"


def _front(directory: Path) -> dict[str, Value]:
    """Listen on a Unix socket, which nobody else on the machine can reach, if its path can be short enough."""
    path = directory / STATE / "front.sock"
    fits = len(os.fsencode(path)) <= LONGEST_UNIX_PATH
    return {"listen": f"unix:{STATE}/front.sock"} if fits else {"local_port": 0}


def _check_room(directory: Path, force: bool) -> None:
    if not str(directory).isprintable():
        raise CannotMake("--dir must not have control characters in its path; choose another one")
    length = len(os.fsencode(directory / STATE))
    if length > DEEPEST_STATE:
        raise CannotMake(
            f"the path of {directory} is too long by {length - DEEPEST_STATE} bytes for the Unix sockets inside; "
            "choose a shorter --dir"
        )
    there = [name for name in (CONFIG, KEY) if os.path.lexists(directory / name)]
    if there and not force:
        raise CannotMake(f"{' and '.join(there)} in {directory} would be replaced; choose another --dir, or --force")
    if os.path.lexists(directory):
        _check_private(directory)


def _check_private(directory: Path) -> None:
    try:
        private_directory(directory)
    except (OSError, UnsafePath) as error:
        raise CannotMake(f"{error}; choose another --dir, or: chmod 700 {directory}") from None


def _open_key(path: Path | None) -> MasterKey | None:
    if path is None:
        return None
    try:
        return load_master_key(path)
    except KeyFileError as error:
        raise CannotMake(f"--identity-key: {error}") from None


def _step_aside(path: Path) -> Path | None:
    """Give an old key another name: whoever loses it loses the address for ever."""
    if not path.exists():
        return None
    number = 1
    while (aside := path.with_name(f"{path.name}.old-{number}")).exists():
        number += 1
    path.rename(aside)
    return aside


def _write_key(path: Path, given: MasterKey | None) -> OnionAddress:
    if given is None:
        with_new = create_master_key(path)
        address = with_new.address
        with_new.wipe()
        return address
    create_secret(path, given.secret, SECRET_HEADER)
    address = given.address
    given.wipe()
    return address


def _missing(config: Path) -> tuple[str, ...]:
    """Read what was written as the daemon will."""
    try:
        load_config(config)
    except ConfigError as error:
        return tuple(map(str, error.complaints))
    return ()
