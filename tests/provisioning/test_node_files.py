"""The files of a node."""

from rustbalance.config import load_config
from rustbalance.coordination.service import STATE
from rustbalance.joining.records import JOINING, LEDGER
from rustbalance.provisioning.new_node import create_node, new_secrets
from rustbalance.provisioning.node_files import CannotMake, check_room, normal, write_node
from tests.cli.case import CliCase

SETTINGS = {"node.id": "a", "target.address": "127.0.0.1:8000"}


class NodeFilesTests(CliCase):
    """What is written, whoever asks."""

    def test_secrets_are_text(self) -> None:
        """Token and join secret are 64 hexadecimal digits each, different ones; the key of the node is base64."""
        made = write_node(self.directory / "n", SETTINGS, None, new_secrets())
        token, join_secret = ((made.config.parent / name).read_text() for name in ("cluster_token", "join_secret"))
        self.assertRegex(token + join_secret, r"\A[0-9a-f]{128}\Z")
        self.assertNotEqual(token, join_secret)
        self.assertRegex((made.config.parent / "node.key").read_text(), r"\A[A-Za-z0-9+/]{43}=\Z")

    def test_shared_secrets_are_wiped(self) -> None:
        """Nobody has them any longer once they are written."""
        shared = new_secrets()
        write_node(self.directory / "n", SETTINGS, None, shared)
        self.assertFalse(any(secret.alive for secret in shared.values()))

    def test_earlier_joining_is_forgotten(self) -> None:
        """
        With --force a new node begins anew: it neither joins what the old one did nor remembers whom that let in or
        knew. Members of another cluster, which are never heard, would make it take itself for cut off.
        """
        made = self.node()
        state = load_config(made.config).state_dir
        state.mkdir(mode=0o700)
        for name in (STATE, JOINING, LEDGER):
            (state / name).write_text("{}")
        create_node(made.config.parent, "127.0.0.1:8000", force=True)
        self.assertEqual(list(state.iterdir()), [])

    def test_configuration_comes_last(self) -> None:
        """Whatever is killed at whatever moment: what can be started is whole."""
        there: list[bool] = []
        config = self.directory / "n" / "config.toml"
        write_node(self.directory / "n", SETTINGS, None, new_secrets(), lambda: there.append(config.exists()))
        self.assertEqual((there, config.exists()), ([False], True))

    def test_room(self) -> None:
        """Any of the files is in the way; an empty directory is not."""
        (self.directory / "n").mkdir(mode=0o700)
        check_room(self.directory / "n", force=False)
        (self.directory / "n" / "cluster_token").touch()
        self.assertRaises(CannotMake, check_room, self.directory / "n", force=False)
        check_room(self.directory / "n", force=True)

    def test_normal(self) -> None:
        """A path is absolute and has no way back in it."""
        self.assertEqual(normal(self.directory / "x" / ".." / "y"), self.directory / "y")
