"""What is in a bundle that a node makes."""

import contextlib

from rustbalance.cluster.bundle import Bundle, BundleError, open_bundle
from rustbalance.cluster.keys import NodeKey, TicketKey
from rustbalance.cluster.records import check_record, check_ticket
from rustbalance.config import load_config
from rustbalance.key_files import load_master_key
from rustbalance.provisioning.new_bundle import CannotBundle, make_bundle
from rustbalance.provisioning.new_node import create_node
from rustbalance.secret_files import decode_base64
from rustbalance.secrets import Secret, locked_bytes
from tests.cli.case import CliCase
from tests.locked import locked_before

NOW = 1_800_000_000.0
PHRASE = b"correct horse battery"


class BundleCase(CliCase):
    """Makes and opens bundles."""

    def bundle(self, **wanted: str) -> Bundle:
        """Return the opened bundle of a new node."""
        made = create_node(self.directory / "node", "127.0.0.1:8000", **wanted)  # type: ignore[arg-type]
        with Secret.copy_of(PHRASE) as phrase:
            return open_bundle(make_bundle(made.config, phrase, 3600, NOW), phrase, NOW)


class NewBundleTests(BundleCase):
    """The facts and the secrets."""

    def test_contents(self) -> None:
        """The address with its key, the cluster's secrets, what is set alike, and a ticket that the node signed."""
        bundle = self.bundle()
        config = load_config(self.directory / "node" / "config.toml")
        key = load_master_key(config.master.identity_key_path)
        self.assertEqual(bundle.facts.address, key.address.text)
        self.assertEqual(bundle.secrets["master_key"], key.secret)
        self.assertEqual(bundle.secrets["cluster_token"], config.coordination.cluster_token)
        self.assertEqual(bundle.secrets["join_secret"], config.coordination.join_secret)
        self.assertEqual(bundle.facts.settings["target.address"], '"127.0.0.1:8000"')
        ticket_key = TicketKey(bundle.secrets["ticket_key"])
        self.assertEqual(ticket_key.public, bundle.facts.ticket.public_key)
        assert config.node.key is not None
        check_ticket(bundle.facts.ticket, NodeKey(decode_base64(config.node.key)).public, NOW)
        self.assertEqual(bundle.facts.ticket.issuer, config.node.id)
        self.assertEqual(bundle.facts.ticket.expires, int(NOW) + 3600)

    def test_fresh(self) -> None:
        """Each bundle has a ticket of its own."""
        first = self.bundle().facts.ticket
        with Secret.copy_of(PHRASE) as phrase:
            line = make_bundle(self.directory / "node" / "config.toml", phrase, 3600, NOW)
            self.assertNotEqual(open_bundle(line, phrase, NOW).facts.ticket.public_key, first.public_key)

    def test_where_to_begin(self) -> None:
        """A node with a fixed address on the local network tells it; others are found through the master address."""
        self.assertEqual(self.bundle().facts.records, ())
        (record,) = self.bundle(carrier="direct", endpoint="10.0.0.1:7000", force=True).facts.records  # type: ignore[arg-type]
        check_record(record)
        self.assertEqual(record.addresses, ("direct:10.0.0.1:7000",))
        self.assertEqual(self.bundle(carrier="direct", force=True).facts.records, ())  # type: ignore[arg-type]

    def test_what_is_missing(self) -> None:
        """A node without a token, a join secret or a key of its own says which."""
        made = create_node(self.directory / "node", "127.0.0.1:8000")
        text = made.config.read_text()
        for line in ("cluster_token_file", "join_secret_file", "key_file"):
            lines = [each for each in text.splitlines() if not each.startswith(f"{line} =")]
            if line == "cluster_token_file":
                lines = [each for each in lines if not each.startswith("join_secret_file =")]
            made.config.write_text("\n".join(lines))
            with Secret.copy_of(PHRASE) as phrase:
                error = self.assertRaises(CannotBundle, make_bundle, made.config, phrase, 3600, NOW)
            self.assertIn(line.removesuffix("_file"), str(error))

    def test_nothing_stays_in_memory(self) -> None:
        """The secrets are gone when the line is made, and when it is not."""
        made = create_node(self.directory / "node", "127.0.0.1:8000")
        for phrase in (PHRASE, b"short"):
            with Secret.copy_of(phrase) as secret:
                before = locked_before()
                with contextlib.suppress(BundleError):
                    make_bundle(made.config, secret, 3600, NOW)
                self.assertEqual(locked_bytes(), before)
