"""What travels in a bundle and what stays."""

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.config.outline import every_entry, known_names, secret_names
from rustbalance.provisioning.shared_settings import KEYS, NotShared, pack_settings, unpack_settings


class SharedTests(SynchronousTestCase):
    """Packing and unpacking."""

    def test_round_trip(self) -> None:
        """Text, numbers of both kinds and switches come out as they went in."""
        given_ = {
            "target.onion_address": "x.onion",
            "target.port": 8443,
            "target.use_tls": True,
            "coordination.heartbeat_interval_secs": 2.5,
        }
        self.assertEqual(unpack_settings(pack_settings(given_)), given_)

    def test_what_stays(self) -> None:
        """Names, places, ports, secrets and another machine's Tor never travel."""
        for name in ("node.id", "node.priority", "state_dir", "listen", "tor.binary", "master.identity_key_path"):
            self.assertIn(name, known_names())
            self.assertEqual(pack_settings({name: "x"}), {})
        for name in secret_names():
            self.assertEqual(pack_settings({name: "x", f"{name}_file": "x"}), {})

    def test_keys_exist(self) -> None:
        """A renamed key cannot silently stay behind."""
        self.assertEqual(set(KEYS) - {entry.dotted for entry in every_entry()}, set())

    def test_strange_settings(self) -> None:
        """A bundle cannot set what is none of its business, nor smuggle anything into the file."""
        for packed in (
            {"state_dir": '"/"'},
            {"tor.restart_command": '["rm"]'},
            {"target.port": "80\n[tor]"},
            {"target.port": "80\nlisten = 1"},
            {"target.port": ""},
            {"target.port": "{}"},
            {"target.port": 80},
        ):
            self.assertRaises(NotShared, unpack_settings, packed)

    @settings(deadline=None)
    @given(st.dictionaries(st.sampled_from(known_names()) | st.text(max_size=9), st.text(max_size=20), max_size=3))
    def test_anything(self, packed: dict[str, str]) -> None:
        """Whatever a bundle says is read or refused."""
        with contextlib.suppress(NotShared):
            unpack_settings(packed)
