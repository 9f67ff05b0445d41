"""Tests for L{rustbalance.secrets}."""

import copy
import dataclasses
import gc
import json
import os
import pickle
import re
import resource
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from rustbalance import secrets
from rustbalance.secrets import MemoryNotLocked, Secret, SecretWiped, locked_bytes
from tests.locked import locked_before

TEXT = b"hunter2hunter2!!"
PAGE = resource.getpagesize()
SMAPS = Path("/proc/self/smaps")


def status(name: str, pid: str | int = "self") -> int:
    """Return a number from /proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name + ":"))


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of its own."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def in_child(check: Callable[[], bool]) -> bool:
    """Fork, and return what C{check} says in the child."""
    pid = os.fork()
    if pid == 0:
        passed = False
        try:
            passed = check()
        finally:
            os._exit(0 if passed else 1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


class SecretTests(SynchronousTestCase):
    """A L{Secret} holds bytes, and gives them to nobody who did not ask properly."""

    def setUp(self) -> None:
        self.secret = Secret.copy_of(TEXT)

    def test_holds_what_was_put_in(self) -> None:
        """The view reads and writes the contents, and is exactly as long."""
        with self.secret.expose() as view:
            self.assertEqual(bytes(view), TEXT)
            view[0:1] = b"H"
        self.assertEqual(self.secret, b"H" + TEXT[1:])
        self.assertEqual(len(self.secret), 16)

    def test_new_ones_are_zero(self) -> None:
        """Nothing of an earlier secret shows in a new one, of any size."""
        for size in (0, 1, PAGE, PAGE + 1):
            self.assertEqual(Secret(size), bytes(size))

    def test_sizes_below_zero(self) -> None:
        """A negative size is refused."""
        self.assertRaises(ValueError, Secret, -1)

    def test_random(self) -> None:
        """Two random secrets differ from each other and from zero."""
        one, two = Secret.random(32), Secret.random(32)
        self.assertNotEqual(one, two)
        self.assertNotEqual(one, bytes(32))

    def test_never_printed(self) -> None:
        """No way of turning a value into text shows the contents or their length."""
        holder = dataclasses.make_dataclass("Holder", [("token", object)])(self.secret)
        secret = self.secret
        texts = [repr(secret), str(secret), f"{secret}", f"{secret!r:>40}", "%s %r" % (secret, secret)]  # noqa: UP031
        texts += [f"{secret:>40}", repr([secret]), repr({"a": secret}), repr(holder), ascii(secret)]
        for text in texts:
            self.assertNotIn("hunter", text)
            self.assertIn("<Secret>", text)
            self.assertNotIn("16", text)

    def test_never_converted(self) -> None:
        """Whatever would make a copy on the heap raises TypeError instead."""
        makers: list[Any] = [copy.copy, copy.deepcopy, pickle.dumps, bytes, bytearray, memoryview, iter, list, tuple]
        makers += [set, reversed, hash, vars, int, float, json.dumps, msgspec.json.encode, msgspec.msgpack.encode]
        makers += [
            msgspec.to_builtins,
            lambda secret: secret[0],
            lambda secret: b"" + secret,
            lambda secret: b"".join([secret]),
            lambda secret: b"%b" % secret,
            lambda secret: 104 in secret,
            lambda secret: dataclasses.asdict(dataclasses.make_dataclass("Holder", [("token", object)])(secret)),
        ]
        for maker in makers:
            self.assertRaises(TypeError, maker, self.secret)

    def test_compares_with_everything_and_equals_only_the_same(self) -> None:
        """Secrets and byte strings compare by contents; text and other lengths are never equal."""
        self.assertTrue(self.secret == Secret.copy_of(TEXT))
        self.assertTrue(self.secret == memoryview(TEXT))
        self.assertTrue(self.secret == bytearray(TEXT))
        for other in (Secret(16), b"", TEXT + b"!", TEXT.decode(), None, 16):
            self.assertFalse(self.secret == other)
            self.assertTrue(self.secret != other)

    def test_an_empty_one_is_still_true(self) -> None:
        """C{if secret} asks whether there is one, not how long it is."""
        self.assertTrue(Secret(0))

    def test_pointer(self) -> None:
        """At the pointer libsodium reads what the view shows, from any offset."""
        with self.secret.pointer(7) as start:
            self.assertEqual(bytes(secrets.ffi.buffer(start, 9)), TEXT[7:])

    def test_view_ends_with_its_block(self) -> None:
        """A view kept beyond its block cannot be read."""
        with self.secret.expose() as view:
            pass
        self.assertRaises(ValueError, lambda: view[0])


class WipingTests(SynchronousTestCase):
    """Secrets go when they are told to, when they are dropped, and with the process."""

    def test_use_after_wipe(self) -> None:
        """A wiped secret is gone for every use, and a view that is still out shows zeros."""
        secret = Secret.copy_of(TEXT)
        with secret.expose() as view:
            secret.wipe()
            self.assertEqual(bytes(view), bytes(16))
        self.assertFalse(secret.alive)
        self.assertFalse(secret.locked)
        self.assertRaises(SecretWiped, secret.expose().__enter__)
        self.assertRaises(SecretWiped, secret.pointer().__enter__)
        self.assertRaises(SecretWiped, lambda: secret == TEXT)
        secret.wipe()

    def test_block(self) -> None:
        """As a context manager it is wiped at the end, also when the block raises."""
        with self.assertRaises(ZeroDivisionError), Secret.copy_of(TEXT) as secret:
            raise ZeroDivisionError
        self.assertFalse(secret.alive)

    def test_dropping_unlocks(self) -> None:
        """When the last reference goes, so does the locked page."""
        before = locked_before()
        secret = Secret(PAGE + 1)
        self.assertEqual(locked_bytes(), before + 2 * PAGE)
        del secret
        self.assertEqual(locked_bytes(), before)

    def test_the_kernel_agrees(self) -> None:
        """VmLck of the process rises by the pages of a secret and falls with its wipe."""
        gc.collect()
        before = status("VmLck")
        secret = Secret(3 * PAGE)
        self.assertTrue(secret.locked)
        self.assertGreater(status("VmLck"), 0)
        self.assertEqual(status("VmLck"), before + 3 * PAGE // 1024)
        secret.wipe()
        self.assertEqual(status("VmLck"), before)

    def test_one_page_each(self) -> None:
        """Wiping one secret does not unlock another: locks do not nest, so no page is shared."""
        before = status("VmLck")
        kept = [Secret(8) for _ in range(8)]
        for secret in kept[::2]:
            secret.wipe()
        self.assertEqual(status("VmLck"), before + 4 * PAGE // 1024)

    def test_wipe_all(self) -> None:
        """One call at shutdown ends every secret of the process; they stay refused, and nothing fails later."""
        result = python(
            "from rustbalance.secrets import Secret, SecretWiped, locked_bytes, wipe_all\n"
            "kept = [Secret.random(32) for _ in range(5)]\n"
            "wipe_all()\n"
            "print(locked_bytes(), [secret.alive for secret in kept])\n"
        )
        self.assertEqual((result.stdout.strip(), result.stderr), ("0 [False, False, False, False, False]", ""))

    def test_many_threads(self) -> None:
        """Secrets made, used and wiped in several threads at once leave no locked page behind."""
        before = locked_before()
        wrong: list[bool] = []

        def work() -> None:
            for _ in range(200):
                with Secret.copy_of(TEXT) as secret:
                    wrong.append(secret != TEXT)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((len(wrong), any(wrong)), (800, False))
        self.assertEqual(locked_bytes(), before)


class ForkTests(SynchronousTestCase):
    """A secret stays in the process that made it."""

    def setUp(self) -> None:
        self.secret = Secret.copy_of(TEXT)

    def test_refused_in_the_child(self) -> None:
        """After a fork the child cannot use the secret, does not count it as its own, and may drop it safely."""

        def check() -> bool:
            self.secret.wipe()
            try:
                self.secret.expose().__enter__()
            except SecretWiped:
                return not self.secret.alive and locked_bytes() == 0
            return False

        self.assertTrue(in_child(check))
        self.assertEqual(self.secret, TEXT)

    def test_blank_in_the_child(self) -> None:
        """Even someone who reads the page itself finds zeros there in the child."""
        with self.secret.expose() as view:
            self.assertTrue(in_child(lambda: bytes(view) == bytes(16)))

    def test_new_ones_work_in_the_child(self) -> None:
        """A secret that is made after the fork, as after daemonizing, is locked and usable."""
        self.assertTrue(in_child(lambda: (made := Secret.copy_of(TEXT)) == TEXT and made.locked))


UNPRIVILEGED = """
import os, resource, sys
from rustbalance.secrets import *
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_MEMLOCK, (limit, limit))
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
"""


class LockingTests(SynchronousTestCase):
    """What happens when the kernel does not lock a page."""

    def test_warned(self) -> None:
        """Unless told otherwise a secret is made all the same, and the reason can be asked for, with the limits."""
        result = python(
            UNPRIVILEGED + "secret = Secret.copy_of(b'x')\n"
            "print(secret.locked, secret == b'x', everything_locked(), locked_bytes(), locking_problem())",
            "0",
        )
        self.assertTrue(result.stdout.startswith("False True False 0 cannot lock 4096 bytes"), result)
        self.assertIn("RLIMIT_MEMLOCK soft 0, hard 0", result.stdout)

    def test_refused(self) -> None:
        """When locking is required, making an unlocked secret raises and leaves none behind."""
        result = python(
            UNPRIVILEGED + "require_locking(True)\nkept = [Secret(1)]\n"
            "try:\n    kept.append(Secret(1))\n"
            "except MemoryNotLocked as error:\n    print(error.errno, locked_bytes(), everything_locked(), error)",
            str(PAGE),
        )
        self.assertTrue(result.stdout.startswith(f"12 {PAGE} True"), result)
        self.assertIn(f"soft {PAGE}, hard {PAGE}", result.stdout)

    def test_refused_afterwards(self) -> None:
        """Requiring it when an unlocked secret is alive already, as after reading the configuration, raises at once."""
        result = python(UNPRIVILEGED + "secret = Secret(1)\nrequire_locking(True)", "0")
        self.assertIn("MemoryNotLocked", result.stderr)

    def test_locked_here(self) -> None:
        """In this process, which may lock memory, requiring it changes nothing."""
        self.addCleanup(secrets.require_locking, False)
        secrets.require_locking(True)
        secret = Secret(1)
        self.assertTrue(secret.locked)
        self.assertTrue(secrets.everything_locked())
        self.assertTrue(issubclass(MemoryNotLocked, OSError))


class ProcessTests(SynchronousTestCase):
    """What is done for the process as a whole."""

    def flags(self, secret: Secret) -> set[str]:
        """Return what smaps says about the page of a secret; the kernel may show it as part of a larger region."""
        with secret.pointer() as start:
            address = secrets.address_of(start)
        regions = re.findall(
            r"^([0-9a-f]+)-([0-9a-f]+) .*?^VmFlags: (.*?)$", SMAPS.read_text(), re.MULTILINE | re.DOTALL
        )
        (found,) = (flags for low, high, flags in regions if int(low, 16) <= address < int(high, 16))
        return set(found.split())

    def test_page_flags(self) -> None:
        """The page is locked (lo), left out of dumps (dd) and wiped on fork (wf)."""
        self.assertEqual({"lo", "dd", "wf"} - self.flags(Secret(1)), set())

    def test_hardened(self) -> None:
        """A hardened process writes no core file, and is not dumpable for others of its user."""
        result = python(
            "import ctypes, resource\nfrom rustbalance.secrets import harden_process\nharden_process()\n"
            "print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE))"
        )
        self.assertEqual((result.stdout.strip(), result.stderr), ("0 (0, 0)", ""))

    def test_burn_stack(self) -> None:
        """Burning the stack is possible at any time and in a thread with a small stack."""
        done: list[bool] = []

        def work() -> None:
            secrets.burn_stack()
            done.append(True)

        self.addCleanup(threading.stack_size, threading.stack_size(256 * 1024))
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        self.assertEqual(done, [True])

    def test_libsodium_has_what_we_use(self) -> None:
        """Every function that is called by name exists in the libsodium that PyNaCl brings."""
        declared = ["sodium_mlock", "sodium_munlock", "sodium_memzero", "sodium_memcmp", "randombytes"]
        declared += ["crypto_hash_sha512", "crypto_sign_seed_keypair", "crypto_core_ed25519_scalar_reduce"]
        declared += ["crypto_core_ed25519_scalar_mul", "crypto_core_ed25519_scalar_add"]
        declared += ["crypto_scalarmult_ed25519_base_noclamp", "crypto_scalarmult_ed25519_noclamp"]
        exported = ["sodium_stackzero", "sodium_hex2bin", "sodium_base642bin", "sodium_bin2base64"]
        exported += ["crypto_sign_detached", "crypto_sign_verify_detached"]
        exported += [f"crypto_hash_sha512_{step}" for step in ("init", "update", "final")]
        self.assertEqual([name for name in declared if not hasattr(secrets.sodium, name)], [])
        self.assertEqual([name for name in exported if not hasattr(secrets.libsodium, name)], [])
        self.assertLessEqual(secrets.libsodium.crypto_hash_sha512_statebytes(), 256)
