"""A node made from a bundle."""

import base64
import stat
from pathlib import Path

from rustbalance.cluster.bundle import Bundle
from rustbalance.cluster.keys import NodeKey
from rustbalance.cluster.records import is_bound
from rustbalance.config import HostPort, load_config
from rustbalance.joining.records import JOINING, JoinFile, Joining
from rustbalance.key_files import load_master_key
from rustbalance.provisioning.joined_node import create_joined_node
from rustbalance.provisioning.node_files import CannotMake
from rustbalance.secret_files import decode_base64
from rustbalance.secrets import Secret
from tests.provisioning.test_new_bundle import BundleCase


class JoinedNodeTests(BundleCase):
    """The same writer as that of init, with what the bundle says (D-68)."""

    def test_starts_as_it_is(self) -> None:
        """For each carrier the configuration loads, has the cluster's secrets, and a key and a name of its own."""
        for number, (carrier, first, second) in enumerate(
            (
                ("tor", None, None),
                ("direct", "10.0.0.1:7000", "10.0.0.2:7000"),
                ("wireguard", "10.9.9.1:51820", "10.9.9.2:51820"),
            )
        ):
            wanted = {"carrier": carrier, "endpoint": first, "force": bool(number)}
            bundle = self.bundle(**wanted)  # type: ignore[arg-type]
            made = create_joined_node(self.directory / f"second{number}", bundle, endpoint=second)
            self.assertEqual(made.missing, ())
            ours, theirs = load_config(made.config), load_config(self.directory / "node" / "config.toml")
            self.assertEqual(ours.coordination.mode, carrier)
            self.assertEqual(ours.coordination.cluster_token, theirs.coordination.cluster_token)
            self.assertEqual(ours.coordination.join_secret, theirs.coordination.join_secret)
            self.assertEqual(load_master_key(made.key).address, made.address)
            self.assertEqual(ours.target.address, theirs.target.address)
            self.assertNotEqual(ours.node.id, theirs.node.id)
            self.assertNotEqual(ours.node.key, theirs.node.key)
            self.assertEqual(ours.coordination.peers, ("10.0.0.1:7000",) if carrier == "direct" else ())
            self.assertIsNone(ours.wireguard.tunnel_ip)

    def test_what_it_joins_with(self) -> None:
        """The ticket lies in the state directory, for the daemon; nothing of all this is open to others."""
        bundle = self.bundle()
        made = create_joined_node(self.directory / "second", bundle)
        path = load_config(made.config).state_dir / JOINING
        joining = JoinFile(path, Joining).read()
        assert joining is not None
        self.assertEqual((joining.ticket, joining.joined_at), (bundle.facts.ticket, None))
        node_key = load_config(made.config).node.key
        assert node_key is not None
        ours = NodeKey(decode_base64(node_key)).public
        self.assertTrue(is_bound(bundle.facts.ticket.public_key, joining.binding, ours))
        for each in (*made.config.parent.iterdir(), path):
            self.assertEqual(stat.S_IMODE(each.stat().st_mode) & 0o077, 0)

    def test_ticket_key_goes_nowhere(self) -> None:
        """The ticket's secret half is on the disk of neither node, in no form, and gone from memory afterwards."""
        bundle = self.bundle()
        with bundle.secrets["ticket_key"].expose() as view:
            seed = bytes(view)
        create_joined_node(self.directory / "second", bundle)
        self.assertFalse(bundle.secrets["ticket_key"].alive)
        forms = (seed, seed.hex().encode(), base64.b64encode(seed).rstrip(b"="))
        for path in filter(Path.is_file, self.directory.rglob("*")):
            self.assertFalse([form for form in forms if form in path.read_bytes()], path)

    def test_own_target_and_name(self) -> None:
        """Both may be chosen; the name of another node may not."""
        made = create_joined_node(self.directory / "second", self.bundle(), name="b", target="10.0.0.9:80")
        config = load_config(made.config)
        self.assertEqual((config.node.id, config.target.address), ("b", HostPort("10.0.0.9", 80)))
        bundle = self.bundle(force=True)  # type: ignore[arg-type]
        for name in (bundle.facts.ticket.issuer, "B", "x" * 65):
            with self.assertRaises(CannotMake):
                create_joined_node(self.directory / "third", self.bundle(force=True), name=name)  # type: ignore[arg-type]
        self.assertFalse((self.directory / "third").exists())

    def test_wrong_key(self) -> None:
        """A bundle whose key is not that of its address, is none, or is missing, makes nothing (D-73)."""
        bundle = self.bundle()
        other = Secret.copy_of(bytes(31) + b"\x40" + bytes(32))
        for secrets in (
            {**bundle.secrets, "master_key": other},
            {**bundle.secrets, "master_key": Secret(64)},
            {name: secret for name, secret in bundle.secrets.items() if name != "join_secret"},
            {name: secret for name, secret in bundle.secrets.items() if name != "master_key"},
            {name: secret for name, secret in bundle.secrets.items() if name != "ticket_key"},
            {**bundle.secrets, "ticket_key": Secret(32)},
            {**bundle.secrets, "ticket_key": Secret(31)},
        ):
            copies = {}
            for name, secret in secrets.items():
                with secret.expose() as view:
                    copies[name] = Secret.copy_of(view)
            damaged = Bundle(bundle.facts, copies)
            self.assertRaises(CannotMake, create_joined_node, self.directory / "second", damaged)
            self.assertFalse(any(secret.alive for secret in copies.values()))
        self.assertFalse((self.directory / "second").exists())

    def test_again_with_force(self) -> None:
        """A second bundle in the same directory replaces what was there, the ticket included."""
        create_joined_node(self.directory / "second", self.bundle())
        bundle = self.bundle(force=True)  # type: ignore[arg-type]
        made = create_joined_node(self.directory / "second", bundle, force=True)
        joining = JoinFile(made.config.parent / "state" / JOINING, Joining).read()
        assert joining is not None
        self.assertEqual(joining.ticket, bundle.facts.ticket)
