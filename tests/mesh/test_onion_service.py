"""Tests for L{rustbalance.mesh.onion_service}; C{tests.live.test_mesh_tor} has the real Tor."""

import shutil
import tempfile
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.files import UnsafePath
from rustbalance.key_files import KeyFileError, load_master_key
from rustbalance.life import deferred
from rustbalance.mesh import onion_service
from rustbalance.mesh.onion_service import MeshService, ServiceRefused
from rustbalance.onion.keys import MasterKey
from rustbalance.testing.fake_tor import FakeTor
from rustbalance.tor.torrc import SocketPathTooLong
from tests.tor.connected import Connection


class MeshServiceTests(SynchronousTestCase):
    """L{MeshService}."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.service = MeshService(self.folder / "mesh")

    def run_on(self, tor: FakeTor) -> Deferred[None]:
        """Give the service to a Tor."""
        self.service.prepare()
        connection = Connection(tor)
        running = deferred(self.service.run_on(self.successResultOf(connection.connecting)))
        connection.flush()
        return running

    def test_key(self) -> None:
        """The key is made once, stays, lies in a file for its owner only, and Tor's other files go with it."""
        address = self.service.prepare()
        self.assertEqual(MeshService(self.folder / "mesh").prepare(), address)
        files = {path.name: path.stat().st_mode & 0o777 for path in self.service.keys.iterdir()}
        expected = dict.fromkeys(("hs_ed25519_secret_key", "hs_ed25519_public_key", "hostname"), 0o600)
        self.assertEqual(files, expected)
        self.assertEqual(self.service.keys.stat().st_mode & 0o777, 0o700)
        self.assertEqual(load_master_key(self.service.keys / "hs_ed25519_secret_key").address, address)

    def test_each_node_has_its_own(self) -> None:
        """No two services have the same key."""
        self.assertNotEqual(self.service.prepare(), MeshService(self.folder / "other").prepare())

    def test_key_does_not_stay_in_memory(self) -> None:
        """After it has given the address away the key is wiped: Tor has its own copy."""
        kept: list[MasterKey] = []

        def load(path: Path) -> MasterKey:
            kept.append(load_master_key(path))
            return kept[-1]

        self.service.prepare()
        self.patch(onion_service, "load_master_key", load)
        self.service.prepare()
        self.assertEqual([key.secret.alive for key in kept], [False])

    def test_bad_key(self) -> None:
        """A key file that is none, or that others may read, is refused and left alone."""
        self.service.prepare()
        secret = self.service.keys / "hs_ed25519_secret_key"
        secret.chmod(0o640)
        self.assertRaises(KeyFileError, self.service.prepare)
        secret.chmod(0o600)
        secret.write_bytes(b"nonsense")
        self.assertRaises(KeyFileError, self.service.prepare)
        self.assertEqual(secret.read_bytes(), b"nonsense")

    def test_open_directory(self) -> None:
        """A directory that others may enter is refused."""
        (self.folder / "mesh").mkdir(mode=0o755)
        (self.folder / "mesh").chmod(0o755)
        self.assertRaises(UnsafePath, self.service.prepare)

    def test_too_deep(self) -> None:
        """A socket path that the system would refuse later is refused at once."""
        self.assertRaises(SocketPathTooLong, MeshService, Path("/" + "x" * 95))

    def test_runs(self) -> None:
        """Tor gets a service with one port, few streams, and publishing on, and no sign of the master address."""
        tor = FakeTor(publishing="0")
        self.successResultOf(self.run_on(tor))
        self.assertEqual(
            tor.services(),
            (
                ("HiddenServiceDir", str(self.service.keys)),
                ("HiddenServicePort", f'51821 unix:"{self.service.socket}"'),
                ("HiddenServiceMaxStreams", "4"),
                ("HiddenServiceMaxStreamsCloseCircuit", "1"),
            ),
        )
        self.assertEqual(tor.publishing, "1")

    def test_runs_again(self) -> None:
        """A Tor that has the service already gets it again."""
        tor = FakeTor()
        self.successResultOf(self.run_on(tor))
        self.successResultOf(self.run_on(tor))

    def test_company(self) -> None:
        """A Tor with services of somebody else is not touched, and they are named."""
        tor = FakeTor(options=[("HiddenServiceDir", "/var/lib/tor/blog")])
        refused = self.failureResultOf(self.run_on(tor), ServiceRefused)
        self.assertIn("/var/lib/tor/blog", refused.getErrorMessage())
        self.assertEqual(tor.services(), (("HiddenServiceDir", "/var/lib/tor/blog"),))

    def test_not_in_place(self) -> None:
        """A Tor that agrees and does something else is noticed."""
        tor = Forgetful()
        self.failureResultOf(self.run_on(tor), ServiceRefused)


class Forgetful(FakeTor):
    """A Tor that takes a service and then has none."""

    def __setattr__(self, name: str, value: object) -> None:
        """Forget the options."""
        super().__setattr__(name, [] if name == "options" else value)
