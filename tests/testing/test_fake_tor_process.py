"""Tests for L{rustbalance.testing.fake_tor_process}; C{tests.tor.test_managed} runs it as a process."""

import os
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.testing.fake_tor_process import from_torrc, write_program


class FromTorrcTests(SynchronousTestCase):
    """L{from_torrc} reads what matters."""

    def test_services_and_socket(self) -> None:
        """The control socket and the services are those of the file."""
        text = (
            'ControlPort "unix:\\"/a b/c\\""\nPublishHidServDescriptors "0"\n'
            'HiddenServiceDir "/s"\nHiddenServicePort "80 a:1"\n'
        )
        tor, control = from_torrc(text)
        self.assertEqual(control, Path("/a b/c"))
        self.assertEqual(tor.publishing, "0")
        self.assertEqual(tor.options, [("HiddenServiceDir", "/s"), ("HiddenServicePort", "80 a:1")])

    def test_program(self) -> None:
        """The program is a file that can be run."""
        path = Path(tempfile.mkdtemp()) / "tor"
        self.assertTrue(os.access(write_program(path), os.X_OK))
        path.unlink()
        path.parent.rmdir()
