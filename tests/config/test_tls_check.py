"""The forms of target.tls_verify."""

from pathlib import Path

from rustbalance.config.complaints import Refused
from rustbalance.config.tls_check import TlsCheck, parse_tls_check
from tests.config.case import ConfigCase


class TlsCheckTests(ConfigCase):
    """Words, pins and files."""

    def test_forms(self) -> None:
        """Each form that the contract has."""
        path = self.write("ca.pem", "x")
        for text, meant in (
            ("system", TlsCheck("system")),
            ("off", TlsCheck("off")),
            ("sha256:" + "aB" * 32, TlsCheck("pin", pin=b"\xab" * 32)),
            ("ca.pem", TlsCheck("authority", authorities=path)),
        ):
            self.assertEqual(parse_tls_check(text, self.directory), meant)

    def test_bad_forms(self) -> None:
        """Short digests and files that are not there."""
        for text in ("", "sha256:", "sha256:" + "a" * 63, "sha256:" + "g" * 64, "gone.pem", ".", "x" * 5000):
            self.assertRaises(Refused, parse_tls_check, text, Path(self.directory))
