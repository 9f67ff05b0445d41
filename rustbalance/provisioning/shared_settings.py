"""
What all nodes of a cluster set alike.

Owns: which keys of the configuration go into a join bundle, and their form there. In: what a file says; out: text of
TOML by dotted name, and back. Keys about one machine (its name, its ports, its Tor) never travel.
"""

import tomllib
from collections.abc import Mapping
from typing import Any

from rustbalance.config.outline import Entry, every_entry
from rustbalance.config.writing import Value, as_toml

#: Whole tables that are about the service and not about a machine.
TABLES = ("target", "publish", "health", "canary")
#: Keys of other tables.
KEYS = (
    "node.clock_skew_tolerance_secs",
    "coordination.mode",
    "coordination.heartbeat_interval_secs",
    "coordination.heartbeat_timeout_secs",
    "coordination.lease_duration_secs",
    "coordination.backoff_jitter_secs",
    "coordination.token_grace_secs",
    "wireguard.network",
    "tor.num_introduction_points",
    "shutdown_deadline_secs",
)
#: Files of one machine.
EXCEPT = ("publish.client_auth_dir",)


class NotShared(ValueError):
    """A bundle sets a key that no bundle may set, or in a form that is none; the message names the key."""


def pack_settings(given: Mapping[str, Any]) -> dict[str, str]:
    """Return those of the given keys that all nodes share."""
    return {name: as_toml(given[name]) for name in sorted(_shared() & given.keys())}


def unpack_settings(packed: Mapping[str, object]) -> dict[str, Value]:
    """
    Return the settings of a bundle.

    :raises NotShared: it was made by another version, or by somebody who means no good.
    """
    return {name: _read(name, text) for name, text in packed.items()}


def _read(name: str, text: object) -> Value:
    if name not in _shared() or not isinstance(text, str):
        raise NotShared(f"{name} is no setting that a bundle may have; it was made by another version")
    try:
        found = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        found = {}
    value = found.get("value")
    if found.keys() != {"value"} or not isinstance(value, str | int | float | bool):
        raise NotShared(f"the bundle has no proper value for {name}; it was made by another version")
    return value


def _shared() -> set[str]:
    return {entry.dotted for entry in every_entry() if _is_shared(entry)}


def _is_shared(entry: Entry) -> bool:
    if entry.key.secret or entry.key.later or entry.dotted in EXCEPT:
        return False
    return entry.section in TABLES or entry.dotted in KEYS
