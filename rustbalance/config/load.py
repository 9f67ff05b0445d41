"""
Reading ``config.toml``.

Owns: the order in which a file becomes a ``Config``. In: a path; out: the configuration, or every complaint at once.
Secrets are cut out of the text before TOML is parsed, so that none of them ever is a ``str``.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rustbalance.config.complaints import Complaint, ConfigError
from rustbalance.config.crosschecks import cross_check, fill_in
from rustbalance.config.draft import Draft
from rustbalance.config.outline import entries, secret_names, sections
from rustbalance.config.schema import Config
from rustbalance.config.secret_keys import fetch_secrets
from rustbalance.config.surroundings import look_around
from rustbalance.onion.address import OnionAddress
from rustbalance.secret_files import SecretFileError, read_inline
from rustbalance.secrets import Secret

ENCRYPTED = ".enc"


@dataclass(frozen=True)
class Places:
    """What a command needs to know of a configuration without its secrets."""

    control_socket: Path
    identity_key_path: Path


def load_config(path: Path, environment: Mapping[str, str] = os.environ) -> Config:
    """
    Read the configuration in the file ``path``, with its secrets.

    :param environment: where ``CREDENTIALS_DIRECTORY`` is looked up.
    :raises ConfigError: it cannot be used; it holds all the reasons that can be told at once.
    """
    document, inline = _parse(path)
    draft = Draft(path.absolute().parent)
    draft.read(document)
    secrets = fetch_secrets(draft, inline, _credentials(environment))
    fill_in(draft)
    cross_check(draft)
    look_around(draft)
    if draft.complaints:
        for secret in (*inline.values(), *secrets.values()):
            secret.wipe()
        raise ConfigError(draft.complaints)
    return _assemble({**draft.values, **secrets})


def wipe_secrets(config: Config) -> None:
    """Wipe every secret in ``config``, which is only good for its other values then."""
    for name in secret_names():
        section, _, key = name.rpartition(".")
        secret = getattr(getattr(config, section) if section else config, key)
        if secret is not None:
            secret.wipe()


def find_places(path: Path) -> Places:
    """
    Read only where the control socket and the key are; what else may be wrong with the file does not matter.

    :raises ConfigError: these cannot be told.
    """
    document, inline = _parse(path)
    for secret in inline.values():
        secret.wipe()
    draft = Draft(path.absolute().parent)
    draft.read(document)
    fill_in(draft)
    wanted = ("control_socket", "master.identity_key_path")
    if any(name not in draft.values for name in wanted):
        raise ConfigError([found for found in draft.complaints if found.key in (*wanted, "state_dir", "master")])
    return Places(draft.values["control_socket"], draft.values["master.identity_key_path"])


def find_given(path: Path) -> dict[str, Any]:
    """
    Return what the file says, by dotted name, as TOML has it and without secrets.

    :raises ConfigError: it is no TOML.
    """
    document, inline = _parse(path)
    for secret in inline.values():
        secret.wipe()
    draft = Draft(path.absolute().parent)
    draft.read(document)
    return {name: value for name, value in draft.given.items() if name.removesuffix("_file") not in secret_names()}


def check_master_address(config: Config, derived: OnionAddress) -> None:
    """
    Compare what the configuration says with the address ``derived`` from the key.

    :raises ConfigError: ``master.onion_address`` is another one, or the target is our own address.
    """
    complaints = []
    if config.master.onion_address not in (None, derived):
        complaints.append(Complaint("master.onion_address", "is not the address of the key in identity_key_path"))
    if config.target.onion_address == derived:
        complaints.append(
            Complaint("target.onion_address", "must not be the master address: visitors would go in circles")
        )
    if complaints:
        raise ConfigError(complaints)


def _parse(path: Path) -> tuple[dict[str, Any], dict[str, Secret]]:
    """Return the document with secrets blanked, and the secrets."""
    if path.suffix == ENCRYPTED:
        raise _unreadable(path, "encrypted configurations are not available in this version")
    try:
        text, inline = read_inline(path, secret_names())
    except SecretFileError as error:
        raise ConfigError([Complaint(error.key or str(path), error.rule)]) from None
    try:
        return tomllib.loads(text), inline
    except (ValueError, RecursionError) as error:
        for secret in inline.values():
            secret.wipe()
        raise _unreadable(path, f"is not TOML: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    if isinstance(error, tomllib.TOMLDecodeError):
        return str(error)
    return "nested too deeply" if isinstance(error, RecursionError) else "a number is too long"


def _unreadable(path: Path, rule: str) -> ConfigError:
    return ConfigError([Complaint(str(path), rule)])


def _credentials(environment: Mapping[str, str]) -> Path | None:
    directory = environment.get("CREDENTIALS_DIRECTORY")
    return Path(directory) if directory else None


def _assemble(values: Mapping[str, Any]) -> Config:
    """Make the structs from values by dotted name."""
    tables: dict[str, dict[str, Any]] = {
        section: {
            entry.name: values[entry.dotted] for entry in entries(section) if values.get(entry.dotted) is not None
        }
        for section in sections()
    }
    top = tables.pop("")
    for section, table in tables.items():
        top[section] = sections()[section](**table)
    return Config(**top)
