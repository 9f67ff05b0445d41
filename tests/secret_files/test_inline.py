"""Tests for L{rustbalance.secret_files.inline}."""

import tomllib
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.secret_files import SecretFileError, read_inline
from rustbalance.secrets import Secret, locked_bytes
from tests.locked import locked_before

NAMES = {"tor.control_password", "coordination.cluster_token", "a.b.key", "top"}

CONFIG = b"""
# control_password = "hunter1"
state_dir = "/var/lib/rustbalance"  # not "hunter2"
top = "hunter3"
[tor]
mode = "managed"
\tcontrol_password\t=\t"hunter4 #[]{}=,.'"   # hunter5
restart_command = [
  "systemctl", # hunter6
  'restart',
  "tor@{instance}",
]
[ coordination ] # the mesh
cluster_token="hunter7"
since = 1979-05-27 07:32:00.5
[[wireguard.peers]]
id = "one"
note = \"\"\"
[tor]
control_password = "not a secret" \\\"\"\" # nor this
\"\"\"\"\"
[a.b]
key = "hunter8"
other = {x = 1, y = [2, 3.5], z = 'it''s'}
""".replace(b"'it''s'", b"'its'")


class InlineTests(SynchronousTestCase):
    """L{read_inline} cuts out secrets, and nothing that could be one reaches the text."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def read(self, contents: bytes, mode: int = 0o600) -> tuple[str, dict[str, Secret]]:
        """Write and read a file."""
        self.path.write_bytes(contents)
        self.path.chmod(mode)
        return read_inline(self.path, NAMES)

    def refused(self, contents: bytes, mode: int = 0o600) -> SecretFileError:
        """Return the refusal, having checked that it does not show a secret."""
        error: SecretFileError = self.assertRaises(SecretFileError, self.read, contents, mode)
        self.assertNotIn("hunter", str(error))
        self.assertIn(str(self.path), str(error))
        return error

    def test_cut(self) -> None:
        """Every named secret is found under its dotted name, and the text has neither them nor any comment."""
        text, found = self.read(CONFIG)
        expected = {
            "top": b"hunter3",
            "tor.control_password": b"hunter4 #[]{}=,.'",
            "coordination.cluster_token": b"hunter7",
            "a.b.key": b"hunter8",
        }
        self.assertEqual(sorted(found), sorted(expected))
        for name, secret in expected.items():
            self.assertEqual(found[name], secret)
        self.assertNotIn("hunter", text)

    def test_the_rest_stays(self) -> None:
        """The text has the same lines, and means the same but for the secrets, which are asterisks."""
        text, _ = self.read(CONFIG)
        expected = tomllib.loads(CONFIG.decode())
        self.assertEqual(len(text.splitlines()), len(CONFIG.splitlines()))
        expected["top"] = "*" * 7
        expected["tor"]["control_password"] = "*" * 17
        expected["coordination"]["cluster_token"] = "*" * 7
        expected["a"]["b"]["key"] = "*" * 7
        self.assertEqual(tomllib.loads(text), expected)

    def test_no_secrets(self) -> None:
        """A file without secrets may be open to others."""
        text, found = self.read(b'[tor]\r\nmode = "managed"\r\n', 0o644)
        self.assertEqual((text, found), ('[tor]\r\nmode = "managed"\r\n', {}))
        self.assertEqual(self.read(b"", 0o644), ("", {}))

    def test_open_to_others(self) -> None:
        """A file with a secret in it may not."""
        self.assertIn("0600", self.refused(b'[tor]\ncontrol_password = "hunter2"\n', 0o644).rule)

    def test_names_elsewhere(self) -> None:
        """The same key in another section is no secret of ours."""
        text, found = self.read(b'control_password = "x"\n[other]\ncontrol_password = "y"\n[tor.tor]\ntop = "z"\n')
        self.assertEqual(found, {})
        self.assertIn('"x"', text)

    def test_other_spellings(self) -> None:
        """A secret in any other form that TOML has is refused, naming its key and the form that is right."""
        for line in (
            b"control_password = 'hunter2'",
            b'control_password = """hunter2"""',
            b"control_password = '''hunter2'''",
            b'control_password = """\nhunter2"""',
            b'control_password = "hunter\\u0032"',
            b'control_password = "hunter\\"2"',
            b'control_password = "hunter\t2"',
            b'control_password = "hunter\x002"',
            b'control_password = ""',
            b"control_password = 12345",
            b'control_password = ["hunter2"]',
            b'control_password = {hunter2 = "hunter2"}',
            b'"control_password" = "hunter2"',
            b"'control_password' = \"hunter2\"",
        ):
            error = self.refused(b"[tor]\n" + line + b"\n")
            self.assertEqual(error.key, "tor.control_password")
            self.assertIn('control_password = "…" in its section', error.rule)

    def test_dotted_keys_and_inline_tables(self) -> None:
        """A secret outside a section of its own is refused, naming the section."""
        for contents in (
            b'tor.control_password = "hunter2"',
            b'tor . "control_password" = "hunter2"',
            b'[a]\nb.key = "hunter2"',
            b'"tor.control_password" = "hunter2"',
        ):
            self.assertIn("in its section", self.refused(contents).rule)
        for contents, section in (
            (b'tor = {control_password = "hunter2"}', "[tor]"),
            (b'tor = [{control_password = "hunter2"}]', "[tor]"),
            (b'a = {b = {key = "hunter2"}}', "[a]"),
            (b'[a]\nb = {key = "hunter2"}', "[a.b]"),
            (b'a.b = {key = "hunter2"}', "[a.b]"),
        ):
            self.assertIn(section, self.refused(contents).rule)

    def test_quoted_sections(self) -> None:
        """A section is the same section however its name is quoted."""
        for head in (b'["tor"]', b"[ 'tor' ]", b"[[tor]]"):
            _, found = self.read(head + b'\ncontrol_password = "hunter2"')
            self.assertEqual(found["tor.control_password"], b"hunter2")

    def test_escaped_keys(self) -> None:
        """A key that hides its name behind an escape is refused, wherever it stands."""
        self.refused(b'["t\\u006fr"]\ncontrol_password = "hunter2"')
        self.refused(b'[tor]\n"control\\u005fpassword" = "hunter2"')

    def test_damaged_files(self) -> None:
        """Where quotes or brackets do not close, nothing is guessed: the file is refused with the line."""
        secret = b'\n[tor]\ncontrol_password = "hunter2"\n'
        for damage in (
            *(b'a = "x', b"a = 'x", b'a = """x', b"a = '''x", b"a = [1,", b"a = {b = 1,", b"a = 1]", b"a = [1}"),
            *(b"a", b"a b = 1", b"a = b = c", b'a = 1 "x"', b"= 1", b"a =", b'"hunter2"', b"[tor", b"[]", b"a. = 1"),
            *(b"\xff = 1", b"a = \xc3\xa4", b"a = 1\rb = 2", b"a = (1)", b'[x] y = "hunter2"'),
        ):
            error = self.refused(b"first = 1\n" + damage + secret)
            self.assertRegex(error.rule, r"^line \d is not TOML|in its section")

    def test_lines_are_counted(self) -> None:
        """The line that is named is the one to look at."""
        self.assertIn("line 3 ", self.refused(b"a = 1\n\nb = (\nc = 1\n").rule)

    def test_no_utf8(self) -> None:
        """Text in another encoding is refused as such."""
        self.assertEqual(self.refused(b'a = "\xe4"\n').rule, "must be UTF-8")
        for key in (b'"\xe4"', b"'\xe4'"):
            self.assertEqual(self.refused(key + b" = 1\n").rule[:6], "line 1")

    def test_limit(self) -> None:
        """A file that is larger than any configuration is refused."""
        self.assertIn("65536 bytes", self.refused(b"#" * 65537).rule)

    def test_later_one_counts(self) -> None:
        """A key that is given twice stays in the text twice, so that the TOML reader complains."""
        text, found = self.read(b'top = "hunter1"\ntop = "hunter2"\n')
        self.assertEqual(found["top"], b"hunter2")
        self.assertRaises(tomllib.TOMLDecodeError, tomllib.loads, text)

    def test_nothing_is_left_locked(self) -> None:
        """Reading leaves only the secrets that it returns."""
        before = locked_before()
        _, found = self.read(CONFIG)
        self.assertEqual(locked_bytes(), before + 4 * 4096)
        for secret in found.values():
            secret.wipe()
        self.assertEqual(locked_bytes(), before)

    PIECES = st.sampled_from(
        [*"[]{}=.,\"'#\n \\", '"""', "'''", "tor", "a", "1", "\r\n", "control_password", '[tor]\ncontrol_password="']
    )

    @settings(deadline=None, max_examples=400)
    @given(st.lists(PIECES, max_size=12), st.lists(PIECES, max_size=12))
    def test_nothing_slips_through(self, before: list[str], after: list[str]) -> None:
        """Whatever surrounds a secret: when the text is TOML in which Tor has a password, the password was cut out."""
        contents = "".join(before) + '\n[tor]\ncontrol_password = "hunter2"\n' + "".join(after)
        try:
            text, _ = self.read(contents.encode())
        except SecretFileError:
            return
        try:
            parsed = tomllib.loads(text)
        except tomllib.TOMLDecodeError:
            return
        tor = parsed.get("tor")
        found = tor[-1] if isinstance(tor, list) else tor
        if isinstance(found, dict) and "control_password" in found:
            self.assertEqual(set(str(found["control_password"])), {"*"})

    @settings(deadline=None, max_examples=200)
    @given(st.binary(max_size=60))
    def test_any_bytes(self, contents: bytes) -> None:
        """Any file is either read or refused with the one error."""
        try:
            self.read(contents)
        except SecretFileError as error:
            self.assertIn(str(self.path), str(error))
