"""Keys of authorities."""

import os
import subprocess
from pathlib import Path

from twisted.internet import reactor  # noqa: TID251  (a real process needs the real one)
from twisted.trial.unittest import TestCase

from rustbalance.lab import torrc
from rustbalance.lab.authority import KeysNotMade, make_authority
from rustbalance.life import deferred


class MakeAuthorityTests(TestCase):
    """Made with the real tor-gencert."""

    timeout = 60

    async def test_tor_agrees(self) -> None:
        """Tor finds the relay key where it looks, and computes the same fingerprint."""
        directory = Path(self.mktemp()).absolute()
        directory.mkdir(mode=0o700)
        made = await make_authority("a0", directory, 5001, 5002, reactor)
        path = directory / "torrc"
        options = torrc.relay("a0", 5001) + torrc.authority(5002, directory / "bandwidths", torrc.Timing())
        path.write_text(torrc.process(directory, os.getpid()) + torrc.include([made]) + options)
        listed = subprocess.run(["tor", "-f", path, "--list-fingerprint"], capture_output=True, text=True)
        self.assertIn(f"a0 {made.fingerprint}", listed.stdout.replace(" ", "").replace("a0", "a0 "), listed.stderr)
        self.assertEqual(len(made.v3ident), 40)
        self.assertEqual((made.or_port, made.dir_port), (5001, 5002))

    async def test_tor_gencert_fails(self) -> None:
        """When tor-gencert cannot write, its complaint is passed on."""
        directory = Path(self.mktemp()).absolute()
        (directory / "keys" / "authority_identity_key").mkdir(parents=True)
        for path in (directory, directory / "keys"):
            path.chmod(0o700)
        error = await self.assertFailure(deferred(make_authority("a0", directory, 5001, 5002, reactor)), KeysNotMade)
        self.assertIn("tor-gencert exited with 1", str(error))
