"""The memory of a process that used the keys of a cluster, seen by another process."""

import ctypes
import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import nacl.pwhash
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.bundle import PREFIX
from rustbalance.secrets import libsodium
from tests.memory.scanner import Findings, forms, scan

CHILD = Path(__file__).with_name("cluster_child.py")
SALT = b"rustbalance cluster token v1"


def derived(token: bytes, info: bytes) -> bytes:
    """Return a key of the token, by OpenSSL."""
    return HKDF(SHA256(), 32, SALT, info).derive(token)


def subkey(key: bytes) -> bytes:
    """Return the key that XChaCha20 makes of a key and a nonce of zeros."""
    out = ctypes.create_string_buffer(32)
    libsodium.crypto_core_hchacha20(out, bytes(16), key, None)
    return out.raw


class ClusterMemoryTests(SynchronousTestCase):
    """A child does the work, stops at three moments, and is read."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir(parents=True)
        token, passphrase = os.urandom(32).hex().encode(), os.urandom(12).hex().encode()
        seed, master = os.urandom(32), os.urandom(64)
        for name, secret in {"token": token, "passphrase": passphrase, "seed": seed, "master": master}.items():
            (self.directory / name).write_bytes(secret)
            (self.directory / name).chmod(0o600)
        self.seed = seed
        self.mesh = derived(token, b"rustbalance mesh v1")
        self.long_lived = {
            "token": token,
            "passphrase": passphrase,
            "node seed": seed,
            "master key": master,
            "mesh key": self.mesh,
            "join key": derived(token, b"rustbalance join v1"),
        }
        stretched = nacl.pwhash.argon2id.kdf(32, passphrase, bytes(16), 3, 64 * 1024 * 1024)
        self.short_lived = {
            "root of the keys": HKDF.extract(SHA256(), SALT, token),
            "scalar and prefix": hashlib.sha512(seed).digest(),
            "prefix": hashlib.sha512(seed).digest()[32:],
            "bundle key": stretched,
            "subkey of the bundle": subkey(stretched),
            "subkey of the frame": subkey(self.mesh),
        }

    def run_child(self) -> tuple[list[Findings], dict[str, str]]:
        """Return what was found at each stop, and what the child computed."""
        needles = {name: forms(secret) for name, secret in {**self.long_lived, **self.short_lived}.items()}
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        child = subprocess.Popen(
            [sys.executable, str(CHILD), str(self.directory)], stdout=subprocess.PIPE, env=environment
        )
        try:
            stops = []
            while os.WIFSTOPPED(status := os.waitpid(child.pid, os.WUNTRACED)[1]):
                stops.append(scan(child.pid, needles))
                os.kill(child.pid, signal.SIGCONT)
            child.returncode = os.waitstatus_to_exitcode(status)
        finally:
            if child.returncode is None:
                child.kill()
            output, _ = child.communicate()
        self.assertEqual((child.returncode, len(stops)), (0, 3))
        return stops, json.loads(output)

    def test_only_in_locked_pages(self) -> None:
        """Live: keys in locked pages only, intermediates nowhere. After the wipe and at exit: nothing anywhere."""
        (live, wiped, exiting), results = self.run_child()
        self.assertEqual(live.unreadable, [])
        self.assertEqual([name for name in self.long_lived if not live.locked[name]], [])
        self.assertEqual({name: count for name, count in live.elsewhere.items() if count}, {})
        self.assertEqual({name: live.locked[name] for name in self.short_lived if live.locked[name]}, {})
        for findings in (wiped, exiting):
            self.assertGreater(findings.size, 5 << 20)
            found = {name: findings.locked[name] + findings.elsewhere[name] for name in findings.locked}
            self.assertEqual({name: count for name, count in found.items() if count}, {})
        self.check_results(results)

    def check_results(self, results: dict[str, str]) -> None:
        """What was computed in locked memory is right: OpenSSL and PyNaCl open the frame that the child sealed."""
        frame = bytes.fromhex(results["frame"])
        body = crypto_aead_xchacha20poly1305_ietf_decrypt(frame[34:], frame[:10], bytes(24), self.mesh)
        public = Ed25519PrivateKey.from_private_bytes(self.seed).public_key()
        public.verify(body[:64], b"rustbalance frame v1\0" + frame[:10] + body[64:])
        self.assertTrue(results["right"])
        self.assertTrue(results["line"].startswith(PREFIX))
