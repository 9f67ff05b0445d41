"""
What other processes may know about a running lab.

Owns: the JSON files ``network.json`` and ``lab.json`` in a lab's directory. In: ports, paths and process ids; out: the
same, for ``rustbalance lab status|down`` and for live tests. A file counts only while the process that wrote it runs,
which is told by a lock that the process holds.
"""

import fcntl
import os
from pathlib import Path
from typing import TypeVar

import msgspec

from rustbalance.files import write_atomically

NETWORK_FILE = "network.json"
LAB_FILE = "lab.json"
LOCK_FILE = "lock"


class ClientState(msgspec.Struct, frozen=True, kw_only=True):
    """A client Tor on 127.0.0.1. ``directory`` is its DataDirectory, where the control cookie lies."""

    directory: str
    control_port: int
    socks_port: int


class NetworkState(msgspec.Struct, frozen=True, kw_only=True):
    """
    A private network that is ready to be used.

    ``include_path`` is made for ``tor.torrc_include``; ``pid`` runs the network; times are Unix seconds.
    """

    pid: int
    directory: str
    include_path: str
    started_at: float
    boot_secs: float
    voting_interval: int
    authorities: int
    relays: int
    client: ClientState


class NodeState(msgspec.Struct, frozen=True, kw_only=True):
    """A node of ours."""

    name: str
    pid: int
    config: str
    onion_address: str


class LabState(msgspec.Struct, frozen=True, kw_only=True):
    """A network, a target site and nodes, all run by process ``pid``. ``site`` is ``HOST:PORT`` or ``unix:PATH``."""

    pid: int
    network: NetworkState
    site: str
    nodes: tuple[NodeState, ...]


State = TypeVar("State", NetworkState, LabState)


def default_directory() -> Path:
    """Return where a lab lives when nobody says where: in the user's runtime directory, else in /tmp."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime) / "rustbalance-lab" if runtime else Path(f"/tmp/rustbalance-lab-{os.getuid()}")


class LabRuns(Exception):
    """Another process runs a lab or a network in this directory."""


def hold(directory: Path) -> int:
    """
    Take ``directory`` for this process for as long as it lives; return the descriptor that holds it.

    :raises LabRuns: another process has it.
    """
    lock = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if not _locked(lock):
        os.close(lock)
        raise LabRuns(f"something runs in {directory} already")
    os.truncate(lock, 0)
    os.write(lock, b"%d" % os.getpid())
    return lock


def holder(directory: Path) -> int | None:
    """
    Return the process that has taken ``directory``, None when there is none or it has ended, however.

    It is 0 in the moment before the process has said who it is.
    """
    try:
        lock = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return None if _locked(lock) else int(os.read(lock, 20) or b"0")
    finally:
        os.close(lock)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def save(path: Path, state: NetworkState | LabState) -> None:
    """Write ``state``, for the user's eyes only."""
    write_atomically(path, msgspec.json.format(msgspec.json.encode(state), indent=1))


def load(path: Path, kind: type[State]) -> State | None:
    """Return what ``path`` says, None when there is no such file, it makes no sense, or its writer has ended."""
    try:
        state = msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError):
        return None
    return state if holder(path.parent) is not None else None
