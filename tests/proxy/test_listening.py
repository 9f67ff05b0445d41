"""The place where visitors come in."""

import os
import socket

from twisted.internet.error import CannotListenError

from rustbalance.proxy.settings import TcpTarget
from tests.proxy.wire import ProxyCase


class ListeningTests(ProxyCase):
    """Unix sockets that are there already."""

    def test_stale_socket(self) -> None:
        """A socket that a dead process left is replaced."""
        path = self.folder() / "front"
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        front = self.front(TcpTarget("127.0.0.1", 1), path)
        self.assertEqual(front.address, f"unix:{path}")

    def test_taken(self) -> None:
        """A socket that somebody listens on, a file and a link are left alone."""
        folder = self.folder()
        with socket.socket(socket.AF_UNIX) as alive:
            alive.bind(str(folder / "alive"))
            alive.listen()
            (folder / "file").write_text("kept")
            (folder / "link").symlink_to(folder / "alive")
            for name in ("alive", "file", "link"):
                with self.assertRaises(CannotListenError):
                    self.front(TcpTarget("127.0.0.1", 1), folder / name)
                self.assertTrue(os.path.lexists(folder / name))
            self.assertEqual((folder / "file").read_text(), "kept")
