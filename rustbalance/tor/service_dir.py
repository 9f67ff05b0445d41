"""
The directory of the onion service.

Owns: what lies in it before Tor first reads it. In: a path and the identity key; out: a HiddenServiceDir with keys
and ``ob_config``. An ``ob_config`` that is added later, by a reload, makes Tor drop every introduction until the next
rotation of its descriptors (hs_ob.c), so everything is there from the start.
"""

import os
from pathlib import Path

from rustbalance.files import ensure_contents, private_directory
from rustbalance.key_files import write_service_keys
from rustbalance.onion.address import OnionAddress
from rustbalance.onion.keys import MasterKey

OB_CONFIG = "ob_config"


def prepare_service_directory(directory: Path, key: MasterKey) -> None:
    """
    Make ``directory`` ready for a Tor that serves the address of ``key``; what is right already stays.

    :raises rustbalance.files.UnsafePath: it belongs to someone else or is open to others.
    :raises rustbalance.key_files.KeyFileError: it belongs to another service.
    :raises OSError: it cannot be written.
    """
    private_directory(directory)
    write_service_keys(directory, key)
    ensure_contents(directory / OB_CONFIG, ob_config(key.address))


def is_ours(directory: Path) -> bool:
    """
    Say whether it is for us to make and fill ``directory``.

    It is not where it belongs to another user, would lie in a directory of another one, or cannot even be looked at:
    Tor takes a service only from a directory of its own user, so that one has to be given the key by other means.
    """
    for place in (directory, *directory.parents):
        try:
            owner = place.stat().st_uid
        except FileNotFoundError:
            continue
        except OSError:
            return False
        return owner == os.geteuid() or (
            place != directory and owner == 0 and os.access(place, os.W_OK, effective_ids=True)
        )
    return False


def ob_config(address: OnionAddress) -> bytes:
    """Return the file that makes an instance accept introductions meant for ``address`` in the neighbouring periods."""
    return f"MasterOnionAddress {address.text}\n".encode()
