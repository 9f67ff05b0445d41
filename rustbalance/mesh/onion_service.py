"""
The onion service on which a node takes frames.

Owns: its key, its directory, and its options on a Tor. In: a directory of ours and a control connection; out: the
service's address, and a Tor that runs and publishes it.

The key is the node's own and has nothing to do with the master key: who knows it can take this node's place on the
mesh's wire, where he still can neither open nor make a frame. Tor reads it from its directory (mode 0700, the file
0600); we hold it, in locked memory, only as long as it takes to learn the address.
"""

from pathlib import Path

from rustbalance.files import private_directory
from rustbalance.key_files import SECRET_NAME, create_master_key, load_master_key, write_service_keys
from rustbalance.onion.address import OnionAddress
from rustbalance.tor.control import TorControl
from rustbalance.tor.replies import Setting, quoted
from rustbalance.tor.torrc import LONGEST_SOCKET_PATH, OWN_DIRECTORY, PUBLISH, SocketPathTooLong, foreign_directories

#: The only port of the service, the same on every node.
MESH_PORT = 51821
OPTIONS = "HiddenServiceOptions"


class ServiceRefused(Exception):
    """That Tor cannot run our service: it hosts others, or has not got ours as we asked for it."""


class MeshService:
    """
    The service below ``directory``, with its keys and the socket that it leads to.

    :raises SocketPathTooLong: the directory lies too deep for a Unix socket.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.keys = directory / "service"
        self.socket = directory / "mesh.sock"
        if len(str(self.socket).encode()) > LONGEST_SOCKET_PATH:
            raise SocketPathTooLong(f"the socket path {self.socket} must have at most {LONGEST_SOCKET_PATH} bytes")

    def prepare(self) -> OnionAddress:
        """
        Make the directories, and the key when there is none; return the address.

        :raises rustbalance.files.UnsafePath: a directory is open to others.
        :raises rustbalance.key_files.KeyFileError: the key is not usable. :raises OSError: it cannot be written.
        """
        private_directory(self.directory)
        private_directory(self.keys)
        secret = self.keys / SECRET_NAME
        key = load_master_key(secret) if secret.exists() else create_master_key(secret)
        try:
            write_service_keys(self.keys, key)
            return key.address
        finally:
            key.wipe()

    def options(self) -> tuple[tuple[str, str], ...]:
        """Return the service's options: one port, and few streams, so that a stranger cannot fill our memory."""
        return (
            (OWN_DIRECTORY, str(self.keys)),
            ("HiddenServicePort", f"{MESH_PORT} unix:{quoted(str(self.socket))}"),
            ("HiddenServiceMaxStreams", "4"),
            ("HiddenServiceMaxStreamsCloseCircuit", "1"),
        )

    async def run_on(self, control: TorControl) -> None:
        """
        Have Tor run and publish the service, and read back that it does.

        :raises ServiceRefused: it hosts other services (nothing is changed then), or has not got ours.
        :raises rustbalance.tor.control.ControlError: as every verb.
        """
        others = foreign_directories(await control.get_conf(OPTIONS), self.keys)
        if others:
            raise ServiceRefused(f"this Tor hosts other onion services ({', '.join(others)}); the mesh needs its own")
        await control.set_conf(((PUBLISH, "1"), *self.options()))
        found = await control.get_conf(OPTIONS)
        if not self._is_there(found):
            raise ServiceRefused("Tor has not got the mesh's onion service as we asked for it")

    def _is_there(self, found: tuple[Setting, ...]) -> bool:
        return set(self.options()) <= set(found)
