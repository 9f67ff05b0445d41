"""The memory of a process that used every kind of secret, seen by another process."""

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import nacl.pwhash
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.key_files import SECRET_HEADER
from rustbalance.onion.keys import blinding_parameter
from rustbalance.onion.periods import TimePeriod
from tests.memory.scanner import Findings, forms, radix16, regions, scan

#: Argon2 leaves its result on the stack; the program stops itself right after it, or after burning the stack.
BURNING = """
import os, signal, sys
from rustbalance.secrets import Secret, burn_stack, ffi, sodium
signal.alarm(120)
kill, pid, stop = os.kill, os.getpid(), signal.SIGSTOP
password = ffi.new("char[]", b"password")
with Secret(32) as secret, secret.pointer() as out:
    sodium.crypto_pwhash(out, 32, password, 8, bytes(16), 1, 8192, sodium.crypto_pwhash_alg_argon2id13())
    if sys.argv[1] == "burn":
        burn_stack()
    kill(pid, stop)
"""
CHILD = Path(__file__).with_name("child.py")
MESSAGE = b"hs-descriptor 3\n" * 400
ORDER = 2**252 + 27742317777372353535851937790883648493


def clamp(scalar: bytes) -> bytes:
    """Clamp as RFC 8032 section 5.1.5 does."""
    return bytes([scalar[0] & 248, *scalar[1:31], scalar[31] & 63 | 64])


def expand(seed: bytes) -> bytes:
    """Return scalar and prefix of a seed."""
    digest = hashlib.sha512(seed).digest()
    return clamp(digest[:32]) + digest[32:]


def reduce(number: bytes) -> bytes:
    """Return a little-endian number modulo the group order."""
    return (int.from_bytes(number, "little") % ORDER).to_bytes(32, "little")


def multiply(one: bytes, other: bytes) -> bytes:
    """Return the product of two scalars."""
    return (int.from_bytes(one, "little") * int.from_bytes(other, "little") % ORDER).to_bytes(32, "little")


class World:
    """The secrets of one run, in files for the child and as bytes only here."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        seed, self.signing_seed, token, self.wireguard = (os.urandom(32) for _ in range(4))
        password = os.urandom(16).hex()
        self.expanded = expand(seed)
        self.public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
        self.put("hs_ed25519_secret_key", SECRET_HEADER + self.expanded)
        self.put("seed", self.signing_seed)
        self.put("token", token.hex().encode() + b"\n")
        self.put("wireguard", base64.b64encode(self.wireguard) + b"\n")
        self.put("config.toml", f'[tor]  # was "{password}"\ncontrol_password = "{password}"\n'.encode())
        self.long_lived = {
            "scalar": self.expanded[:32],
            "prefix": self.expanded[32:],
            **self.blinded(),
            "signing seed": self.signing_seed,
            "token": token,
            "wireguard key": self.wireguard,
            "password": password.encode(),
        }
        self.short_lived = {
            **self.nonces("blinded", self.long_lived["blinded prefix"]),
            **self.nonces("signing", expand(self.signing_seed)[32:]),
            "signing scalar": expand(self.signing_seed)[:32],
            "signing prefix": expand(self.signing_seed)[32:],
        }
        self.needles = {name: forms(secret) for name, secret in {**self.long_lived, **self.short_lived}.items()}
        for name in ("scalar", "blinded scalar", "blinded nonce", "signing nonce", "signing scalar"):
            secret = self.long_lived.get(name) or self.short_lived[name]
            self.needles[name] += [radix16(secret), radix16(secret)[16:32]]

    def put(self, name: str, contents: bytes) -> None:
        """Write a file that only we may read."""
        path = self.directory / name
        path.write_bytes(contents)
        path.chmod(0o600)

    def blinded(self) -> dict[str, bytes]:
        """Return both halves of the blinded key, computed with Python's numbers."""
        parameter = clamp(blinding_parameter(self.public, TimePeriod(20000, 1440)))
        prefix = hashlib.sha512(b"Derive temporary signing key hash input" + self.expanded[32:]).digest()[:32]
        return {"blinded scalar": multiply(parameter, self.expanded[:32]), "blinded prefix": prefix}

    def nonces(self, name: str, prefix: bytes) -> dict[str, bytes]:
        """Return what a signature of the message is made from, and would give its key away."""
        digest = hashlib.sha512(prefix + MESSAGE).digest()
        return {f"{name} nonce hash": digest, f"{name} nonce": reduce(digest)}


