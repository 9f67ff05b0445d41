"""Tests for L{rustbalance.tap}: what the operator sees before anything runs."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.node import NodeService
from rustbalance.provisioning.new_node import create_node
from rustbalance.tap import Options, makeService


class OptionsTests(SynchronousTestCase):
    """L{Options} complains before twistd becomes a daemon."""

    def test_without_config(self) -> None:
        """The missing option is named, with the command that makes a configuration."""
        error = self.assertRaises(UsageError, Options().parseOptions, [])
        self.assertIn("--config FILE", str(error))

    def test_change_of_user(self) -> None:
        """What twistd would do too late is refused in one line, as a daemon and in the foreground."""
        for arguments in (["--uid", "65534"], ["--nodaemon", "--gid", "65534"]):
            done = subprocess.run(
                [Path(sys.executable).with_name("twistd"), *arguments, "rustbalance", "--config", "/none"],
                check=False,
                capture_output=True,
                text=True,
                timeout=60,
            )
            self.assertEqual(done.returncode, 1)
            self.assertIn("start twistd as that user instead", done.stdout + done.stderr)
            self.assertNotIn("Traceback", done.stdout + done.stderr)

    def test_every_complaint(self) -> None:
        """A bad configuration is refused with all of its faults at once."""
        path = Path(self.mktemp())
        path.write_text('local_prt = 80\n[node]\nid = "UPPER"\n')
        path.chmod(0o600)
        error = self.assertRaises(UsageError, Options().parseOptions, ["--config", str(path)])
        self.assertIn("local_port", str(error))
        self.assertIn("node.id", str(error))
        self.assertIn("target", str(error))

    def test_service(self) -> None:
        """What init made is accepted unedited, and nothing is started by building the service."""
        directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(lambda: subprocess.run(["rm", "-r", directory], check=True))
        made = create_node(directory / "n", "127.0.0.1:80")
        options = Options()
        options.parseOptions(["--config", str(made.config)])
        service = makeService(options)
        self.assertIsInstance(service, NodeService)
        self.assertFalse((directory / "n" / "state" / "tor").exists())

    def test_secrets_do_not_wait_for_the_fork(self) -> None:
        """What was read to complain early is wiped at once; the service reads it again when it starts."""
        directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(lambda: subprocess.run(["rm", "-r", directory], check=True))
        made = create_node(directory / "n", "127.0.0.1:80")
        text = made.config.read_text().replace("[tor]", '[tor]\nmode = "external"\ncontrol_password = "open sesame"')
        made.config.write_text(text)
        options = Options()
        options.parseOptions(["--config", str(made.config)])
        assert options.checked.tor.control_password is not None
        self.assertFalse(options.checked.tor.control_password.alive)


class TwistdTests(SynchronousTestCase):
    """twistd's exit status tells a service manager what happened."""

    def test_bad_configuration(self) -> None:
        """A configuration that does not exist ends twistd with a status that is not 0, and no traceback."""
        done = subprocess.run(
            [sys.executable, "-m", "twisted", "rustbalance", "--config", "/nonexistent/config.toml"],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            env=dict(os.environ),
        )
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("/nonexistent/config.toml", done.stdout + done.stderr)
        self.assertNotIn("Traceback", done.stdout + done.stderr)
