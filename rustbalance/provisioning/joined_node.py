"""
Making a node from a join bundle.

Owns: its settings, and what it starts to join with. In: an open bundle, a directory; out: ``NewNode``. Nothing is
written before everything was checked; the daemon does the rest through the master address.
"""

import os
import socket
from collections.abc import Sequence
from pathlib import Path

from rustbalance.cluster.bundle import Bundle
from rustbalance.cluster.keys import NodeKey, TicketKey
from rustbalance.cluster.messages import NODE_ID, NodeRecord
from rustbalance.cluster.records import bind
from rustbalance.config.writing import Value
from rustbalance.files import private_directory
from rustbalance.joining.records import JOINING, JoinFile, Joining
from rustbalance.onion.keys import InvalidKey, MasterKey
from rustbalance.provisioning import node_files
from rustbalance.provisioning.new_bundle import JOIN_SECRET, MASTER_KEY, TICKET_KEY, TOKEN
from rustbalance.provisioning.new_node import carrier_settings, include_settings, node_id, target_settings
from rustbalance.provisioning.node_files import CannotMake, NewNode, check_room, normal, write_node
from rustbalance.provisioning.shared_settings import NotShared, unpack_settings
from rustbalance.secret_files import decode_base64, read_secret
from rustbalance.secrets import Secret

_DIRECT = "direct:"


def create_joined_node(
    directory: Path,
    bundle: Bundle,
    *,
    name: str | None = None,
    endpoint: str | None = None,
    target: str | None = None,
    torrc_include: Path | None = None,
    force: bool = False,
) -> NewNode:
    """
    Make a node in ``directory`` that joins with ``bundle``, whose secrets are wiped in the end.

    :param name: its id, which no other node may have; without one the host's name with something random.
    :param target: a target of its own, instead of the one that the other nodes have.
    :raises CannotMake: something is wrong with the bundle or with what was asked for.
    """
    directory = normal(directory)
    try:
        settings = _settings(bundle, name, endpoint)
        if target is not None:
            settings = {key: settings[key] for key in settings if not key.startswith("target.")}
            settings |= target_settings(target)
        settings |= include_settings(torrc_include)
        check_room(directory, force)
        shared = {node_files.TOKEN: _taken(bundle, TOKEN), node_files.JOIN_SECRET: _taken(bundle, JOIN_SECRET)}
        return _write(directory, bundle, settings, shared)
    finally:
        bundle.wipe()


def _write(directory: Path, bundle: Bundle, settings: dict[str, Value], shared: dict[str, Secret]) -> NewNode:
    ticket_key, facts = _ticket_key(bundle), bundle.facts

    def write_joining() -> None:
        binding = bind(ticket_key, _node_public_key(directory))
        joining = Joining(ticket=facts.ticket, binding=binding, records=facts.records)
        JoinFile(private_directory(directory / node_files.STATE) / JOINING, Joining).write(joining)

    try:
        return write_node(directory, settings, _master_key(bundle), shared, write_joining)
    finally:
        ticket_key.wipe()


def _node_public_key(directory: Path) -> bytes:
    with read_secret(directory / node_files.NODE_KEY) as text, decode_base64(text) as seed:
        key = NodeKey(seed)
    key.wipe()
    return key.public


def _settings(bundle: Bundle, name: str | None, endpoint: str | None) -> dict[str, Value]:
    chosen = name or f"{node_id(socket.gethostname())[:59]}-{os.urandom(2).hex()}"
    if not NODE_ID.fullmatch(chosen):
        raise CannotMake("--id must be 1 to 64 characters of a-z, 0-9 and -")
    if chosen in (bundle.facts.ticket.issuer, *(record.id for record in bundle.facts.records)):
        raise CannotMake(f"--id {chosen} is the name of a node of the cluster; choose another one")
    try:
        shared = unpack_settings(bundle.facts.settings)
    except NotShared as error:
        raise CannotMake(str(error)) from None
    carrier = str(shared.get("coordination.mode", "tor"))
    peers = _direct_peers(bundle.facts.records) if carrier == "direct" else ()
    known: dict[str, Value] = {"coordination.peers": peers} if peers else {}
    return {**shared, **carrier_settings(carrier, endpoint), **known, "node.id": chosen}


def _direct_peers(records: Sequence[NodeRecord]) -> tuple[str, ...]:
    addresses = [address for record in records for address in record.addresses]
    return tuple(address.removeprefix(_DIRECT) for address in addresses if address.startswith(_DIRECT))


def _taken(bundle: Bundle, name: str) -> Secret:
    found = bundle.secrets.get(name)
    if found is None:
        raise CannotMake(f"the bundle has no {name}; it was made by another version")
    return found


def _ticket_key(bundle: Bundle) -> TicketKey:
    try:
        key = TicketKey(_taken(bundle, TICKET_KEY))
    except InvalidKey as error:
        raise CannotMake(f"the bundle's ticket key is none: {error}") from None
    if key.public != bundle.facts.ticket.public_key:
        key.wipe()
        raise CannotMake("the bundle's ticket key is not that of its ticket; ask for a new bundle")
    return key


def _master_key(bundle: Bundle) -> MasterKey:
    """See that key and address belong together (D-73)."""
    try:
        key = MasterKey.from_expanded(_taken(bundle, MASTER_KEY))
    except InvalidKey as error:
        raise CannotMake(f"the bundle's key is none: {error}") from None
    if key.address.text != bundle.facts.address:
        raise CannotMake("the bundle's key is not that of its address; ask for a new bundle")
    return key
