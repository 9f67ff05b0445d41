"""
The keys of relays and directory authorities.

Owns: making them, an authority's with tor-gencert, and writing them where Tor looks. In: a directory and ports; out:
fingerprints and ``AuthorityIdentity``. Keys of a private network are worth nothing, so they are ordinary files and
never locked.
"""

import hashlib
import re
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from twisted.internet.interfaces import IReactorProcess
from twisted.internet.utils import getProcessOutputAndValue

from rustbalance.files import private_directory
from rustbalance.lab.torrc import AuthorityIdentity

CERTIFICATE_MONTHS = "12"


class KeysNotMade(Exception):
    """tor-gencert failed or is not installed."""


async def make_authority(
    nickname: str, directory: Path, or_port: int, dir_port: int, reactor: IReactorProcess
) -> AuthorityIdentity:
    """
    Make the long-term and the relay identity of an authority in ``directory``/keys.

    :raises KeysNotMade: tor-gencert could not do it; the message has its output.
    """
    fingerprint = make_relay_identity(directory)
    v3ident = await _make_v3_identity(directory / "keys", dir_port, reactor)
    return AuthorityIdentity(nickname, v3ident, fingerprint, or_port, dir_port)


def make_relay_identity(directory: Path) -> str:
    """
    Write a relay's RSA identity in ``directory``/keys and return its fingerprint, in upper-case hex.

    Source: tor-spec, "Keys and names": RSA-1024, the fingerprint is the SHA-1 of the PKCS #1 public key.
    """
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    path = private_directory(directory / "keys") / "secret_id_key"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    path.chmod(0o600)
    return hashlib.sha1(key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)).hexdigest().upper()


async def _make_v3_identity(keys: Path, dir_port: int, reactor: IReactorProcess) -> str:
    """Make the authority identity, signing key and certificate (dir-spec) and return the identity's fingerprint."""
    files = ("-i", "authority_identity_key", "-s", "authority_signing_key", "-c", "authority_certificate")
    command = ["--create-identity-key", "--passphrase-fd", "0", *files, "-m", CERTIFICATE_MONTHS]
    command += ["-a", f"127.0.0.1:{dir_port}"]
    try:
        out, err, status = await getProcessOutputAndValue(
            "tor-gencert", command, env=None, path=str(keys), reactor=reactor, stdinBytes=b"\n"
        )
    except OSError as error:
        raise KeysNotMade(f"tor-gencert cannot be started: {error}") from error
    found = re.search(r"^fingerprint ([0-9A-F]{40})$", _text(keys / "authority_certificate"), re.MULTILINE)
    if status != 0 or found is None:
        raise KeysNotMade(f"tor-gencert exited with {status}: {(out + err).decode(errors='replace')}")
    return found[1]


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
