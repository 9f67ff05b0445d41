"""A node's directory: what is in it, and when it is left alone."""

import os
import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.config import HostPort, UnixPath, load_config
from rustbalance.key_files import SECRET_HEADER, create_master_key, load_master_key, write_service_keys
from rustbalance.onion.address import OnionAddress
from rustbalance.provisioning.new_node import create_node, node_id
from rustbalance.provisioning.node_files import CannotMake
from rustbalance.secret_files import write_secret
from tests.cli.case import CliCase
from tests.config.case import ONION

#: What lies beside the configuration.
FILES = ("master.key", "node.key", "cluster_token", "join_secret")


class CreateTests(CliCase):
    """Making a node."""

    def contents(self) -> dict[str, bytes]:
        """Return all files of the node."""
        found = self.directory / "node"
        return {path.name: path.read_bytes() for path in found.iterdir()} if found.exists() else {}

    def refused(self, *parts: str, **wanted: object) -> None:
        """Check that a node is refused with these words, and that nothing has changed."""
        before, there = self.contents(), (self.directory / "node").exists()
        with self.assertRaises(CannotMake) as caught:
            create_node(**{"directory": self.directory / "node", "target": "h:1", **wanted})  # type: ignore[arg-type]
        for part in parts:
            self.assertIn(part, str(caught.exception))
        self.assertEqual((self.contents(), (self.directory / "node").exists()), (before, there))

    def test_round_trip(self) -> None:
        """The configuration of every kind of target loads without complaint and says what was asked for."""
        for number, (target, aim) in enumerate(
            (
                (ONION, ("onion_address", OnionAddress.parse(ONION))),
                ("10.0.0.1:8000", ("address", HostPort("10.0.0.1", 8000))),
                ("unix:/run/app.sock", ("address", UnixPath(Path("/run/app.sock")))),
                ("https://example.com", ("address", HostPort("example.com", 443))),
            )
        ):
            made = create_node(self.directory / str(number), target)
            config = load_config(made.config)
            self.assertEqual(made.missing, ())
            self.assertEqual(getattr(config.target, aim[0]), aim[1])
            self.assertEqual(config.target.use_tls, target.startswith("https"))
            self.assertEqual(config.listen, UnixPath(made.config.parent / "state" / "front.sock"))
            self.assertEqual(load_master_key(config.master.identity_key_path).address, made.address)

    def test_private(self) -> None:
        """Directory 0700, files 0600, whatever the mask for new files is."""
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        made = self.node()
        self.assertEqual(stat.S_IMODE(made.config.parent.stat().st_mode), 0o700)
        for path in made.config.parent.iterdir():
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertEqual(sorted(self.contents()), sorted(["config.toml", *FILES]))

    def test_each_node_has_its_own_key(self) -> None:
        """Two nodes made in a row have two addresses."""
        self.assertNotEqual(
            create_node(self.directory / "a", "h:1").address, create_node(self.directory / "b", "h:1").address
        )

    def test_identity_key(self) -> None:
        """A key in each of the three forms keeps its address."""
        key = create_master_key(self.directory / "tor96")
        write_secret(self.directory / "expanded64", key.secret)
        (self.directory / "seed32").write_bytes(bytes(range(32)))
        (self.directory / "seed32").chmod(0o600)
        service = self.directory / "service"
        service.mkdir()
        write_service_keys(service, key)
        for number, name in enumerate(("tor96", "expanded64", "service/hs_ed25519_secret_key")):
            made = create_node(self.directory / str(number), "h:1", identity_key=self.directory / name)
            self.assertEqual((made.address, load_master_key(made.key).address), (key.address, key.address))
            self.assertEqual(made.key.read_bytes()[:32], SECRET_HEADER)
        made = create_node(self.directory / "n", "h:1", identity_key=self.directory / "seed32")
        self.assertEqual(made.address, load_master_key(self.directory / "seed32").address)

    def test_bad_identity_key(self) -> None:
        """A file that is no key, or is open to others, is refused before anything is written."""
        bad = self.directory / "bad"
        bad.write_bytes(b"== ed25519v1-secret: type0 ==\0\0\0")
        self.refused("--identity-key", identity_key=self.directory / "gone")
        bad.chmod(0o644)
        self.refused("--identity-key", "0600", identity_key=bad)
        bad.write_bytes(b"x" * 33)
        bad.chmod(0o600)
        self.refused("--identity-key", "33", identity_key=bad)

    def test_circle(self) -> None:
        """A node whose target is its own address is refused."""
        key = create_master_key(self.directory / "key")
        self.refused("circles", target=key.address.text, identity_key=self.directory / "key")

    def test_bad_target(self) -> None:
        """A bad target is refused before anything is written."""
        self.refused("--target", "port", target="localhost")

    def test_nothing_is_replaced(self) -> None:
        """All files, or one of them, are in the way; without force they stay as they are."""
        made = self.node()
        self.refused("config.toml, master.key, node.key, cluster_token, join_secret in", "--force")
        made.config.unlink()
        for name in FILES[:-1]:
            (made.config.parent / name).unlink()
        self.refused("join_secret in", "--force")

    def test_a_failure_gives_the_old_key_back(self) -> None:
        """When the new configuration cannot be written, the directory has the key that it had."""
        first = self.node()
        before = first.key.read_bytes()
        first.config.unlink()
        first.config.mkdir()
        (first.config / "in the way").touch()
        with self.assertRaises(CannotMake):
            create_node(self.directory / "node", "h:1", force=True)
        self.assertEqual(first.key.read_bytes(), before)
        self.assertEqual(list(first.key.parent.glob("*.old-*")), [])

    def test_force_keeps_the_old_key(self) -> None:
        """With force there is a new key; the old one has another name, as it cannot be had again."""
        first, again = self.node(), create_node(self.directory / "node", "h:2", force=True)
        self.assertNotEqual(first.address, again.address)
        assert again.old_key is not None
        self.assertEqual(load_master_key(again.old_key).address, first.address)
        third = create_node(self.directory / "node", "h:2", force=True)
        self.assertNotEqual(third.old_key, again.old_key)
        self.assertTrue(again.old_key.exists())

    def test_open_directory(self) -> None:
        """A directory that others can look into is refused, not changed."""
        (self.directory / "node").mkdir()
        (self.directory / "node").chmod(0o755)
        self.refused("chmod 700")
        self.assertEqual(stat.S_IMODE((self.directory / "node").stat().st_mode), 0o755)

    def test_file_in_the_way(self) -> None:
        """A path through a file cannot become a directory."""
        (self.directory / "node").write_text("x")
        self.assertRaises(CannotMake, create_node, self.directory / "node", "h:1")
        self.assertRaises(CannotMake, create_node, self.directory / "node" / "deeper", "h:1")

    def test_deep_directory(self) -> None:
        """A path in which Unix sockets do not fit is refused with the number of bytes to save."""
        self.refused("too long by", "shorter --dir", directory=self.directory / ("x" * 90))

    def test_longest_directory(self) -> None:
        """The longest path that is accepted gives a configuration that loads."""
        room = 75 - len("/state") - len(str(self.directory)) - 1
        made = create_node(self.directory / ("x" * room), "h:1")
        self.assertEqual(made.missing, ())
        self.refused("too long by 1 bytes", directory=self.directory / ("x" * (room + 1)))

    def test_torrc_include(self) -> None:
        """A private network's file gets into the configuration."""
        include = self.directory / "include.torrc"
        include.touch()
        made = create_node(self.directory / "node", "h:1", torrc_include=include)
        self.assertEqual(load_config(made.config).tor.torrc_include, include)

    def test_the_directory_may_move(self) -> None:
        """Paths inside are relative: a node that was moved still loads."""
        made = self.node()
        made.config.parent.rename(self.directory / "moved")
        config = load_config(self.directory / "moved" / "config.toml")
        self.assertEqual(config.state_dir, self.directory / "moved" / "state")


class NodeIdTests(SynchronousTestCase):
    """A host's name as a node's."""

    def test_names(self) -> None:
        """Whatever the host is called, the node's name keeps the rule."""
        for host, name in (
            ("Web-1.example.com", "web-1"),
            ("my_host", "my-host"),
            ("-x-", "x"),
            ("Ünï", "n"),
            ("...", "node"),
            ("", "node"),
            ("a" * 100, "a" * 64),
        ):
            self.assertEqual(node_id(host), name)
