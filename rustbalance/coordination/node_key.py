"""
The node key on disk.

Owns: the file it is in, and making it at the first start. In: a path, or the configured key; out: ``NodeKey``. The file
holds 32 bytes in base64, for the owner only.
"""

from pathlib import Path

from rustbalance.cluster.keys import NodeKey
from rustbalance.key_files import KeyFileError
from rustbalance.secret_files import SecretFileError, create_secret, decode_base64, encode_base64, read_secret
from rustbalance.secrets import Secret


def node_key(configured: Secret | None, path: Path) -> NodeKey:
    """
    Return the key that is ``configured`` (base64), else the one in the file ``path``, which is made if need be.

    :raises rustbalance.key_files.KeyFileError: the file holds no key, is open to others, or cannot be written.
    """
    if configured is not None:
        return _decoded(configured)
    try:
        if not path.exists():
            _create(path)
        with read_secret(path) as text:
            return _decoded(text)
    except SecretFileError as error:
        raise KeyFileError(str(error)) from None
    except ValueError:
        raise KeyFileError(f"{path}: must hold the node key, 32 bytes in base64") from None
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be written: {error.strerror}") from None


def _decoded(text: Secret) -> NodeKey:
    with decode_base64(text) as seed:
        return NodeKey(seed)


def _create(path: Path) -> None:
    with Secret.random(32) as seed, encode_base64(seed) as text:
        create_secret(path, text)
