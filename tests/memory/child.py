"""
A program that uses every kind of secret once, and stops itself where its memory is to be looked at.

Arguments: a directory with the secrets in files, and how to end: C{wipe} everything, C{drop} every reference, C{exit}
as it is, or C{leak} one on purpose. It stops when all secrets are live, after wiping, and at the very end of its
life; what it computed goes to standard output.
"""

import atexit
import gc
import json
import os
import signal
import sys
import threading
from pathlib import Path


def stop() -> None:
    """Let the scanner look."""
    os.kill(os.getpid(), signal.SIGSTOP)


# Registered before the first secret exists, so that it runs after those that are left have been wiped.
atexit.register(stop)
signal.alarm(120)

from rustbalance.key_files import load_master_key, write_service_keys  # noqa: E402
from rustbalance.onion.keys import DescriptorSigningKey  # noqa: E402
from rustbalance.onion.periods import TimePeriod  # noqa: E402
from rustbalance.secret_files import (  # noqa: E402
    decode_base64,
    decode_hex,
    encode_base64,
    read_inline,
    read_raw,
    read_secret,
    write_secret,
)
from rustbalance.secrets import burn_stack, harden_process, locked_bytes, wipe_all  # noqa: E402

MESSAGE = b"hs-descriptor 3\n" * 400


class Node:
    """Holds what a daemon would hold."""

    def __init__(self, directory: Path) -> None:
        self.key = load_master_key(directory / "hs_ed25519_secret_key")
        self.blinded = self.key.blind(TimePeriod(20000, 1440))
        with read_raw(directory / "seed", 32) as seed:
            self.signing = DescriptorSigningKey(seed)
        with read_secret(directory / "token") as text:
            self.token = decode_hex(text)
        with read_secret(directory / "wireguard") as text:
            self.wireguard = decode_base64(text)
        _, self.inline = read_inline(directory / "config.toml", {"tor.control_password"})
        self.leak = b""

    def work(self, directory: Path) -> dict[str, str]:
        """Use each secret, and return what may be known of it."""
        result = {
            "public": self.key.public.hex(),
            "blinded public": self.blinded.public.hex(),
            "blinded signature": self.blinded.sign(MESSAGE).hex(),
            "signing public": self.signing.public.hex(),
            "signature": self.signing.sign(MESSAGE).hex(),
            "revision key": self.blinded.revision_key().hex(),
            "shown": f"{self.key} {self.token!r} {self.inline}",
            "locked": str(locked_bytes()),
        }
        with encode_base64(self.wireguard) as text:
            write_secret(directory / "wireguard.out", text, b"key=")
        (directory / "service").mkdir(mode=0o700)
        write_service_keys(directory / "service", self.key)
        burn_stack()
        return result


def main() -> None:
    """Do the work, then end as asked."""
    directory, ending = Path(sys.argv[1]), sys.argv[2]
    if os.geteuid() == 0:
        harden_process()
    node: Node | None = Node(directory)
    assert node is not None
    results: list[dict[str, str]] = []
    results.append(node.work(directory))
    if ending == "leak":
        with node.token.expose() as view:
            node.leak = bytes(view)
    stop()
    if ending in ("wipe", "leak"):
        wipe_all()
    elif ending == "drop":
        node = None
        gc.collect()
    stop()
    print(json.dumps(results[0]), flush=True)
    threading.main_thread().kept = node  # type: ignore[attr-defined]  # what is live at the end stays so until the end


main()
