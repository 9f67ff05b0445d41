"""Directories that forget what they held, and directories that hold what they should not."""

from tests.live import test_verification as live


class EmptiedDirectoryDrill(live.EmptiedDirectoryTests):
    """A directory is killed and starts again with nothing in its memory."""


class RefusingDirectoriesDrill(live.PlantedTests):
    """Somebody else's descriptor, with a counter far ahead, lies at most directories."""
