"""What is looked at on the machine."""

from rustbalance.config.surroundings import private_file_fault
from tests.config.case import ConfigCase


class PrivateFileTests(ConfigCase):
    """Is it a file that only its owner reads?"""

    def test_fine(self) -> None:
        """0600 and 0400 are."""
        self.assertIsNone(private_file_fault(self.write("a", "x", 0o600)))
        self.assertIsNone(private_file_fault(self.write("b", "x", 0o400)))

    def test_faults(self) -> None:
        """Open to group or others, no file, or not there: each is told with what to do."""
        for mode in (0o640, 0o604, 0o620, 0o610):
            self.assertIn("chmod 600", private_file_fault(self.write(f"{mode}", "x", mode)) or "")
        self.assertIn("regular", private_file_fault(self.directory) or "")
        self.assertIn("No such file", private_file_fault(self.directory / "gone") or "")
        self.assertIn("too long", private_file_fault(self.directory / ("x" * 300)) or "")

    def test_link_to_an_open_file(self) -> None:
        """It is the file that counts, not the link."""
        (self.directory / "link").symlink_to(self.write("open", "x", 0o644))
        self.assertIn("mode 0600", private_file_fault(self.directory / "link") or "")
