"""Rules between keys; the rows of test_load.py show each, here are their edges."""

from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.config.crosschecks import DEPENDENT, EXCLUSIVE, cross_check, fill_in
from rustbalance.config.draft import Draft
from rustbalance.config.outline import known_names


def checked(**tables: Any) -> list[str]:
    """Return the complaints that arise between the keys of a document."""
    draft = Draft(Path("/base"))
    draft.read(tables)
    draft.complaints.clear()
    fill_in(draft)
    cross_check(draft)
    return [str(complaint) for complaint in draft.complaints]


class CrossCheckTests(SynchronousTestCase):
    """Keys together."""

    def test_tables_name_known_keys(self) -> None:
        """A renamed key cannot silently drop out of a rule."""
        named = {name for pair in EXCLUSIVE for name in pair} | {name for row in DEPENDENT for name in row[:2]}
        self.assertEqual(named - set(known_names()), set())

    def test_one_mistake_one_complaint(self) -> None:
        """A key that is bad by itself is not complained about again."""
        self.assertEqual(checked(target={"address": 7}, tor={"mode": 7, "control_port": 1}), [])

    def test_a_refused_key_collides_with_nothing(self) -> None:
        """A socket that has no business there is one complaint, whatever else lies at its path."""
        found = checked(control_socket="/run/c", target={"address": "h:1"}, tor={"control_socket": "/run/c"})
        self.assertEqual(len(found), 1, found)

    def test_same_port_elsewhere(self) -> None:
        """A target with our port on another machine is no circle, nor is one when we listen on a Unix socket."""
        self.assertEqual(checked(target={"address": "10.0.0.1:8080"}), [])
        self.assertEqual(checked(target={"address": "127.0.0.1:8080"}, listen="unix:/run/x"), [])
        self.assertEqual(len(checked(target={"address": "[::1]:8080"})), 1)

    def test_exact_limits_of_paths(self) -> None:
        """75 bytes of state_dir leave room for managed Tor, 76 do not; without a child Tor more is fine."""
        address = {"address": "h:1"}
        self.assertEqual(checked(state_dir="/" + "x" * 74, target=address), [])
        self.assertEqual(len(checked(state_dir="/" + "x" * 75, target=address)), 1)
        self.assertEqual(checked(state_dir="/" + "x" * 93, target=address, tor={"mode": "external"}), [])
        self.assertEqual(len(checked(state_dir="/" + "x" * 94, target=address, tor={"mode": "external"})), 1)

    def test_control_socket_elsewhere(self) -> None:
        """A deep state_dir is fine for external Tor when the control socket lies somewhere else."""
        self.assertEqual(
            checked(
                state_dir="/" + "x" * 200, control_socket="/run/c", target={"address": "h:1"}, tor={"mode": "external"}
            ),
            [],
        )
