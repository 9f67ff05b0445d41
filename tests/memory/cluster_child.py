"""
A program that uses the secrets of a cluster once, and stops itself where its memory is to be looked at.

Argument: a directory with the secrets in files. It stops when all keys are live, after wiping, and at the end of its
life; what it computed goes to standard output.
"""

import atexit
import json
import os
import signal
import sys
from pathlib import Path


def stop() -> None:
    """Let the scanner look."""
    os.kill(os.getpid(), signal.SIGSTOP)


# Registered before the first secret exists, so that it runs after those that are left have been wiped.
atexit.register(stop)
signal.alarm(120)

from rustbalance.cluster.bundle import Facts, open_bundle, seal_bundle  # noqa: E402
from rustbalance.cluster.frames import FrameOpener, FrameSealer  # noqa: E402
from rustbalance.cluster.keys import KeyRing, NodeKey, TokenKeys  # noqa: E402
from rustbalance.cluster.messages import Heartbeat, State, Ticket  # noqa: E402
from rustbalance.moment import Moment  # noqa: E402
from rustbalance.secret_files import read_raw, read_secret  # noqa: E402
from rustbalance.secrets import burn_stack, harden_process, wipe_all  # noqa: E402

NOW = Moment(1.0, 1_800_000_000.0)


def main() -> None:
    """Derive, sign, seal and open; then wipe everything."""
    directory = Path(sys.argv[1])
    if os.geteuid() == 0:
        harden_process()
    token, passphrase = read_secret(directory / "token"), read_secret(directory / "passphrase")
    master = read_raw(directory / "master", 64)
    with read_raw(directory / "seed", 32) as seed:
        node_key = NodeKey(seed)
    ring = KeyRing(TokenKeys(token))
    # With zeros for random bytes the scanner knows the keys that salt and nonce lead to.
    sealer = FrameSealer(ring, node_key, "a", bytes(16), bytes)
    heartbeat = Heartbeat(beat=1, incarnation=1, priority=1, state=State.HEALTHY)
    frame = sealer.seal(heartbeat, NOW)
    opened = FrameOpener(ring, {"a": node_key.public}.get).open(frame, NOW)
    facts = Facts(ticket=Ticket(bytes(32), 2**33, "a"), address="", created=0)
    line = seal_bundle(facts, {"master": master, "token": token}, passphrase, bytes)
    bundle = open_bundle(line, passphrase, NOW.wall)
    right = opened.message == heartbeat and bundle.secrets["master"] == master
    burn_stack()
    stop()
    wipe_all()
    stop()
    print(json.dumps({"frame": frame.hex(), "line": line, "right": right}), flush=True)


main()
