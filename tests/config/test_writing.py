"""A new file says what it was told to say, and explains the rest."""

import tomllib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.config.outline import every_entry
from rustbalance.config.writing import as_toml, render
from tests.config.case import ConfigCase


class RenderTests(ConfigCase):
    """The text of config.toml."""

    def test_only_what_was_set(self) -> None:
        """What TOML reads is what was set; everything else is comment."""
        text = render({"state_dir": "s", "node.id": "a", "target.port": 81}, "Hello\n\nyou")
        self.assertEqual(tomllib.loads(text), {"state_dir": "s", "node": {"id": "a"}, **_tables("target", port=81)})
        self.assertTrue(text.startswith("# Hello\n#\n# you\n"))

    def test_every_key_of_this_version_is_explained(self) -> None:
        """Each key stands there with its sentence; those of later versions do not."""
        text = render({}, "")
        for entry in every_entry():
            self.assertEqual(entry.key.says in text, not entry.key.later, entry.dotted)

    def test_comments_hold_the_defaults(self) -> None:
        """Uncommenting every default gives a file that says the same as leaving them out."""
        settings_ = {"node.id": "a", "master.identity_key_path": "master.key", "target.address": "h:1"}
        text = render({**settings_, "tor.binary": "/bin/sh", "state_dir": "state"}, "x")
        plain = self.load(text)
        kept = (
            "shutdown",
            "max_conn",
            "num_intro",
            "refresh",
            "min_dir",
            "max_intro",
            "level",
            "require",
            "local_port",
        )
        uncommented = "\n".join(
            line.removeprefix("#") if line.startswith(tuple(f"#{name}" for name in kept)) else line
            for line in text.splitlines()
        )
        self.assertNotEqual(uncommented, text.rstrip("\n"))
        again = self.load(uncommented)
        for section in ("target", "tor", "publish", "security", "logging"):
            self.assertEqual(getattr(again, section), getattr(plain, section))

    def test_unknown_settings(self) -> None:
        """A setting with no key is a mistake of ours, told at once."""
        self.assertRaises(ValueError, render, {"node.name": "x"}, "")


def _tables(name: str, **values: object) -> dict[str, object]:
    empty = ("master", "tor", "publish", "coordination", "wireguard", "health", "canary", "security", "logging")
    tables: dict[str, object] = {section: {} for section in empty}
    return {**tables, name: values}


class SpellingTests(SynchronousTestCase):
    """Values as TOML."""

    @settings(deadline=None)
    @given(st.one_of(st.text().map(lambda text: text.encode("utf-8", "ignore").decode()), st.booleans(), st.integers()))
    def test_reads_back(self, value: object) -> None:
        """Whatever is written is read back as it was."""
        self.assertEqual(tomllib.loads(f"a = {as_toml(value)}\n")["a"], value)
