"""
Identity keys on disk, in the three forms that people have, and service directories as Tor reads them.

Owns: recognising a key file, checking it against what lies beside it, and never replacing one. In: paths; out:
``MasterKey``. Source of the formats: C tor's crypto_format.c (tagged files) and hs_service.c (directories).
"""

import os
from contextlib import suppress
from pathlib import Path

from rustbalance.files import ensure_contents
from rustbalance.onion.address import AddressError, OnionAddress
from rustbalance.onion.keys import InvalidKey, MasterKey
from rustbalance.secret_files import SecretFileError, create_secret, read_raw
from rustbalance.secrets import Secret

SECRET_HEADER = b"== ed25519v1-secret: type0 ==\0\0\0"
PUBLIC_HEADER = b"== ed25519v1-public: type0 ==\0\0\0"
SECRET_NAME = "hs_ed25519_secret_key"  # noqa: S105  (a file name)
PUBLIC_NAME = "hs_ed25519_public_key"
HOSTNAME = "hostname"
LONGEST = 4096
"""Bytes: more than any of these files has."""


class KeyFileError(ValueError):
    """A key file cannot be used; the message names the file and the rule and never what is in it."""


def load_master_key(path: Path) -> MasterKey:
    """
    Read an identity key: a seed of 32 bytes, an expanded key of 64, or Tor's ``hs_ed25519_secret_key`` of 96.

    When ``hs_ed25519_public_key`` or ``hostname`` lies beside the file, it must belong to the key.

    :raises KeyFileError: no such file, open to others, another kind of file, or another key beside it.
    """
    try:
        with read_raw(path, limit=LONGEST) as raw:
            key = _recognise(raw)
    except InvalidKey as error:
        raise KeyFileError(f"{path}: {error}") from None
    except SecretFileError as error:
        raise KeyFileError(str(error)) from None
    _check_beside(path.parent, key)
    return key


def address_of_key(path: Path) -> OnionAddress:
    """
    Return the address of the key in the file ``path``; the key itself is wiped at once.

    :raises KeyFileError: as ``load_master_key``.
    """
    key = load_master_key(path)
    try:
        return key.address
    finally:
        key.wipe()


def _recognise(raw: Secret) -> MasterKey:
    with raw.expose() as view:
        if view[:32] == PUBLIC_HEADER:
            raise InvalidKey(f"this is the public key; the secret one is {SECRET_NAME}")
        if len(view) == 32:
            return MasterKey.from_seed(raw)
        if len(view) == 64:
            return MasterKey.from_expanded(Secret.copy_of(view))
        if len(view) == 96 and view[:32] == SECRET_HEADER:
            return MasterKey.from_expanded(Secret.copy_of(view[32:]))
        if len(view) == 96:
            raise InvalidKey("a key file of 96 bytes must begin with Tor's header for version 3 secret keys")
        raise InvalidKey(f"a key file has 32 bytes (seed), 64 (expanded key) or 96 (Tor's), not {len(view)}")


def _check_beside(directory: Path, key: MasterKey) -> None:
    public = _contents(directory / PUBLIC_NAME)
    if public is not None and public != PUBLIC_HEADER + key.public:
        raise KeyFileError(f"{directory / PUBLIC_NAME}: must be the public key of the secret key beside it")
    named = _address_in(_contents(directory / HOSTNAME) or b"")
    if named not in (None, key.address):
        raise KeyFileError(f"{directory / HOSTNAME}: must be the address of the secret key beside it")


def _contents(path: Path) -> bytes | None:
    """Return the first bytes of a file, more than those that we know have; nothing makes us wait or read for ever."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return os.read(descriptor, LONGEST)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be read: {error.strerror}") from None


def _address_in(hostname: bytes) -> OnionAddress | None:
    """Return the address in Tor's ``hostname`` file, None for a file of that name that is about something else."""
    with suppress(AddressError):
        return OnionAddress.parse(hostname.decode("ascii", "replace").strip())
    return None


def create_master_key(path: Path) -> MasterKey:
    """
    Make a new identity key and write it as Tor's file of 96 bytes, for the owner only.

    :raises KeyFileError: there is a file already (it is left alone), or the key of another service beside it.
    """
    with Secret.random(32) as seed:
        key = MasterKey.from_seed(seed)
    _check_beside(path.parent, key)
    _create(path, key)
    return key


def write_service_keys(directory: Path, key: MasterKey) -> None:
    """
    Put the key into a HiddenServiceDir: secret key, public key and hostname, all for the owner only.

    What is there already stays, as long as it belongs to the same key.

    :raises KeyFileError: the directory belongs to another service.
    """
    secret = directory / SECRET_NAME
    there = secret.exists()
    if there and address_of_key(secret) != key.address:
        raise KeyFileError(f"{secret}: belongs to another service, and is left as it is")
    _check_beside(directory, key)
    if not there:
        _create(secret, key)
    ensure_contents(directory / PUBLIC_NAME, PUBLIC_HEADER + key.public)
    ensure_contents(directory / HOSTNAME, key.address.text.encode("ascii") + b"\n")


def _create(path: Path, key: MasterKey) -> None:
    try:
        create_secret(path, key.secret, SECRET_HEADER)
    except FileExistsError:
        raise KeyFileError(f"{path}: exists already, and is left as it is") from None
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be written: {error.strerror}") from None
