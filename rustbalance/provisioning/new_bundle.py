"""
Making a join bundle from a node's directory.

Owns: what goes into a bundle. In: a configuration, a passphrase, how long it is to be valid; out: the line. The ticket
in it is signed with the key of this node, which has to be a member when somebody comes with it. It has a key of its
own, whose secret half is in the bundle only: no member can use a ticket that it has seen.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rustbalance.cluster.bundle import Facts, seal_bundle
from rustbalance.cluster.keys import NodeKey, TicketKey
from rustbalance.cluster.messages import NodeRecord, Ticket
from rustbalance.cluster.records import sign_record, sign_ticket
from rustbalance.config import Config, find_given, load_config, wipe_secrets
from rustbalance.key_files import KeyFileError, load_master_key
from rustbalance.onion.address import OnionAddress
from rustbalance.provisioning.shared_settings import pack_settings
from rustbalance.secret_files import decode_base64
from rustbalance.secrets import Secret

MASTER_KEY, TOKEN, JOIN_SECRET, TICKET_KEY = "master_key", "cluster_token", "join_secret", "ticket_key"
"""The secrets of a bundle, by their names in it."""


class CannotBundle(Exception):
    """Others cannot join through this node; the message says what to do."""


def make_bundle(config_path: Path, passphrase: Secret, lifetime: float, wall: float) -> str:
    """
    Return a fresh bundle that is valid for ``lifetime`` seconds after the Unix time ``wall``.

    :raises CannotBundle: the node has no token, join secret or key of its own.
    :raises rustbalance.config.ConfigError: its configuration cannot be used.
    :raises rustbalance.cluster.bundle.BundleError: the passphrase is too short.
    """
    config = load_config(config_path)
    with _secrets(config) as (address, secrets), Secret.random(32) as ticket_seed:
        node_key = _node_key(config)
        ticket = sign_ticket(Ticket(_public(ticket_seed), int(wall + lifetime), config.node.id), node_key)
        facts = Facts(
            ticket=ticket,
            address=address.text,
            created=int(wall),
            records=_records(config, node_key),
            settings=dict(pack_settings(find_given(config_path))),
        )
        return seal_bundle(facts, {**secrets, TICKET_KEY: ticket_seed}, passphrase, os.urandom)


@contextmanager
def _secrets(config: Config) -> Iterator[tuple[OnionAddress, Mapping[str, Secret]]]:
    """Yield the address and the secrets that a new node needs, and wipe them."""
    token, join_secret = config.coordination.cluster_token, config.coordination.join_secret
    if token is None:
        raise CannotBundle("coordination.cluster_token is not set; without it there is no cluster to join")
    if join_secret is None:
        raise CannotBundle("coordination.join_secret is not set; without it no node answers whoever wants to join")
    try:
        master = load_master_key(config.master.identity_key_path)
    except KeyFileError as error:
        raise CannotBundle(str(error)) from None
    try:
        yield master.address, {MASTER_KEY: master.secret, TOKEN: token, JOIN_SECRET: join_secret}
    finally:
        master.wipe()
        wipe_secrets(config)


def _public(ticket_seed: Secret) -> bytes:
    key = TicketKey(ticket_seed)
    key.wipe()
    return key.public


def _node_key(config: Config) -> NodeKey:
    if config.node.key is None:
        raise CannotBundle("node.key is not set; it signs the bundle, so that other nodes know who has made it")
    with decode_base64(config.node.key) as seed:
        return NodeKey(seed)


def _records(config: Config, node_key: NodeKey) -> tuple[NodeRecord, ...]:
    """Tell where we are if that is sure before we run; all other ways are told in the answer to whoever joins."""
    listen = config.coordination.listen
    if config.coordination.mode != "direct" or listen.endswith(":0"):
        return ()
    record = NodeRecord(config.node.id, node_key.public, 0, config.node.priority, (f"direct:{listen}",))
    return (sign_record(record, node_key),)
