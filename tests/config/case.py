"""A directory with a key and a configuration that is fine, from which each test departs."""

import os
import shutil
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.config import Complaint, Config, ConfigError, load_config

ONION = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"
OTHER_ONION = "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion"

#: Keys and values as TOML spells them.
FINE = {
    "state_dir": '"state"',
    "node.id": '"alpha"',
    "master.identity_key_path": '"master.key"',
    "target.address": '"127.0.0.1:8000"',
    "tor.binary": '"/bin/sh"',
}


def document(**changes: str | None) -> str:
    """
    Return the text of a configuration that departs from ``FINE``.

    A change is named with ``__`` for the dot; None leaves the key out.
    """
    values = {**FINE, **{name.replace("__", "."): value for name, value in changes.items()}}
    return spelled({name: value for name, value in values.items() if value is not None})


def spelled(values: dict[str, str]) -> str:
    """Return TOML that gives each dotted key its value."""
    tables: dict[str, list[str]] = {}
    for name, value in values.items():
        section, _, key = name.rpartition(".")
        tables.setdefault(section, []).append(f"{key} = {value}")
    top = "\n".join(tables.pop("", []))
    return top + "".join(f"\n[{section}]\n" + "\n".join(lines) for section, lines in tables.items()) + "\n"


class ConfigCase(SynchronousTestCase):
    """Has ``self.directory``, private and short of path, with a key of 32 bytes."""

    def setUp(self) -> None:
        """Make the directory."""
        self.directory = Path(tempfile.mkdtemp(dir="/tmp", prefix="rb-config-"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.write("master.key", os.urandom(32))

    def write(self, name: str, data: bytes | str, mode: int = 0o600) -> Path:
        """Write a file of the given mode."""
        path = self.directory / name
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        path.chmod(mode)
        return path

    def load(self, text: str | bytes, **environment: str) -> Config:
        """Read a configuration of that text."""
        return load_config(self.write("config.toml", text), environment)

    def complaints(self, text: str | bytes, **environment: str) -> tuple[Complaint, ...]:
        """Return what is said about a configuration of that text; it must not be accepted."""
        with self.assertRaises(ConfigError) as caught:
            self.load(text, **environment)
        error: ConfigError = caught.exception
        return error.complaints

    def only_complaint(self, text: str | bytes, **environment: str) -> Complaint:
        """Return the one complaint about that text."""
        found = self.complaints(text, **environment)
        self.assertEqual(len(found), 1, found)
        return found[0]
