"""The forms of --target."""

import contextlib
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.config.complaints import Refused
from rustbalance.provisioning.target import parse_target
from tests.config.case import ONION

BASE = Path("/base")


class TargetTests(SynchronousTestCase):
    """What people type, and the keys it becomes."""

    def test_onion_forms(self) -> None:
        """An onion address, bare, with a port, and in a URL."""
        for text, port, tls in (
            (ONION, 80, False),
            (ONION.upper(), 80, False),
            (f"{ONION}:8080", 8080, False),
            (f"http://{ONION}", 80, False),
            (f"http://{ONION}/", 80, False),
            (f"HTTP://{ONION}:81/", 81, False),
            (f"https://{ONION}", 443, True),
        ):
            wanted = {"target.onion_address": ONION, "target.port": port, **({"target.use_tls": True} if tls else {})}
            self.assertEqual(parse_target(text, BASE), wanted)

    def test_address_forms(self) -> None:
        """A host with a port, a URL of one, a Unix socket."""
        for text, address in (
            ("localhost:8000", "localhost:8000"),
            ("[::1]:8000", "[::1]:8000"),
            ("http://localhost", "localhost:80"),
            ("http://localhost:8000/", "localhost:8000"),
            ("http://[::1]", "[::1]:80"),
            ("unix:/run/app.sock", "unix:/run/app.sock"),
            ("unix:app.sock", "unix:/base/app.sock"),
        ):
            self.assertEqual(parse_target(text, BASE), {"target.address": address})
        self.assertEqual(
            parse_target("https://example.com", BASE), {"target.address": "example.com:443", "target.use_tls": True}
        )

    def test_bad_forms(self) -> None:
        """What is none of them is refused with a reason."""
        for text in (
            "",
            "localhost",
            "localhost:",
            "http://",
            "http://localhost/path",
            "http://localhost/?q",
            "http://me@localhost",
            "ftp://localhost:21",
            "unix:",
            "x.onion",
            f"{ONION}:0",
            f"a{ONION[1:]}",
            f"www.{ONION}",
            "http://::1",
        ):
            self.assertRaises(Refused, parse_target, text, BASE)

    @settings(deadline=None)
    @given(st.text(max_size=100))
    def test_any_text(self, text: str) -> None:
        """Every text is settings or refused."""
        with contextlib.suppress(Refused):
            self.assertTrue(parse_target(text, BASE))
