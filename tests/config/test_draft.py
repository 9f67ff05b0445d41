"""Each key is read by itself."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.config.draft import MOST_SUGGESTIONS, Draft
from rustbalance.config.outline import every_entry


class DraftTests(SynchronousTestCase):
    """What one bad key does to the others: nothing."""

    def draft(self, document: dict[str, object]) -> Draft:
        """Read a document."""
        draft = Draft(Path("/base"))
        draft.read(document)
        return draft

    def test_good_beside_bad(self) -> None:
        """The good values are there although a neighbour is bad."""
        draft = self.draft({"local_port": "x", "node": {"id": "a", "odd": 1}})
        self.assertEqual(draft.values["node.id"], "a")
        self.assertNotIn("local_port", draft.values)
        self.assertEqual(
            [complaint.key for complaint in draft.complaints],
            ["local_port", "node.odd", "master.identity_key_path"],
        )

    def test_given(self) -> None:
        """It is remembered what the file said, and what it left to the defaults."""
        draft = self.draft({"local_port": 8080})
        self.assertIn("local_port", draft.given)
        self.assertNotIn("state_dir", draft.given)
        self.assertEqual(draft.values["state_dir"], Path("/var/lib/rustbalance"))

    def test_secrets_are_not_read(self) -> None:
        """What stands in a secret's place is noted and not looked at."""
        draft = self.draft({"tor": {"control_password": "x", "control_password_file": "y"}})
        self.assertNotIn("tor.control_password", draft.values)
        self.assertLessEqual({"tor.control_password", "tor.control_password_file"}, draft.given.keys())

    def test_unknown_keys_without_end(self) -> None:
        """Thousands of unknown keys are all told, but not all compared with the known ones."""
        draft = self.draft({"tor": {f"control_por{number}": 1 for number in range(3000)}})
        unknown = [complaint for complaint in draft.complaints if complaint.key.startswith("tor.")]
        self.assertEqual(len(unknown), 3000)
        self.assertEqual(sum(complaint.nearest is not None for complaint in unknown), MOST_SUGGESTIONS)

    def test_empty(self) -> None:
        """An empty file lacks what is required and nothing else."""
        draft = self.draft({})
        required = [entry.dotted for entry in every_entry() if entry.required]
        self.assertEqual([complaint.key for complaint in draft.complaints], required)
