"""The schema keeps its own rules."""

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.config.complaints import Refused
from rustbalance.config.outline import every_entry
from rustbalance.config.schema import Logging, Tor
from rustbalance.config.writing import as_toml
from rustbalance.secrets import Secret


class SchemaTests(SynchronousTestCase):
    """What must be true of every key."""

    def test_defaults_keep_the_rules(self) -> None:
        """A default, written into the file, is accepted and means the same."""
        for entry in every_entry():
            if entry.required or entry.default is None or entry.key.default is not None or entry.name == "peers":
                continue
            written = list(entry.default) if isinstance(entry.default, tuple) else entry.default
            value = str(written) if isinstance(written, Path) else written
            try:
                self.assertEqual(entry.key.read(value, Path("/")), entry.default, entry.dotted)
            except Refused:
                self.fail(f"{entry.dotted} = {as_toml(entry.default)} is refused")

    def test_sentences(self) -> None:
        """Each key has one sentence and a rule that continues 'it …'."""
        for entry in every_entry():
            self.assertRegex(entry.key.says, r"^[A-Z].*\.$", entry.dotted)
            self.assertTrue(entry.key.rule.startswith("must "), entry.dotted)

    def test_names(self) -> None:
        """Names are bare TOML keys, and times say that they are seconds."""
        for entry in every_entry():
            self.assertTrue(re.fullmatch(r"[a-z_]+", entry.name), entry.dotted)
            self.assertEqual(entry.key.kind == "seconds", entry.name.endswith("_secs"), entry.dotted)

    def test_repr_shows_nothing(self) -> None:
        """Neither a secret nor anything else of a section gets into a log by its repr."""
        section = Tor(control_password=Secret.copy_of(b"hunter2"))
        self.assertEqual(repr(section), "<Tor>")
        self.assertEqual(str(section), "<Tor>")

    def test_frozen(self) -> None:
        """Nobody changes a configuration once it is read."""
        self.assertRaises(AttributeError, setattr, Logging(), "level", "debug")
