"""
The files of a node: a directory with keys and a configuration that starts unedited.

Owns: what lies where in that directory, for a node that begins a cluster and for one that joins alike. In: settings and
keys; out: ``NewNode``. Everything is private from its first moment: 0700 and 0600.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rustbalance.config import ConfigError, load_config
from rustbalance.config.addresses import LONGEST_UNIX_PATH
from rustbalance.config.crosschecks import DEEPEST_STATE
from rustbalance.config.writing import Value, render
from rustbalance.files import UnsafePath, private_directory, write_atomically
from rustbalance.joining.records import JOINING, LEDGER
from rustbalance.key_files import SECRET_HEADER, KeyFileError, create_master_key
from rustbalance.onion.address import OnionAddress
from rustbalance.onion.keys import MasterKey
from rustbalance.secret_files import SecretFileError, create_secret, encode_base64, write_secret
from rustbalance.secrets import Secret

CONFIG, KEY, STATE = "config.toml", "master.key", "state"
NODE_KEY, WIREGUARD_KEY, TOKEN, JOIN_SECRET = "node.key", "wireguard.key", "cluster_token", "join_secret"
MEMBERS = "cluster.json"
"""What a node remembers of the others (``rustbalance.coordination.service.STATE``)."""
FILES = (CONFIG, KEY, NODE_KEY, WIREGUARD_KEY, TOKEN, JOIN_SECRET)

OPENING = """\
A node of RustBalance, made by rustbalance init or join. It starts as it is:
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


def write_node(
    directory: Path,
    settings: Mapping[str, Value],
    master: MasterKey | None,
    shared: Mapping[str, Secret],
    more: Callable[[], None] = lambda: None,
) -> NewNode:
    """
    Write all files of a node; ``check_room`` comes first.

    The configuration comes last: as long as it is not there nothing can be started, or as what it is not.

    :param master: the identity key, which is wiped; None makes a new one.
    :param shared: the cluster's secrets by the name of their file, which are wiped.
    :param more: writes what else there must be before the configuration; the secrets are there by then.
    :raises CannotMake: the disk does not take them.
    """
    config = directory / CONFIG
    old_key = None
    try:
        private_directory(directory)
        old_key = _step_aside(directory / KEY)
        address = _write_key(directory / KEY, master)
        _forget_earlier(directory / STATE)
        named = _write_secrets(directory, shared, wireguard=settings.get("coordination.mode") == "wireguard")
        more()
        whole = {**named, **_places(directory), **settings}
        write_atomically(config, render(whole, OPENING.format(config=config)).encode())
    except (OSError, UnsafePath, KeyFileError, SecretFileError) as error:
        if old_key is not None:
            old_key.replace(directory / KEY)
        raise CannotMake(f"cannot write to {directory}: {error}") from None
    return NewNode(address, config, directory / KEY, old_key, _missing(config))


def _write_secrets(directory: Path, shared: Mapping[str, Secret], *, wireguard: bool) -> dict[str, Value]:
    """Write the secrets of the cluster, and new ones of this node; return the settings that name the files."""
    for name, secret in shared.items():
        with secret:
            write_secret(directory / name, secret)
    own = {"node.key_file": NODE_KEY, **({"wireguard.private_key_file": WIREGUARD_KEY} if wireguard else {})}
    for name in own.values():
        with Secret.random(32) as drawn, encode_base64(drawn) as text:
            write_secret(directory / name, text)
    return {**own, **{f"coordination.{name}_file": name for name in shared}}


def _forget_earlier(state: Path) -> None:
    """Whom an earlier node in this directory knew, what it joined, and whom it let in, is no concern of this one."""
    for name in (MEMBERS, JOINING, LEDGER):
        (state / name).unlink(missing_ok=True)


def normal(directory: Path) -> Path:
    """Return the path in its absolute form."""
    return Path(os.path.normpath(directory.absolute()))


def _places(directory: Path) -> dict[str, Value]:
    return {"state_dir": STATE, "master.identity_key_path": KEY, **_front(directory)}


def _front(directory: Path) -> dict[str, Value]:
    """Listen on a Unix socket, which nobody else on the machine can reach, if its path can be short enough."""
    path = directory / STATE / "front.sock"
    fits = len(os.fsencode(path)) <= LONGEST_UNIX_PATH
    return {"listen": f"unix:{STATE}/front.sock"} if fits else {"local_port": 0}


def check_room(directory: Path, force: bool) -> None:
    """
    See that a node can be made in ``directory``, over what is there only with ``force``.

    :raises CannotMake: it cannot; nothing was touched.
    """
    if not str(directory).isprintable():
        raise CannotMake("--dir must not have control characters in its path; choose another one")
    length = len(os.fsencode(directory / STATE))
    if length > DEEPEST_STATE:
        raise CannotMake(
            f"the path of {directory} is too long by {length - DEEPEST_STATE} bytes for the Unix sockets inside; "
            "choose a shorter --dir"
        )
    there = [name for name in FILES if os.path.lexists(directory / name)]
    if there and not force:
        raise CannotMake(f"{', '.join(there)} in {directory} would be replaced; choose another --dir, or --force")
    if os.path.lexists(directory):
        _check_private(directory)


def _check_private(directory: Path) -> None:
    try:
        private_directory(directory)
    except (OSError, UnsafePath) as error:
        raise CannotMake(f"{error}; choose another --dir, or: chmod 700 {directory}") from None


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
