"""Secrets in the file, in files of their own, and as credentials."""

import os

from rustbalance.config import ConfigError, load_config
from rustbalance.secrets import locked_bytes
from tests.config.case import ConfigCase, document
from tests.locked import locked_before

EXTERNAL = {"tor__mode": '"external"', "tor__binary": None}


class SecretKeysTests(ConfigCase):
    """The control password stands for all of them."""

    def test_inline(self) -> None:
        """A plain string in a private file."""
        config = self.load(document(**EXTERNAL, tor__control_password='"correct horse"'))
        self.assertEqual(config.tor.control_password, b"correct horse")

    def test_inline_in_an_open_file(self) -> None:
        """With a secret inside, others must not be able to read the configuration; without one they may."""
        path = self.write("config.toml", document(**EXTERNAL, tor__control_password='"correct horse"'), 0o644)
        with self.assertRaises(ConfigError) as caught:
            load_config(path, {})
        self.assertIn("must have mode 0600", caught.exception.complaints[0].rule)
        self.assertIsNone(load_config(self.write("config.toml", document(), 0o644), {}).tor.control_password)

    def test_file(self) -> None:
        """A file of its own; the newline that editors leave is not part of the secret."""
        self.write("password", "correct horse\n")
        config = self.load(document(**EXTERNAL, tor__control_password_file='"password"'))
        self.assertEqual(config.tor.control_password, b"correct horse")

    def test_credential(self) -> None:
        """A systemd credential, by itself or named by the _file key, may have the group bits of its access list."""
        path = self.write("tor.control_password", "correct horse", 0o440)
        credentials = str(self.directory)
        config = self.load(document(**EXTERNAL), CREDENTIALS_DIRECTORY=credentials)
        self.assertEqual(config.tor.control_password, b"correct horse")
        other = path.rename(self.directory / "other")
        config = self.load(
            document(**EXTERNAL, tor__control_password_file=f'"{other}"'), CREDENTIALS_DIRECTORY=credentials
        )
        self.assertEqual(config.tor.control_password, b"correct horse")

    def test_more_than_once(self) -> None:
        """Two sources are one too many: which of them holds would be a guess."""
        self.write("tor.control_password", "a")
        for changes, environment in (
            ({"tor__control_password": '"b"', "tor__control_password_file": '"tor.control_password"'}, {}),
            ({"tor__control_password": '"b"'}, {"CREDENTIALS_DIRECTORY": str(self.directory)}),
        ):
            complaint = self.only_complaint(document(**EXTERNAL, **changes), **environment)
            self.assertEqual(complaint.key, "tor.control_password")
            self.assertIn("more than once", complaint.rule)

    def test_absent_is_not_empty(self) -> None:
        """An empty secret would be one that everybody knows."""
        self.write("empty", "\n")
        for changes in ({"tor__control_password": '""'}, {"tor__control_password_file": '"empty"'}):
            self.assertEqual(self.only_complaint(document(**EXTERNAL, **changes)).key, "tor.control_password")

    def test_bad_files(self) -> None:
        """Open to others, missing, too long, of another kind, or no path at all."""
        self.write("open", "x", 0o644)
        self.write("long", "x" * 5000)
        for value in ('"open"', '"gone"', '"long"', '"."', '""', "7", '"a\\u0000b"'):
            complaint = self.only_complaint(document(**EXTERNAL, tor__control_password_file=value))
            self.assertEqual(complaint.key, "tor.control_password", value)
            self.assertIsNone(complaint.value)

    def test_wiped_when_there_are_complaints(self) -> None:
        """A secret of a configuration that is refused does not stay in memory."""
        before = locked_before()
        self.complaints(document(**EXTERNAL, tor__control_password='"correct horse"', node__id='"A"'))
        self.assertEqual(locked_bytes(), before)

    def test_environment_is_the_process_one_by_default(self) -> None:
        """The credential directory is found without being told."""
        self.write("tor.control_password", "correct horse", 0o440)
        os.environ["CREDENTIALS_DIRECTORY"] = str(self.directory)
        self.addCleanup(os.environ.pop, "CREDENTIALS_DIRECTORY")
        config = load_config(self.write("config.toml", document(**EXTERNAL)))
        self.assertIsNotNone(config.tor.control_password)
