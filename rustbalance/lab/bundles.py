"""
Bundles for the nodes of a lab.

Owns: having a node make one and opening it, as ``rustbalance bundle`` and ``rustbalance join`` do. In: the
configuration of a node, a directory; out: ``Bundle``. The passphrase lies in a file of mode 0600, as it may elsewhere.
Blocks for as long as Argon2id takes: call it in a thread.
"""

from pathlib import Path

from rustbalance.cluster.bundle import Bundle, open_bundle
from rustbalance.files import write_atomically
from rustbalance.life import now
from rustbalance.provisioning.new_bundle import make_bundle
from rustbalance.provisioning.passphrase import get_passphrase
from rustbalance.secret_files import encode_base64, write_secret
from rustbalance.secrets import Secret

PASSPHRASE = "passphrase"
LIFETIME = 3600.0


def write_passphrase(directory: Path) -> Path:
    """Write a new passphrase into ``directory``, in place of one that is there, and return its path."""
    path = directory / PASSPHRASE
    with Secret.random(32) as drawn, encode_base64(drawn) as text:
        write_secret(path, text)
    return path


def invite(config: Path, passphrase_file: Path, out: Path) -> Bundle:
    """
    Have the node with this configuration make a bundle, carry it over in the file ``out``, and open that.

    :raises rustbalance.provisioning.new_bundle.CannotBundle: nobody can join through this node.
    :raises rustbalance.cluster.bundle.BundleError: there is not enough memory.
    """
    with get_passphrase(passphrase_file, None, twice=True) as passphrase:
        write_atomically(out, make_bundle(config, passphrase, LIFETIME, now().wall).encode("ascii") + b"\n")
    with get_passphrase(passphrase_file, None, twice=False) as passphrase:
        return open_bundle(out.read_text("ascii"), passphrase, now().wall)
