"""Tests for L{rustbalance.node}: how a node starts when something is in its way, and ends. No network is needed."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.ops.control_client import NoDaemon, ask
from rustbalance.ops.status import Health, NodeStatus
from rustbalance.provisioning.new_node import create_node
from rustbalance.testing.fake_tor_process import write_program

PATIENCE = 20.0


class NodeTests(SynchronousTestCase):
    """Real processes of a node whose Tor cannot be started."""

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="rb-node-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.made = create_node(self.directory / "n", "127.0.0.1:9")
        self.state = self.directory / "n" / "state"
        self.change("[tor]", '[tor]\nbinary = "/bin/false"')

    def change(self, old: str, new: str) -> None:
        """Edit the configuration."""
        text = self.made.config.read_text()
        self.assertIn(old, text)
        self.made.config.write_text(text.replace(old, new, 1))

    def start(self, **environment: str) -> subprocess.Popen[str]:
        """Start the daemon in the foreground; it does not outlive the test."""
        child = subprocess.Popen(
            [sys.executable, "-m", "twisted", "--log-format=text", "rustbalance", "--config", str(self.made.config)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **environment},
        )
        self.addCleanup(self.end, child)
        return child

    def end(self, child: subprocess.Popen[str]) -> None:
        """Make sure that C{child} has ended and give back its pipe."""
        child.kill()
        child.communicate()

    def refused(self) -> str:
        """Return what a daemon says that cannot start: one line of reason, status 1, no traceback."""
        child = self.start()
        said, _ = child.communicate(timeout=PATIENCE)
        self.assertEqual(child.returncode, 1, said)
        self.assertNotIn("Traceback", said)
        self.assertIn("cannot start", said)
        return said

    def status(self, child: subprocess.Popen[str]) -> NodeStatus:
        """Return what the daemon says about itself, as soon as it answers."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and child.poll() is None:
            try:
                return ask(self.state / "control.sock", "status", NodeStatus)
            except NoDaemon:
                time.sleep(0.05)
        raise AssertionError(f"no answer; status {child.poll()}")

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something to become true."""
        end = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)

    def test_open_state_directory(self) -> None:
        """A state directory that others may enter is refused, with the mode it must have."""
        self.state.mkdir(mode=0o755)
        self.state.chmod(0o755)
        child = self.start()
        said, _ = child.communicate(timeout=PATIENCE)
        self.assertNotEqual(child.returncode, 0)
        self.assertIn("0700", said)

    def test_front_in_the_way(self) -> None:
        """A file where visitors should arrive is named, and left alone."""
        self.state.mkdir(mode=0o700)
        (self.state / "front.sock").write_text("precious")
        self.assertIn("front.sock", self.refused())
        self.assertEqual((self.state / "front.sock").read_text(), "precious")

    def test_taken_port(self) -> None:
        """A port that somebody else has is named."""
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            self.change('listen = "unix:state/front.sock"', f"local_port = {port}")
            self.assertIn(str(port), self.refused())

    def test_bad_authorities(self) -> None:
        """A file of authorities that holds none is named before the first visitor needs it."""
        authorities = self.directory / "authorities.pem"
        authorities.write_text("no certificate")
        self.change("[target]", f'[target]\nuse_tls = true\ntls_verify = "{authorities}"')
        self.assertIn("authorities", self.refused())

    def test_wrong_address(self) -> None:
        """A configured address that is not the key's is refused before anything is served."""
        other = "25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkenl5sid.onion"
        self.change("[master]", f'[master]\nonion_address = "{other}"')
        self.assertIn("master.onion_address", self.refused())

    def test_without_tor(self) -> None:
        """
        A Tor that cannot run leaves the daemon up and honest: down, with the reason, and the next attempt comes.

        SIGTERM then ends it with status 0, and its sockets are gone.
        """
        child = self.start()
        status = self.status(child)
        self.assertEqual(status.health, Health.DOWN)
        self.assertEqual(status.onion_address, self.made.address.text)
        self.until(lambda: self.status(child).instances[0].restarts > 0)
        self.assertTrue(any("Tor (primary)" in problem for problem in self.status(child).problems))
        child.send_signal(signal.SIGTERM)
        said, _ = child.communicate(timeout=PATIENCE)
        self.assertEqual(child.returncode, 0, said)
        self.assertNotIn("Traceback", said)
        self.assertFalse((self.state / "control.sock").exists())
        self.assertFalse((self.state / "front.sock").exists())

    def test_tor_that_ends_first(self) -> None:
        """A Tor that goes while we are stopping, as at Ctrl-C, is neither reported nor started again."""
        self.change('binary = "/bin/false"', f'binary = "{write_program(self.directory / "tor")}"')
        child = self.start()
        tor = self.serving(child)
        with socket.socket(socket.AF_UNIX) as visitor:
            visitor.connect(str(self.state / "front.sock"))
            visitor.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1")
            self.until(lambda: self.status(child).proxy.connections_active == 1)
            child.send_signal(signal.SIGTERM)
            self.until(lambda: not (self.state / "front.sock").exists())
            os.kill(tor, signal.SIGKILL)
            self.until(lambda: not Path(f"/proc/{tor}").exists())
            self.assertIsNone(child.poll())
        said, _ = child.communicate(timeout=PATIENCE)
        self.assertEqual(child.returncode, 0, said)
        self.assertNotIn("failed", said)

    def serving(self, child: subprocess.Popen[str]) -> int:
        """Wait until the daemon's Tor serves and return its process id."""
        self.until(lambda: self.status(child).instances[0].phase == "serving")
        pid = self.status(child).instances[0].pid
        assert pid is not None
        return pid

    def test_second_daemon_on_one_state(self) -> None:
        """A daemon that shares nothing but the state directory with a running one leaves it and its Tor alone."""
        first = self.start()
        self.status(first)
        self.change('state_dir = "state"', 'state_dir = "state"\ncontrol_socket = "other.sock"')
        self.change("unix:state/front.sock", "unix:other-front.sock")
        self.assertIn(f"another daemon is running: it holds {self.state / 'lock'}", self.refused())
        self.status(first)

    def test_interrupt(self) -> None:
        """Ctrl-C ends it with status 0 as well."""
        child = self.start()
        self.status(child)
        child.send_signal(signal.SIGINT)
        said, _ = child.communicate(timeout=PATIENCE)
        self.assertEqual(child.returncode, 0, said)

    def test_hung_tor_at_the_end(self) -> None:
        """With the shortest deadline a Tor that hangs is killed in time, and nothing is left behind."""
        self.change('binary = "/bin/false"', f'binary = "{write_program(self.directory / "tor")}"')
        self.change("[node]", "shutdown_deadline_secs = 1\n[node]")
        child = self.start()
        tor = self.serving(child)
        os.kill(tor, signal.SIGSTOP)
        began = time.monotonic()
        child.send_signal(signal.SIGTERM)
        said, _ = child.communicate(timeout=PATIENCE)
        self.assertLess(time.monotonic() - began, 2)
        self.assertEqual(child.returncode, 0, said)
        self.assertNotIn("Traceback", said)
        self.assertRaises(ProcessLookupError, os.kill, tor, 0)

    def test_nothing_secret_in_the_log(self) -> None:
        """At debug level too, neither the key nor where the target is stands in the log."""
        child = self.start()
        self.status(child)
        child.send_signal(signal.SIGTERM)
        said, _ = child.communicate(timeout=PATIENCE)
        key = (self.directory / "n" / "master.key").read_bytes()[32:]
        for form in (key.hex(), key[:32].hex(), "127.0.0.1:9", "hs_ed25519"):
            self.assertNotIn(form, said)