class MemoryTests(SynchronousTestCase):
    """
    A child does the work, stops at three moments, and is read.

    Where the memory of a child may not be read these tests fail: nothing would have been shown.
    """

    def setUp(self) -> None:
        directory = Path(self.mktemp())
        directory.mkdir(parents=True)
        self.world = World(directory)

    def run_child(self, ending: str) -> tuple[list[Findings], dict[str, str]]:
        """Return what was found at each stop, and what the child computed."""
        child = subprocess.Popen(
            [sys.executable, str(CHILD), str(self.world.directory), ending],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        try:
            stops = []
            while os.WIFSTOPPED(status := os.waitpid(child.pid, os.WUNTRACED)[1]):
                stops.append(scan(child.pid, self.world.needles))
                os.kill(child.pid, signal.SIGCONT)
            child.returncode = os.waitstatus_to_exitcode(status)
        finally:
            if child.returncode is None:
                child.kill()
            output, _ = child.communicate()
        self.assertEqual(child.returncode, 0)
        self.assertEqual(len(stops), 3)
        return stops, json.loads(output)

    def check_live(self, findings: Findings) -> None:
        """While in use, each secret is in locked pages and nowhere else; those of one call are gone."""
        self.assertEqual(findings.unreadable, [])
        self.assertGreater(findings.size, 5 << 20)
        self.assertGreater(findings.locked_kilobytes, 0)
        self.assertEqual([name for name in self.world.long_lived if not findings.locked[name]], [])
        self.assertEqual({name: count for name, count in findings.elsewhere.items() if count}, {})
        self.assertEqual({name: findings.locked[name] for name in self.world.short_lived if findings.locked[name]}, {})

    def check_gone(self, findings: Findings) -> None:
        """Afterwards none is anywhere, and no page is locked."""
        found = {name: findings.locked[name] + findings.elsewhere[name] for name in self.world.needles}
        self.assertEqual({name: count for name, count in found.items() if count}, {})
        self.assertGreater(findings.size, 5 << 20)
        self.assertEqual(findings.locked_kilobytes, 0)

    def check_results(self, results: dict[str, str]) -> None:
        """What was computed in locked memory is right, and what was printed or written shows nothing else."""
        values = {name: bytes.fromhex(value) for name, value in results.items() if name not in ("shown", "locked")}
        Ed25519PublicKey.from_public_bytes(values["blinded public"]).verify(values["blinded signature"], MESSAGE)
        expected = Ed25519PrivateKey.from_private_bytes(self.world.signing_seed)
        self.assertEqual(values["signature"], expected.sign(MESSAGE))
        self.assertEqual(values["public"], self.world.public)
        blinded = self.world.long_lived["blinded scalar"] + self.world.long_lived["blinded prefix"]
        self.assertEqual(values["revision key"], hashlib.sha3_256(b"rev-counter-generation\0" + blinded).digest())
        written = self.world.directory / "service" / "hs_ed25519_secret_key"
        self.assertEqual(written.read_bytes(), SECRET_HEADER + self.world.expanded)
        out = self.world.directory / "wireguard.out"
        self.assertEqual(out.read_bytes(), b"key=" + base64.b64encode(self.world.wireguard))
        self.assertGreater(int(results["locked"]), 0)
        self.assertNotIn(self.world.long_lived["password"].decode(), results["shown"])

    def test_wiped(self) -> None:
        """Live: only in locked pages. After L{wipe_all}, and at exit: nowhere."""
        (live, wiped, exiting), results = self.run_child("wipe")
        self.check_live(live)
        self.check_gone(wiped)
        self.check_gone(exiting)
        self.check_results(results)

    def test_dropped(self) -> None:
        """Dropping the last reference is as good as wiping."""
        (live, dropped, exiting), results = self.run_child("drop")
        self.check_live(live)
        self.check_gone(dropped)
        self.check_gone(exiting)
        self.check_results(results)

    def test_exit(self) -> None:
        """A process that ends with its secrets live has overwritten them when the interpreter is done."""
        (live, still, exiting), results = self.run_child("exit")
        self.check_live(live)
        self.check_live(still)
        self.check_gone(exiting)
        self.check_results(results)

    def test_a_leak_is_found(self) -> None:
        """One copy of one secret on the heap is seen while live and after the wipe: the scanner can fail us."""
        (live, wiped, _), _ = self.run_child("leak")
        self.assertGreaterEqual(live.elsewhere["token"], 1)
        self.assertGreaterEqual(wiped.elsewhere["token"], 1)
        self.assertEqual({name for name, count in wiped.elsewhere.items() if count}, {"token"})


class BurningTests(SynchronousTestCase):
    """What C functions leave on the stack."""

    def copies_on_stack(self, ending: str) -> int:
        """Return how often the result of Argon2 lies on the stack of a process that has just computed it."""
        expected = nacl.pwhash.argon2id.kdf(32, b"password", bytes(16), 1, 8192)
        # Bound late, a function's first call saves the vector registers, and what they hold, above what is burnt.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "LD_BIND_NOW": "1"}
        with subprocess.Popen([sys.executable, "-c", BURNING, ending], env=environment) as child:
            try:
                self.assertTrue(os.WIFSTOPPED(os.waitpid(child.pid, os.WUNTRACED)[1]))
                stack = next(region for region in regions(child.pid) if region.name == "[stack]")
                with open(f"/proc/{child.pid}/mem", "rb", buffering=0) as memory:
                    return os.pread(memory.fileno(), stack.end - stack.start, stack.start).count(expected)
            finally:
                child.kill()

    def test_burn_stack(self) -> None:
        """Without L{burn_stack} a secret stays in dead frames; with it none does."""
        self.assertGreaterEqual(self.copies_on_stack("leave"), 1)
        self.assertEqual(self.copies_on_stack("burn"), 0)
