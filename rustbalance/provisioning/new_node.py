"""
Making the first node of a cluster.

Owns: its settings, and that nothing is written before everything was checked. In: the directory, the target, perhaps a
key; out: ``NewNode``. Writing the files is ``node_files.py``.
"""

import re
import socket
from ipaddress import ip_network
from pathlib import Path

from rustbalance.config.addresses import HostPort
from rustbalance.config.cluster_keys import host_port, listening
from rustbalance.config.complaints import Refused
from rustbalance.config.schema import Wireguard
from rustbalance.config.writing import Value
from rustbalance.key_files import KeyFileError, load_master_key
from rustbalance.onion.keys import MasterKey
from rustbalance.provisioning.node_files import JOIN_SECRET, TOKEN, CannotMake, NewNode, check_room, normal, write_node
from rustbalance.provisioning.target import parse_target
from rustbalance.secret_files import encode_hex
from rustbalance.secrets import Secret


def create_node(
    directory: Path,
    target: str,
    *,
    name: str | None = None,
    identity_key: Path | None = None,
    carrier: str = "tor",
    endpoint: str | None = None,
    torrc_include: Path | None = None,
    force: bool = False,
) -> NewNode:
    """
    Make a node in ``directory`` that serves ``target`` (see ``target.py`` for the forms) and begins a cluster.

    :param name: its id, 1 to 64 characters of a-z, 0-9 and -; without one the host's name.
    :param identity_key: a key to keep the address of; without one a new one is made.
    :param carrier: ``tor``, ``wireguard`` or ``direct``; ``endpoint`` is where the latter two are reached.
    :param force: replace a configuration and keys that are there.
    :raises CannotMake: something is wrong with what was asked for.
    """
    directory = normal(directory)
    settings = {
        "node.id": name or node_id(socket.gethostname()),
        **target_settings(target),
        **carrier_settings(carrier, endpoint),
        **include_settings(torrc_include),
    }
    if carrier == "wireguard":
        settings["wireguard.tunnel_ip"] = str(ip_network(Wireguard().network)[1])
    check_room(directory, force)
    given = _open_key(identity_key)
    if given is not None and settings.get("target.onion_address") == given.address.text:
        raise CannotMake("--target is the address of --identity-key itself: visitors would go in circles")
    return write_node(directory, settings, given, new_secrets())


def new_secrets() -> dict[str, Secret]:
    """Make what all nodes of a new cluster will share, 256 bit each."""
    return {name: _random_text() for name in (TOKEN, JOIN_SECRET)}


def _random_text() -> Secret:
    with Secret.random(32) as drawn:
        return encode_hex(drawn)


def node_id(host_name: str) -> str:
    """Return the name that a node has by default: that of its host, in the characters that a name may have."""
    cleaned = re.sub(r"[^a-z0-9]+", "-", host_name.partition(".")[0].lower()).strip("-")
    return cleaned[:64].strip("-") or "node"


def target_settings(target: str) -> dict[str, Value]:
    """
    Return the settings of a target.

    :raises CannotMake: it has none of the forms.
    """
    try:
        return parse_target(target, Path.cwd())
    except Refused as refusal:
        raise CannotMake(f"--target {refusal}") from None


def include_settings(torrc_include: Path | None) -> dict[str, Value]:
    """Return the settings for a file that every torrc includes."""
    return {} if torrc_include is None else {"tor.torrc_include": str(torrc_include.absolute())}


def carrier_settings(carrier: str, endpoint: str | None) -> dict[str, Value]:
    """
    Return the settings of a carrier.

    :raises CannotMake: the endpoint does not fit it.
    """
    settings: dict[str, Value] = {"coordination.mode": carrier}
    if endpoint is None:
        return settings
    if carrier == "tor":
        raise CannotMake("--endpoint has a meaning only with --carrier wireguard or direct; Tor needs none")
    key = listening("") if carrier == "direct" else host_port("")
    try:
        read: object = key.read(endpoint, Path.cwd())
    except Refused as refusal:
        raise CannotMake(f"--endpoint {str(refusal) or key.rule}") from None
    if isinstance(read, HostPort):
        return settings | {"wireguard.external_endpoint": str(read), "wireguard.listen_port": read.port}
    return settings | {"coordination.listen": str(read)}


def _open_key(path: Path | None) -> MasterKey | None:
    if path is None:
        return None
    try:
        return load_master_key(path)
    except KeyFileError as error:
        raise CannotMake(f"--identity-key: {error}") from None
